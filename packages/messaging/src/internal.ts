// For sister packages: the stores that adapters bring and contract suites check

export type { Lease } from './lease.ts'
export type { Failure, Parking } from './parking.ts'
export type {
  Admission,
  Admitted,
  AuditRecord,
  DeadLetterFilter,
  DeadLetterStore,
  Inbox,
  KeyQueue,
  NewParkedMessage,
  Outbox,
  OutboxEntry,
  OutboxLog,
  OutboxRecord,
  OutboxStats,
  ParkedMessage,
  ParkedStats,
  PartitionState,
} from './ports.ts'
export { deadLettersPort, inboxPort, keyQueuePort, outboxLogPort, outboxPort } from './ports.ts'
