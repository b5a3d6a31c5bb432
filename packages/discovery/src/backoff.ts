import type { World } from '@banyan/core'
import { exponential } from '@banyan/resilience'

/** Half of each wait is left to chance, so that the clients of a registry that comes back do not arrive together. */
const backoff = exponential({ baseMs: 100, capMs: 2_000, jitter: 'equal' })

/**
 * How long to wait before asking a registry again, milliseconds, up to 2,000.
 *
 * @param failures how many there were before this one
 */
export function backoffMs(world: World, failures: number): number {
  return backoff.delayMs(failures + 1, world.random)
}
