// For sister packages: the stores that adapters bring and contract suites check

export type { Lease } from './lease.ts'
// A bus over a log that many processes open: the adapter brings the log, this room the groups
export { type Assignment, assign, PARTITIONS, partitionOf } from './log-bus/assignment.ts'
export type { HeldPartition, SavedPartition } from './log-bus/cursors.ts'
export { logBus } from './log-bus/log-bus.ts'
export { type Signal, signal } from './log-bus/signal.ts'
export type {
  BusErrorCode,
  BusGroups,
  BusLog,
  BusSettings,
  BusStore,
  GroupMember,
  JoinOutcome,
  LoggedEvent,
  LogRange,
  LogSlice,
} from './log-bus/store.ts'
export { envelopeOf } from './outbox-body.ts'
export { columnsOf, type ParkedRow, type ParkingColumns, parkedMessageOf } from './parked-row.ts'
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
  OutboxProgress,
  OutboxRecord,
  OutboxStats,
  ParkedMessage,
  ParkedStats,
  PartitionState,
} from './ports.ts'
export { deadLettersPort, inboxPort, keyQueuePort, outboxLogPort, outboxPort } from './ports.ts'
