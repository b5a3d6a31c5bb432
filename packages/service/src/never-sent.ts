import { wasNeverSent } from '@banyan/resilience'

/** Nothing of a request has left this process, so it may go elsewhere, whatever it does. The cause says why it did not leave. */
export class NeverSentError extends Error {
  constructor(cause: unknown) {
    super('nothing was sent', { cause })
    this.name = 'NeverSentError'
  }
}

/** Whether the error, or one that caused it, proves that nothing was sent. */
export function isNeverSent(error: unknown): boolean {
  // As deep as wasNeverSent looks: an error that is its own cause must not hang the call.
  for (let level = 0, current = error; level < 10 && current instanceof Error; level += 1, current = current.cause) {
    if (current instanceof NeverSentError) return true
  }
  return wasNeverSent(error)
}
