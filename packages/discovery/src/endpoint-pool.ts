import type { Instance } from '@banyan/core'
import { unitsOfWeight } from './balance-columns.ts'
import { ended, priceAt, started } from './balance-cost.ts'
import { mixed } from './balance-hash.ts'
import { slowStart } from './balance-slow-start.ts'
import { type EndpointTable, occupy, setWeightOf, ticketOf, vacate, weightOf } from './balance-table.ts'
import type { Balancer } from './balancer.ts'
import type { OutlierLimit } from './outliers.ts'
import { type Avoided, outlierBook } from './outliers-book.ts'

/** The endpoints of a service, each a slot of the table, and those of them to choose from, which stand in the balancer. */
export interface EndpointPool {
  /** Takes over a new list; what is known of instances that stay where they were is kept. */
  take(instances: readonly Instance[], now: number): void
  /** Whether {@link choose} depends on the time: somebody is warming up, or was avoided. Otherwise its `now` may be `NaN`. */
  isTimed(): boolean
  /** The next to call, one not in `exclude` (instance ids) if there is another; -1 when there is none. */
  choose(exclude: ReadonlySet<string> | undefined, key: number, now: number): number
  /** A call goes to `slot`; `now` may be `NaN` where that has answered a call. @returns a ticket to end it with: by then the slot may be another's */
  begin(slot: number, now: number): number
  /** A call ended. @returns the instances that are avoided from now on because of it */
  end(slot: number, ticket: number, outcome: CallOutcome, now: number): readonly AvoidedInstance[]
}

/** How a call ended, and when it was sent. */
export interface CallOutcome {
  readonly ok: boolean
  readonly latencyMs: number
  /** `-Infinity` for before anybody was avoided. */
  readonly admitted: number
}

/** An instance that is avoided for a while. */
export interface AvoidedInstance {
  readonly instance: Instance
  readonly forMs: number
}

/** What an {@link endpointPool} is made of. */
export interface PoolOptions {
  readonly table: EndpointTable
  readonly balancer: Balancer
  readonly limit: OutlierLimit
  /** How long a new instance takes to get its whole share; 0: it gets it at once. */
  readonly slowStartMs: number
}

/** How often an excluded endpoint may be drawn before looking through all. */
const draws = 8

/** Creates the pool of a service's endpoints, empty. */
export function endpointPool({ table, balancer, limit, slowStartMs }: PoolOptions): EndpointPool {
  const slots = slotNumbers()
  const warming = slowStart(slowStartMs)
  const book = outlierBook(limit, (slot) => weigh(slot))
  const isUsed = (slot: number) => book.panics || !book.isAvoided(slot)

  /** Tells the balancer what the endpoint weighs now. */
  function weigh(slot: number): void {
    balancer.weigh(slot, isUsed(slot) ? weightOf(table, slot) : 0)
  }
  function setWeight(slot: number, now: number): void {
    setWeightOf(table, slot, withinBounds(table.instances[slot]?.weight ?? 1) * warming.partOf(slot, now))
    priceAt(table, slot, now)
    weigh(slot)
  }
  function add(instance: Instance, now: number, isLate: boolean): void {
    const slot = slots.take(instance.id)
    occupy(table, slot, instance)
    // Of those who were there when we came, nothing says that they are new.
    if (isLate) warming.begin(slot, now)
    book.enter()
    setWeight(slot, now)
  }
  function update(slot: number, instance: Instance, now: number): void {
    const old = table.instances[slot]
    // Balancers may keep zones apart: it leaves the one it was in.
    if (old?.zone !== instance.zone) balancer.weigh(slot, 0)
    table.instances[slot] = instance
    if (old?.zone !== instance.zone || old?.weight !== instance.weight) setWeight(slot, now)
  }
  function remove(id: string, slot: number): void {
    balancer.weigh(slot, 0)
    warming.forget(slot)
    book.leave(slot)
    vacate(table, slot)
    slots.give(id)
  }
  /** One that is not excluded, if there is any; else `excluded`. */
  function another(excluded: number, exclude: ReadonlySet<string>, key: number, now: number): number {
    for (let draw = 1; draw < draws; draw += 1) {
      // Another key, or a hashing balancer would say the same again; the same one for each caller with this key.
      const slot = balancer.next(now, mixed(key + draw))
      if (!exclude.has(table.instances[slot]?.id ?? '')) return slot
    }
    for (const [id, slot] of slots.all) if (!exclude.has(id) && isUsed(slot)) return slot
    return excluded
  }

  return {
    take(instances, now) {
      const isLate = slots.all.size > 0
      const places = new Map(instances.map((instance) => [instance.id, placeOf(instance)]))
      // At another place it is another process, of which nothing is known.
      for (const [id, slot] of slots.all) if (places.get(id) !== placeOf(table.instances[slot])) remove(id, slot)
      for (const instance of instances) {
        const slot = slots.all.get(instance.id)
        if (slot === undefined) add(instance, now, isLate)
        else update(slot, instance, now)
      }
    },
    isTimed: () => book.wereAvoided > 0 || warming.nextAt !== Number.POSITIVE_INFINITY,
    choose(exclude, key, now) {
      if (now >= book.returnsAt) book.letReturn(now)
      if (now >= warming.nextAt) warming.step(now, (slot) => setWeight(slot, now))
      const slot = balancer.next(now, key)
      if (slot < 0 || !exclude || exclude.size === 0 || !exclude.has(table.instances[slot]?.id ?? '')) return slot
      return another(slot, exclude, key, now)
    },
    begin(slot, now) {
      started(table, slot, now)
      return ticketOf(table, slot)
    },
    end(slot, ticket, outcome, now) {
      // Its instance is gone, and what it did no longer matters.
      if (ticketOf(table, slot) !== ticket) return []
      ended(table, slot, outcome.ok, outcome.latencyMs, now)
      return named(table, book.learn(slot, outcome, now))
    },
  }
}

function placeOf(instance: Instance | undefined): string | undefined {
  return instance && `${instance.host}:${instance.port}`
}

/** A registry may list any weight; one that is no weight must not keep the others from being taken over. */
function withinBounds(weight: number): number {
  return weight >= 1 / unitsOfWeight ? Math.min(weight, 65_535) : 1 / unitsOfWeight
}

/** Gives slots to ids; one that was given back is used again. */
function slotNumbers() {
  const all = new Map<string, number>()
  const free: number[] = []
  let count = 0
  return {
    all: all as ReadonlyMap<string, number>,
    take(id: string): number {
      const slot = free.pop() ?? count++
      all.set(id, slot)
      return slot
    },
    give(id: string): void {
      const slot = all.get(id)
      if (slot === undefined) return
      all.delete(id)
      free.push(slot)
    },
  }
}

const nobody: readonly AvoidedInstance[] = []

function named(table: EndpointTable, avoided: readonly Avoided[]): readonly AvoidedInstance[] {
  if (avoided.length === 0) return nobody
  return avoided.flatMap(({ slot, forMs }) => {
    const instance = table.instances[slot]
    return instance ? [{ instance, forMs }] : []
  })
}
