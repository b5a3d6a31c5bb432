/** How many streams a client may still reset; each takes one, and some come back with time. */
export interface ResetBudget {
  readonly left: number
  /** When it was last counted, in `world.monotonic()` time. */
  readonly at: number
}

/** So many resets at once are no attack: a page that is left while it loads makes some dozens. */
export const resetBurst = 200

/** Resets that come back, a second. */
const perSecond = 20

/**
 * What is left after one more reset at `now`; below 0, the client is at rapid resets: each makes a service work for nothing.
 *
 * @see CVE-2023-44487
 */
export function afterReset({ left, at }: ResetBudget, now: number): ResetBudget {
  return { left: Math.min(resetBurst, left + ((now - at) / 1_000) * perSecond) - 1, at: now }
}
