import type { World } from '@banyan/core'
import { type Column, weightColumns } from './balance-columns.ts'
import { costOf, type EndpointTable, inFlightOf, weightOf } from './balance-table.ts'
import type { Balancer } from './balancer.ts'

/** Whether the endpoint at `one` is better than the one at `two`. */
export type Better = (table: EndpointTable, one: number, two: number) => boolean

/** By latency times calls in flight: peak EWMA. */
export const isCheaper: Better = (table, one, two) => costOf(table, one) < costOf(table, two)

/** By calls in flight, as a part of the weight. */
export const isLessBusy: Better = (table, one, two) =>
  (inFlightOf(table, one) + 1) * weightOf(table, two) < (inFlightOf(table, two) + 1) * weightOf(table, one)

/**
 * Draws two endpoints by weight and takes the better. Two are nearly as good as looking at all, and do not send everybody to the same one.
 *
 * @see Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001)
 */
export function twoChoices(table: EndpointTable, world: World, isBetter: Better): Balancer {
  const columns = weightColumns()
  const { random } = world
  return {
    get size() {
      return columns.size
    },
    weigh: columns.weigh,
    timed: false,
    next() {
      const { used } = columns
      const only = used[0]
      if (!only) return -1
      const place = random()
      return used.length === 1 ? ofEqual(only, place) : ofUnequal(place)
    },
  }

  /** One random number serves for two: its fraction is as random as itself. */
  function ofEqual({ slots, count }: Column, place: number): number {
    const scaled = place * count
    const first = Math.floor(scaled)
    const one = slots[first] ?? -1
    if (count === 1) return one
    // Somewhere else for sure: on a ring that begins behind the first.
    const second = first + 1 + Math.floor((scaled - first) * (count - 1))
    const two = slots[second < count ? second : second - count] ?? -1
    return isBetter(table, two, one) ? two : one
  }
  function ofUnequal(place: number): number {
    const one = columns.at(place)
    // One more try when it is the same; with very unequal weights the same may rightly come again.
    const other = columns.at(random())
    const two = other === one ? columns.at(random()) : other
    return isBetter(table, two, one) ? two : one
  }
}
