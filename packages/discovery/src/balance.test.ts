import fc from 'fast-check'
import { expect, test } from 'vitest'
import { balances } from './balance.ts'
import { decayMs } from './balance-cost.ts'
import { costOf } from './balance-table.ts'
import { equal, site } from './test/balance-bench.ts'

test.each(balances)('%s chooses nothing among none, the only one of one, and every one of some', (balance) => {
  expect(site(balance, []).balancer.next(0, 1)).toBe(-1)
  expect(site(balance, [1]).shares(3)).toEqual([3])
  expect(
    site(balance, equal(7))
      .shares(7_000)
      .every((share) => share > 300),
  ).toBe(true)
})

test('round-robin gives each its turn, whatever the weight', () => {
  expect(site('round-robin', [1, 5, 1, 1, 1, 1, 1]).shares(70)).toEqual([10, 10, 10, 10, 10, 10, 10])
})

test('weighted gives turns exactly by weight, and spreads a heavy one out', () => {
  const { balancer, shares } = site('weighted', [1, 2, 3])
  expect(shares(600)).toEqual([100, 200, 300])
  const turns = Array.from({ length: 60 }, () => balancer.next(0, 0))
  expect(turns.some((slot, at) => slot === 2 && turns[at + 1] === 2 && turns[at + 2] === 2)).toBe(false)
})

test('weighted is exact for any weights after as many picks as they sum up to', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }), (weights) => {
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const shares = site('weighted', weights).shares(total * 32)
      for (const [slot, weight] of weights.entries()) expect(shares[slot]).toBe(weight * 32)
    }),
    { numRuns: 100 },
  )
})

test('p2c draws by weight', () => {
  const weights = [1, 2, 5, 0.5]
  const shares = site('p2c', weights).shares(8_500)
  for (const [slot, weight] of weights.entries()) expect(Math.abs((shares[slot] ?? 0) / (weight * 1_000) - 1)).toBeLessThan(0.15)
})

test.each(['p2c', 'least-requests'] as const)(
  '%s prefers the one with fewer calls in flight, and of a heavier one takes more',
  (balance) => {
    const { begin, end, shares } = site(balance, [1, 4])
    for (const slot of [0, 1]) {
      begin(slot)
      end(slot, true, 10, 0)
    }
    begin(0)
    for (let call = 0; call < 3; call += 1) begin(1)
    expect(shares(100)[1]).toBeGreaterThan(90)
  },
)

test('p2c compares latency times calls in flight; least-requests does not look at latency', () => {
  const slower = (balance: 'p2c' | 'least-requests') => {
    const { begin, end, shares } = site(balance, equal(2))
    for (const slot of [0, 1]) {
      begin(slot)
      end(slot, true, slot === 0 ? 100 : 10, 0)
    }
    return shares(200)[0] ?? 0
  }
  expect(slower('p2c')).toBe(0)
  expect(slower('least-requests')).toBeGreaterThan(50)
})

test('p2c sends one call to an endpoint of which nothing is known, and waits for its answer', () => {
  const { begin, end, shares } = site('p2c', equal(2))
  begin(0)
  end(0, true, 10, 0)
  expect(shares(10)).toEqual([0, 10])
  begin(1)
  expect(shares(10)).toEqual([10, 0])
})

test('a latency rises at once and falls slowly; a failure counts as a second', () => {
  const { table, begin, end } = site('p2c', [1])
  const after = (ok: boolean, latencyMs: number, now: number) => {
    begin(0, now)
    end(0, ok, latencyMs, now)
    return latencyAt(now)
  }
  // With no call in flight, what one more would cost is its latency.
  const latencyAt = (now: number) => Math.exp(costOf(table, 0) - now / decayMs)
  expect(latencyAt(0)).toBe(0)
  expect(after(true, 10, 0)).toBeCloseTo(10)
  expect(after(true, 500, 1)).toBeCloseTo(500)
  expect(after(true, 10, 1_001)).toBeGreaterThan(400)
  expect(after(true, 10, 40_000)).toBeLessThan(25)
  expect(after(false, 3, 40_001)).toBeCloseTo(1_000)
  expect(latencyAt(50_001)).toBeCloseTo(1_000 / Math.E)
})

test('whatever calls end when, costs kept as logarithms are what the formula gives with plain numbers', () => {
  const ending = fc.record({
    ok: fc.boolean(),
    latencyMs: fc.double({ min: 0.1, max: 5_000, noNaN: true }),
    dtMs: fc.integer({ min: 0, max: 30_000 }),
  })
  fc.assert(
    fc.property(fc.array(ending, { minLength: 1, maxLength: 60, size: 'max' }), fc.integer({ min: 0, max: 5 }), (endings, inFlight) => {
      const { table, begin, end } = site('p2c', [2])
      let [known, measuredAt, now] = [Number.NaN, 0, 1e9]
      for (let call = 0; call < inFlight; call += 1) begin(0, now)
      for (const { ok, latencyMs, dtMs } of endings) {
        now += dtMs
        begin(0, now)
        end(0, ok, latencyMs, now)
        const seen = ok ? latencyMs : Math.max(latencyMs, 1_000)
        const keep = Math.exp((measuredAt - now) / decayMs)
        known = known * keep > seen ? known * keep + seen * (1 - keep) : seen
        measuredAt = now
        expect(Math.exp(costOf(table, 0) - now / decayMs) / (known * (inFlight / 2 + 1))).toBeCloseTo(1, 6)
      }
    }),
    { numRuns: 200 },
  )
})

test('a seed repeats the choices', () => {
  for (const balance of balances) {
    const sequence = () => {
      const { balancer, world } = site(balance, equal(9))
      return Array.from({ length: 50 }, () => balancer.next(0, Math.floor(world.random() * 2 ** 32)))
    }
    expect(sequence()).toEqual(sequence())
  }
})

test('whatever comes and goes, a balancer chooses only among those that are there', () => {
  const change = fc.record({ slot: fc.integer({ min: 0, max: 11 }), weight: fc.constantFrom(0, 0, 0.1, 1, 1, 2, 7, 300) })
  fc.assert(
    fc.property(fc.constantFrom(...balances), fc.array(change, { maxLength: 40, size: 'max' }), (balance, changes) => {
      const { balancer, world } = site(balance, equal(12))
      const there = new Set(equal(12).keys())
      for (const { slot, weight } of changes) {
        balancer.weigh(slot, weight)
        if (weight > 0) there.add(slot)
        else there.delete(slot)
        expect(balancer.size).toBe(there.size)
        for (let pick = 0; pick < 5; pick += 1) {
          const chosen = balancer.next(0, Math.floor(world.random() * 2 ** 32))
          expect(there.size === 0 ? chosen === -1 : there.has(chosen)).toBe(true)
        }
      }
    }),
    { numRuns: 300 },
  )
})
