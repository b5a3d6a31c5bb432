import type { World } from '@banyan/core'
import { decayMs } from './balance-cost.ts'
import { costOf, type EndpointTable } from './balance-table.ts'
import type { Balancer } from './balancer.ts'

/** How instances in the caller's own zone are preferred. */
export interface ZoneOptions {
  /** The caller's own zone, compared with `Instance.zone`. */
  name: string
  /**
   * How much more than its fair part the own zone carries before calls go elsewhere because it is too small, 1 to 100. Default 1.4: of three
   * zones, one with less than 1 / 4.2 of all weight sends a part of its calls away.
   */
  headroom?: number
  /**
   * The own zone is overloaded when a call there costs this many times what it usually does, and this many times what it would elsewhere, 1 to
   * 1,000. Default 3. Cost is latency times calls in flight.
   */
  overload?: number
}

/** The usual cost falls to what is seen within so many picks. */
const fallingPicks = 64
/** The clock is read for one pick of so many: what it says is compared with latencies that fade over seconds. */
const picksAReading = 8
/** It doubles at the fastest in this time, milliseconds: an overload must not become usual while it lasts. */
const doublingMs = 60_000

/**
 * Own zone first. Calls go to other zones when the own one has none, when it is too small for its part of the traffic, and when it
 * is overloaded while others are not.
 *
 * @param make creates the balancer within the own zone, and the one over all others
 * @see Envoy, "Zone aware routing", from which the first two are; it assumes, as this does, that callers are spread evenly over the zones
 */
export function zoned(
  table: EndpointTable,
  { name, headroom, overload }: Required<ZoneOptions>,
  { make, world }: { make: () => Balancer; world: World },
): Balancer {
  const near = make()
  const far = make()
  const margin = Math.log(overload)
  const census = zoneCensus()
  let nearSize = 0
  let farSize = 0
  // Fields of one object: a variable of a closure that is not a small integer is a new object each time it is set.
  const seen = {
    /** ln of the cost of a call in the own zone when all is well. */
    usual: Number.NaN,
    lookedAt: 0,
    readAt: 0,
    unread: 0,
  }
  /** The part of the calls that the own zone is large enough for. */
  let part = 1

  /** The time of a pick, read seldom where nobody has read it: see {@link Balancer.timed}. */
  function timeOf(given: number): number {
    if (!Number.isNaN(given)) return given
    seen.unread -= 1
    if (seen.unread < 0) {
      seen.unread = picksAReading - 1
      seen.readAt = world.monotonic()
    }
    return seen.readAt
  }
  function isOverloaded(slot: number, now: number): boolean {
    const cost = costOf(table, slot) - now / decayMs
    // It has not answered yet: nothing to compare.
    if (cost === Number.NEGATIVE_INFINITY) return false
    if (Number.isNaN(seen.usual)) seen.usual = cost
    const step = (cost - seen.usual) / fallingPicks
    seen.usual += Math.min(step, ((now - seen.lookedAt) / doublingMs) * Math.LN2)
    seen.lookedAt = now
    return cost > seen.usual + margin
  }
  /** One elsewhere, if a call there is so much cheaper. One that never answered is taken to be as good as usual. */
  function cheaper(slot: number, now: number, key: number): number {
    const other = far.next(now, key)
    const cost = costOf(table, other)
    const there = cost === Number.NEGATIVE_INFINITY ? seen.usual + now / decayMs : cost
    return costOf(table, slot) > there + margin ? other : slot
  }

  return {
    get size() {
      return nearSize + farSize
    },
    weigh(slot, weight) {
      const zone = table.instances[slot]?.zone
      const side = zone === name ? near : far
      side.weigh(slot, weight)
      nearSize = near.size
      farSize = far.size
      census.weigh(slot, zone, weight)
      part = Math.min(1, headroom * census.relativeSize(name))
    },
    timed: near.timed !== false,
    next(at, key) {
      const now = timeOf(at)
      if (nearSize === 0) return far.next(now, key)
      if (farSize === 0) return near.next(now, key)
      if (part < 1 && world.random() >= part) return far.next(now, key)
      const slot = near.next(now, key)
      return isOverloaded(slot, now) ? cheaper(slot, now, key) : slot
    },
  }
}

/** How much weight stands in which zone. */
function zoneCensus() {
  const weights = new Map<number, number>()
  const zones = new Map<string | undefined, { weight: number; slots: number }>()
  let total = 0
  return {
    weigh(slot: number, zone: string | undefined, weight: number): void {
      const before = weights.get(slot) ?? 0
      if (weight > 0) weights.set(slot, weight)
      else weights.delete(slot)
      const entry = zones.get(zone) ?? { weight: 0, slots: 0 }
      entry.weight += weight - before
      entry.slots += (weight > 0 ? 1 : 0) - (before > 0 ? 1 : 0)
      total += weight - before
      if (entry.slots > 0) zones.set(zone, entry)
      else zones.delete(zone)
    },
    /** The weight of a zone beside that of the average one: 1 when all zones are the same. */
    relativeSize: (zone: string) => (total > 0 ? ((zones.get(zone)?.weight ?? 0) * zones.size) / total : 0),
  }
}
