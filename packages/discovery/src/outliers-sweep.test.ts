import fc from 'fast-check'
import { expect, test } from 'vitest'
import { outlierLimit } from './outliers.ts'
import { outliersOf, type Tally, tallies } from './outliers-sweep.ts'

const limit = outlierLimit('test')
const hosts = (count: number, ok: number, failed: number): Tally[] => Array.from({ length: count }, (_, slot) => ({ slot, ok, failed }))
const withOne = (count: number, one: Omit<Tally, 'slot'>): Tally[] => [...hosts(count - 1, 995, 5), { slot: count - 1, ...one }]

test('finds the one that succeeds clearly less often, from five hosts on', () => {
  expect(outliersOf(withOne(20, { ok: 800, failed: 200 }), limit)).toEqual([19])
  expect(outliersOf(withOne(5, { ok: 800, failed: 200 }), limit)).toEqual([4])
  // Among four, a single one is never more than 1.74 standard deviations away.
  const four = outlierLimit('test', { successRate: { minimumHosts: 1 } })
  expect(outliersOf(withOne(4, { ok: 0, failed: 1_000 }), { ...four, failureRate: false })).toEqual([])
})

test('says nothing with too few hosts, or of one with too few calls', () => {
  expect(outliersOf(withOne(4, { ok: 0, failed: 1_000 }), limit)).toEqual([])
  expect(outliersOf(withOne(20, { ok: 20, failed: 29 }), limit)).toEqual([])
})

test('a few failures are no outlier where the others have none; they are when asked for as A50 has it', () => {
  const few = [...hosts(19, 1_000, 0), { slot: 19, ok: 999, failed: 1 }]
  expect(outliersOf(few, limit)).toEqual([])
  expect(outliersOf(few, outlierLimit('test', { successRate: { leastFailureRate: 0 } }))).toEqual([19])
})

test('one that fails mostly is found by its failures alone, with fewer calls', () => {
  expect(outliersOf(withOne(20, { ok: 5, failed: 55 }), limit)).toEqual([19])
  // 85 % exactly is not above it.
  expect(outliersOf(withOne(20, { ok: 9, failed: 51 }), limit)).toEqual([])
  expect(outliersOf(withOne(20, { ok: 5, failed: 55 }), outlierLimit('test', { failureRate: false }))).toEqual([])
})

test('when all fail alike none is out of line by success rate', () => {
  expect(outliersOf(hosts(20, 500, 500), limit)).toEqual([])
})

test('the worst come first', () => {
  const two = [...hosts(30, 1_000, 0), { slot: 30, ok: 700, failed: 300 }, { slot: 31, ok: 500, failed: 500 }]
  expect(outliersOf(two, limit)).toEqual([31, 30])
})

test('whatever the counts, it finds whom the rules of A50 find, each once', () => {
  const tally = fc.record({ ok: fc.integer({ min: 0, max: 400 }), failed: fc.integer({ min: 0, max: 400 }) })
  fc.assert(
    fc.property(fc.array(tally, { maxLength: 25, size: 'max' }), (counts) => {
      const all = counts.map((count, slot) => ({ slot, ...count }))
      const naive = new Set<number>()
      const judged = all.filter(({ ok, failed }) => ok + failed >= 100)
      const rates = judged.map(({ ok, failed }) => ok / (ok + failed))
      const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
      const sigma = Math.sqrt(rates.reduce((sum, rate) => sum + rate * rate, 0) / rates.length - mean * mean)
      if (judged.length >= 5) {
        for (const [at, { slot }] of judged.entries()) {
          const rate = rates[at] ?? 0
          // Both ways of computing a deviation differ by rounding: whoever is that close may be judged either way.
          fc.pre(Math.abs(rate - (mean - 1.9 * sigma)) > 1e-9)
          if (rate < mean - 1.9 * sigma && 1 - rate > 0.05) naive.add(slot)
        }
      }
      const counted = all.filter(({ ok, failed }) => ok + failed >= 50)
      if (counted.length >= 5) for (const { slot, ok, failed } of counted) if (failed / (ok + failed) > 0.85) naive.add(slot)
      const found = outliersOf(all, limit)
      expect(new Set(found)).toEqual(naive)
      expect(found).toHaveLength(naive.size)
    }),
    { numRuns: 500 },
  )
})

test('calls are counted interval by interval; an interval that ended long ago is not judged', () => {
  const counted = tallies(1_000)
  counted.count(2, true, 50)
  counted.count(2, false, 60)
  counted.count(5, false, 70)
  counted.forget(5)
  expect(counted.endsAt).toBe(1_050)
  expect(counted.close(1_100)).toEqual([{ slot: 2, ok: 1, failed: 1 }])
  expect([counted.endsAt, counted.close(1_500)]).toEqual([2_100, []])
  counted.count(1, false, 1_600)
  expect(counted.close(3_600_000)).toEqual([])
})
