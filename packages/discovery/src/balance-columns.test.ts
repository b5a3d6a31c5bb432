import fc from 'fast-check'
import { expect, test } from 'vitest'
import { unitsOfWeight, weightColumns } from './balance-columns.ts'

test('whatever comes and goes, each has the part of the range that its weight says, as a list would have it', () => {
  const change = fc.record({
    slot: fc.integer({ min: 0, max: 40 }),
    weight: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 65_535 }), fc.constantFrom(0.01, 0.25, 0.5)),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60, size: 'max' }), (changes) => {
      const columns = weightColumns()
      const naive = new Map<number, number>()
      for (const { slot, weight } of changes) {
        columns.weigh(slot, weight)
        if (weight === 0) naive.delete(slot)
        else naive.set(slot, Math.max(1, Math.round(weight * unitsOfWeight)))
      }
      const total = [...naive.values()].reduce((sum, units) => sum + units, 0)
      expect([columns.size, columns.totalUnits]).toEqual([naive.size, total])
      // What stands in the columns is what each weighs, bit by bit.
      const found = new Map<number, number>()
      for (const { worth, slots, count } of columns.used)
        for (const slot of slots.subarray(0, count)) found.set(slot, (found.get(slot) ?? 0) + worth)
      expect(found).toEqual(naive)
    }),
    { numRuns: 500 },
  )
})

test('places cover the range, each slot its part', () => {
  const columns = weightColumns()
  for (const [slot, weight] of [3, 1, 4, 0.5].entries()) columns.weigh(slot, weight)
  const counts = [0, 0, 0, 0]
  for (let step = 0; step < 1_088; step += 1) {
    const slot = columns.at(step / 1_088)
    counts[slot] = (counts[slot] ?? 0) + 1
  }
  expect(counts).toEqual([384, 128, 512, 64])
})

test('refuses a weight of more bits than it has columns', () => {
  expect(() => weightColumns().weigh(0, 100_000)).toThrow(RangeError)
})
