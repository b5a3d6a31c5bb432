import fc from 'fast-check'
import { expect, test } from 'vitest'
import { slowStart } from './balance-slow-start.ts'

test('grows from a tenth to all, evenly, then is forgotten', () => {
  const warming = slowStart(10_000)
  expect(warming.nextAt).toBe(Number.POSITIVE_INFINITY)
  warming.begin(3, 1_000)
  expect([1_000, 1_500, 3_500, 6_000, 11_000].map((now) => warming.partOf(3, now))).toEqual([0.1, 0.1, 0.25, 0.5, 1])
  expect(warming.partOf(4, 1_000)).toBe(1)
  const changed: number[] = []
  warming.step(11_000, (slot) => changed.push(slot))
  expect(changed).toEqual([3])
  expect(warming.nextAt).toBe(Number.POSITIVE_INFINITY)
})

test('of no length it does nothing', () => {
  const warming = slowStart(0)
  warming.begin(0, 0)
  expect([warming.nextAt, warming.partOf(0, 0)]).toEqual([Number.POSITIVE_INFINITY, 1])
})

test('whoever comes when, each is told of at least every twentieth of the time, and last when it is warm', () => {
  const arrivals = fc.uniqueArray(fc.record({ slot: fc.integer({ min: 0, max: 9 }), at: fc.integer({ min: 0, max: 5_000 }) }), {
    selector: ({ slot }) => slot,
  })
  fc.assert(
    fc.property(arrivals, (all) => {
      const warming = slowStart(2_000)
      const told = new Map<number, number>()
      for (let now = 0; now <= 8_000; now += 10) {
        for (const { slot, at } of all) {
          if (at > now - 10 && at <= now) {
            warming.begin(slot, now)
            told.set(slot, warming.partOf(slot, now))
          }
        }
        if (now >= warming.nextAt) warming.step(now, (slot) => told.set(slot, warming.partOf(slot, now)))
        // What a balancer was told is never further from the truth than two steps.
        for (const [slot, part] of told) expect(warming.partOf(slot, now) - part).toBeLessThan(0.11)
      }
      expect([...told.values()].every((part) => part === 1)).toBe(true)
      expect(warming.nextAt).toBe(Number.POSITIVE_INFINITY)
    }),
    { numRuns: 20 },
  )
})
