/**
 * A business refusal: the other side understood and said no ("out of stock", "declined"). It is a value and not an error:
 * nobody retries it, breakers do not count it, a saga starts to compensate. Over HTTP it is a problem (RFC 9457) with
 * status 409 and this code.
 */
export interface Refusal<Reason extends string = string> {
  readonly refused: Reason
  /** A sentence for people. */
  readonly detail?: string
}

/** Creates a {@link Refusal}: `return refuse('out-of-stock', 'only 2 left')`. */
export function refuse<const Reason extends string>(reason: Reason, detail?: string): Refusal<Reason> {
  return detail === undefined ? { refused: reason } : { refused: reason, detail }
}

/** Whether a value is a {@link Refusal}. Never throws, whatever it is given. */
export function isRefusal(value: unknown): value is Refusal {
  if (typeof value !== 'object' || value === null) return false
  try {
    // A proxy may throw at both of these, and so may a getter.
    return 'refused' in value && typeof value.refused === 'string'
  } catch {
    return false
  }
}
