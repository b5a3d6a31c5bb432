import type { World } from '@banyan/core'

/**
 * Chooses places as often as their weights say, at random.
 *
 * @param weights one at least above 0
 * @returns a function that gives the index of the next one
 */
export function weightedChooser(weights: readonly number[], world: World): () => number {
  const ends = weights.map((_, index) => weights.slice(0, index + 1).reduce((sum, weight) => sum + weight, 0))
  const all = ends.at(-1) ?? 0
  return () => {
    const at = world.random() * all
    return ends.findIndex((end) => at < end)
  }
}
