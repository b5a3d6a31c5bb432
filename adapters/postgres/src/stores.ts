import {
  flowArchivePort,
  flowStorePort,
  participantPort,
  sagaArchivePort,
  sagaSignalsPort,
  sagaStorePort,
  sagaWorkersPort,
} from '@banyan/saga/internal'
import { postgresFlowArchive, postgresFlows } from './flow-store.ts'
import { postgresParticipants } from './participant-store.ts'
import { bind, type StoreBinding } from './postgres-database.ts'
import { postgresSagaArchive } from './saga-archive.ts'
import { postgresSagaSignals } from './saga-signals.ts'
import { postgresSagas } from './saga-store.ts'
import { postgresSagaWorkers } from './saga-workers.ts'

/** The stores that `database.store(port)` and `tx.store(port)` give: `bind(outboxPort, postgresOutbox)`. */
export const stores: readonly StoreBinding[] = [
  bind(sagaStorePort, postgresSagas),
  bind(sagaWorkersPort, postgresSagaWorkers),
  bind(sagaSignalsPort, postgresSagaSignals),
  bind(sagaArchivePort, postgresSagaArchive),
  bind(participantPort, postgresParticipants),
  bind(flowStorePort, postgresFlows),
  bind(flowArchivePort, postgresFlowArchive),
]
