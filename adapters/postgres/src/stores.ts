import { deadLettersPort, inboxPort, keyQueuePort, outboxLogPort, outboxPort } from '@banyan/messaging/internal'
import {
  flowArchivePort,
  flowStorePort,
  participantPort,
  sagaArchivePort,
  sagaSignalsPort,
  sagaStorePort,
  sagaWorkersPort,
  semanticLockPort,
  versionFilePort,
} from '@banyan/saga/internal'
import { postgresDeadLetters } from './dead-letters.ts'
import { postgresFlowArchive, postgresFlows } from './flow-store.ts'
import { postgresInbox } from './inbox.ts'
import { postgresKeyQueue } from './key-queue.ts'
import { postgresOutbox, postgresOutboxLog } from './outbox.ts'
import { postgresParticipants } from './participant-store.ts'
import { bind, type StoreBinding } from './postgres-database.ts'
import { postgresSagaArchive } from './saga-archive.ts'
import { postgresSagaSignals } from './saga-signals.ts'
import { postgresSagas } from './saga-store.ts'
import { postgresSagaWorkers } from './saga-workers.ts'
import { postgresSemanticLocks } from './semantic-lock-store.ts'
import { postgresVersionFiles } from './version-file-store.ts'

/** The stores that `database.store(port)` and `tx.store(port)` give: `bind(outboxPort, postgresOutbox)`. */
export const stores: readonly StoreBinding[] = [
  bind(outboxPort, postgresOutbox),
  bind(outboxLogPort, postgresOutboxLog),
  bind(inboxPort, postgresInbox),
  bind(keyQueuePort, postgresKeyQueue),
  bind(deadLettersPort, postgresDeadLetters),
  bind(sagaStorePort, postgresSagas),
  bind(sagaWorkersPort, postgresSagaWorkers),
  bind(sagaSignalsPort, postgresSagaSignals),
  bind(sagaArchivePort, postgresSagaArchive),
  bind(participantPort, postgresParticipants),
  bind(flowStorePort, postgresFlows),
  bind(flowArchivePort, postgresFlowArchive),
  bind(semanticLockPort, postgresSemanticLocks),
  bind(versionFilePort, postgresVersionFiles),
]
