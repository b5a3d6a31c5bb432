import { hashOf } from './balance-hash.ts'
import { hashRing } from './balance-ring.ts'
import { type EndpointTable, inFlightOf, weightOf } from './balance-table.ts'
import type { Balancer } from './balancer.ts'

/** Points on the ring of an endpoint as heavy as the heaviest; lighter ones have fewer. The shares of equal ones differ by about a sixth. */
const pointsEach = 40

/** Added to the power of two of a weight, so that slow start's small ones count from 0. */
const lowestPower = 8

/** What is kept of an endpoint on the ring. */
interface Member {
  readonly name: readonly [number, number]
  readonly weight: number
}

/**
 * The same key goes to the same endpoint; one that comes or goes moves only its own share of the keys. None gets more calls at a time than
 * `loadFactor` times its part: a key whose endpoint is full goes on to the next on the ring, and comes back when there is room.
 *
 * @param loadFactor above 1. 1.25: at most a quarter more than the average
 * @see Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2018)
 */
export function consistentHash(table: EndpointTable, loadFactor: number): Balancer {
  const ring = hashRing()
  const members = new Map<number, Member>()
  /** How many members have a weight of this power of two. */
  const powers = new Int32Array(32)
  let top = 0
  let totalWeight = 0

  /** Depends on who is there and not on who has been, so that all processes with the same list agree. */
  const pointsOf = (weight: number) => Math.max(1, Math.round((pointsEach * weight) / 2 ** (top - lowestPower)))
  function count(weight: number, by: number): void {
    const power = Math.max(0, Math.floor(Math.log2(weight)) + lowestPower)
    powers[power] = (powers[power] ?? 0) + by
    totalWeight += weight * by
  }

  function place(slot: number, member: Member | undefined): void {
    const before = members.get(slot)
    if (before) count(before.weight, -1)
    if (member) count(member.weight, 1)
    if (member) members.set(slot, member)
    else members.delete(slot)
    const name = (member ?? before)?.name
    if (!name) return
    const heaviest = Math.max(
      0,
      powers.findLastIndex((each) => each > 0),
    )
    if (heaviest !== top) {
      top = heaviest
      for (const [each, { name: itsName, weight }] of members) if (each !== slot) ring.resize(each, itsName, pointsOf(weight))
    }
    ring.resize(slot, name, member ? pointsOf(member.weight) : 0)
  }

  function hasRoom(slot: number): boolean {
    const part = weightOf(table, slot) / totalWeight
    return inFlightOf(table, slot) < Math.ceil(loadFactor * (table.totalInFlight + 1) * part)
  }

  return {
    get size() {
      return members.size
    },
    weigh(slot, weight) {
      if (weight <= 0) return place(slot, undefined)
      const known = members.get(slot)
      place(slot, { name: known?.name ?? nameOf(table.instances[slot]?.id ?? ''), weight })
    },
    timed: false,
    next(_now, key) {
      const first = ring.after(key)
      if (first < 0) return -1
      let point = first
      do {
        const slot = ring.slotOf(point)
        if (hasRoom(slot)) return slot
        point = ring.following(point)
      } while (point !== first)
      // All full cannot be while all calls are to members: their room is more than the calls. Calls to those that left may fill it.
      return ring.slotOf(first)
    },
  }
}

function nameOf(id: string): readonly [number, number] {
  return [hashOf(id), hashOf(id, 0x2f0b4c47)]
}
