// Publishing: in the transaction that changes the state

export type { ConsumeOptions } from './consume.ts'
// Handling events, each once
export { consume } from './consume.ts'
export type { ConsumedEvent, EventHandler, EventTypes, Prepare, PrepareContext } from './consumed-event.ts'
export type { BulkDecision, DeadLetter, DeadLetterDetails, DeadLetters, Decided, Decision } from './dead-letters.ts'
// What failed for good
export { deadLetters } from './dead-letters.ts'
export type { MessagingErrorCode } from './errors.ts'
// Errors
export { MessagingError } from './errors.ts'
export type { FailureReason, RetrySchedule } from './parking.ts'
export type { AuditRecord, DeadLetterFilter, ParkedStats } from './ports.ts'
export type { Cause, PublishOptions } from './publish.ts'
export { causedBy, publish } from './publish.ts'
export type { RelayOptions } from './relay.ts'
// Moving what was published to the bus
export { relay } from './relay.ts'
