import { failedAttempt, reasonOf } from './errors.ts'
import type { FailedAttempt } from './parking.ts'

/** What an error of handing an event to the bus stands for. */
export function relayFailure(error: unknown): FailedAttempt {
  return failedAttempt(error, reasonOf(error))
}

/** Whether the event itself is the cause, by the word of the bus or because it cannot be read: trying again does not mend it. */
export function isPermanent(error: unknown): boolean {
  return reasonOf(error) !== 'failed'
}

/** Stands for an error that is `undefined`. */
export function silent(): Error {
  return new Error('the bus rejected events without saying why')
}
