import { CodedError, codeOf, messageOf, stackOf } from '@banyan/core'
import type { FailedAttempt, FailureReason } from './parking.ts'

/** The codes of {@link MessagingError}. */
export type MessagingErrorCode =
  | 'ERR_PREPARE_TIMEOUT'
  | 'ERR_SCHEMA_TIMEOUT'
  | 'ERR_EVENT_UNEXPECTED'
  | 'ERR_EVENT_UNREADABLE'
  | 'ERR_DEAD_LETTER_UNKNOWN'
  | 'ERR_DEAD_LETTER_UNDECODABLE'
  | 'ERR_LEASE_LOST'
  | 'ERR_CONSUMER_STOPPING'

/** What goes wrong in publishing, relaying, consuming and dead letters. */
export class MessagingError extends CodedError<MessagingErrorCode> {}

/** Errors that trying again does not mend, by code. */
const REASONS: ReadonlyMap<string, FailureReason> = new Map([
  ['ERR_EVENT_INVALID', 'invalid'],
  ['ERR_EVENT_UPCAST_MISSING', 'invalid'],
  ['ERR_EVENT_UPCAST_FAILED', 'invalid'],
  ['ERR_EVENT_UNEXPECTED', 'invalid'],
  ['ERR_EVENT_VERSION_UNKNOWN', 'version-unknown'],
  ['ERR_ENVELOPE_INVALID', 'undecodable'],
  ['ERR_EVENT_UNREADABLE', 'undecodable'],
  ['ERR_BUS_REFUSED', 'refused'],
])

/** What is kept of an error beside the message that led to it. Takes whatever was thrown: never throws itself, and all is text. */
export function failedAttempt(error: unknown, reason: FailureReason = 'failed'): FailedAttempt {
  return { reason, code: codeOf(error), message: messageOf(error), stack: stackOf(error) }
}

/** What `read` finds, where that is text; not where it throws. */
export function textOf(read: () => unknown): string | undefined {
  try {
    const found = read()
    return typeof found === 'string' ? found : undefined
  } catch {
    return undefined
  }
}

/** The reason that the code of an error of reading, or of the bus, stands for: `failed` for all others. */
export function reasonOf(error: unknown): FailureReason {
  return REASONS.get(codeOf(error) ?? '') ?? 'failed'
}
