import { type ManualWorld, manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { balancer } from './balance.ts'
import { ended, started } from './balance-cost.ts'
import { endpointTable } from './balance-table.ts'
import { zoned } from './balance-zones.ts'
import { addTo, instanceOf } from './test/balance-bench.ts'

/** Endpoints in zones, named by their first letter: `a0`, `b3`. */
function zones(counts: Readonly<Record<string, number>>, world: ManualWorld = manualWorld()) {
  const table = endpointTable()
  const make = () => balancer(table, { balance: 'p2c', loadFactor: 1.25, world })
  const made = zoned(table, { name: 'a', headroom: 1.4, overload: 3 }, { make, world })
  const ids = Object.entries(counts).flatMap(([zone, count]) => Array.from({ length: count }, (_, index) => `${zone}${index}`))
  for (const [slot, id] of ids.entries()) addTo(table, made, slot, instanceOf(id, { zone: id.slice(0, 1) }))
  const share = (picks: number, now = 0) => {
    let own = 0
    for (let pick = 0; pick < picks; pick += 1) if (ids[made.next(now, 0)]?.startsWith('a')) own += 1
    return own / picks
  }
  const answer = (slot: number, latencyMs: number, now: number) => {
    started(table, slot, now)
    ended(table, slot, true, latencyMs, now)
  }
  return { table, made, ids, share, answer }
}

test('all calls stay in the own zone while it is large enough', () => {
  expect(zones({ a: 5, b: 5, c: 5 }).share(1_000)).toBe(1)
  expect(zones({ a: 4, b: 5, c: 5 }).share(1_000)).toBe(1)
})

test('a zone that is too small keeps the part it can carry', () => {
  // A third of the weight would be fair; it has a ninth: 1.4 of 1/3.
  const share = zones({ a: 2, b: 8, c: 8 }).share(20_000)
  expect(share).toBeGreaterThan(0.44)
  expect(share).toBeLessThan(0.49)
})

test('without a zone of its own, or without others, it takes what there is', () => {
  expect(zones({ b: 3 }).share(10)).toBe(0)
  expect(zones({ a: 3 }).share(10)).toBe(1)
  expect(zones({}).made.next(0, 0)).toBe(-1)
})

test('an overloaded zone sends calls where they cost less, and takes them back', () => {
  const { share, answer, ids } = zones({ a: 4, b: 4 })
  const all = (latencyMs: number, now: number) => {
    for (const [slot, id] of ids.entries()) if (id.startsWith('a')) answer(slot, latencyMs, now)
  }
  all(10, 0)
  expect(share(500)).toBe(1)
  all(100, 100)
  for (const [slot, id] of ids.entries()) if (id.startsWith('b')) answer(slot, 12, 100)
  expect(share(500, 100)).toBe(0)
  // Other zones as slow as this one: they would be no better.
  for (const [slot, id] of ids.entries()) if (id.startsWith('b')) answer(slot, 90, 200)
  expect(share(500, 200)).toBe(1)
  for (const [slot, id] of ids.entries()) if (id.startsWith('b')) answer(slot, 12, 60_000)
  for (const now of [60_000, 60_001, 60_002]) all(10, now)
  expect(share(500, 60_002)).toBe(1)
})

test('a zone that empties while calls run hands over at once, and gets them back', () => {
  const { made, share } = zones({ a: 2, b: 3 })
  made.weigh(0, 0)
  made.weigh(1, 0)
  expect([made.size, share(50)]).toEqual([3, 0])
  made.weigh(0, 1)
  made.weigh(1, 1)
  expect([made.size, share(50)]).toEqual([5, 1])
})

test('whatever comes, goes and changes its zone, it chooses among those that are there, and in its own zone while that is large enough', () => {
  const change = fc.record({ slot: fc.integer({ min: 0, max: 8 }), zone: fc.constantFrom('a', 'b', 'c', undefined), there: fc.boolean() })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40, size: 'max' }), (changes) => {
      const { table, made } = zones({})
      const there = new Map<number, string | undefined>()
      for (const { slot, zone, there: stays } of changes) {
        made.weigh(slot, 0)
        there.delete(slot)
        if (stays) {
          addTo(table, made, slot, instanceOf(`i${slot}`, zone === undefined ? {} : { zone }))
          there.set(slot, zone)
        }
        const own = [...there.values()].filter((each) => each === 'a').length
        const isLarge = own > 0 && own * new Set(there.values()).size * 1.4 >= there.size
        expect(made.size).toBe(there.size)
        for (let pick = 0; pick < 10; pick += 1) {
          const chosen = made.next(0, 0)
          expect(there.size === 0 ? chosen === -1 : there.has(chosen)).toBe(true)
          if (isLarge) expect(there.get(chosen)).toBe('a')
        }
      }
    }),
    { numRuns: 200 },
  )
})
