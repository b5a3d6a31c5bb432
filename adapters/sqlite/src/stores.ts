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
import { sqliteDeadLetters } from './dead-letters.ts'
import { sqliteFlowArchive, sqliteFlows } from './flow-store.ts'
import { sqliteInbox } from './inbox.ts'
import { sqliteKeyQueue } from './key-queue.ts'
import { sqliteOutbox, sqliteOutboxLog } from './outbox.ts'
import { sqliteParticipants } from './participant-store.ts'
import { sqliteSagaArchive } from './saga-archive.ts'
import { sqliteSagaSignals } from './saga-signals.ts'
import { sqliteSagas } from './saga-store.ts'
import { sqliteSagaWorkers } from './saga-workers.ts'
import { sqliteSemanticLocks } from './semantic-lock-store.ts'
import { bind, type StoreBinding } from './sqlite-database.ts'
import { sqliteVersionFiles } from './version-file-store.ts'

/** The stores that `database.store(port)` and `tx.store(port)` give: `bind(outboxPort, sqliteOutbox)`. */
export const stores: readonly StoreBinding[] = [
  bind(outboxPort, sqliteOutbox),
  bind(outboxLogPort, sqliteOutboxLog),
  bind(inboxPort, sqliteInbox),
  bind(keyQueuePort, sqliteKeyQueue),
  bind(deadLettersPort, sqliteDeadLetters),
  bind(sagaStorePort, sqliteSagas),
  bind(sagaWorkersPort, sqliteSagaWorkers),
  bind(sagaSignalsPort, sqliteSagaSignals),
  bind(sagaArchivePort, sqliteSagaArchive),
  bind(participantPort, sqliteParticipants),
  bind(flowStorePort, sqliteFlows),
  bind(flowArchivePort, sqliteFlowArchive),
  bind(semanticLockPort, sqliteSemanticLocks),
  bind(versionFilePort, sqliteVersionFiles),
]
