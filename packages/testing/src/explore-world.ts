import type { World } from '@banyan/core'

/**
 * A world in which nothing happens by itself: time stands still, as the schedule says what comes before what; jitter is none, so
 * that equal moments are seen to be equal.
 */
export function stillWorld(): World {
  let ids = 0
  return {
    now: () => Date.UTC(2026, 0, 1),
    monotonic: () => 0,
    random: () => 0,
    uuid: () => {
      ids += 1
      return `id-${ids}`
    },
    after: () => ({ cancel: () => {} }),
  }
}
