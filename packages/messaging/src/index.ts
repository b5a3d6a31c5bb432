// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// Publishing: in the transaction that changes the state
export { causedBy, publish } from './publish.ts'
export type { Cause, PublishOptions } from './publish.ts'

// Moving what was published to the bus
export { relay } from './relay.ts'
export type { RelayOptions } from './relay.ts'

// Handling events, each once
export { consume } from './consume.ts'
export type { ConsumeOptions } from './consume.ts'
export type { ConsumedEvent, EventHandler, EventTypes, Prepare, PrepareContext } from './consumed-event.ts'
export { messageIdOf } from './message-id.ts'
export type { RetrySchedule } from './parking.ts'

// What failed for good
export { deadLetters } from './dead-letters.ts'
export type { BulkDecision, DeadLetter, DeadLetterDetails, DeadLetters, Decided, Decision } from './dead-letters.ts'
export type { FailureReason } from './parking.ts'
export type { AuditRecord, DeadLetterFilter, ParkedStats } from './ports.ts'

// Errors
export { MessagingError } from './errors.ts'
export type { MessagingErrorCode } from './errors.ts'
