import { manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { latencyQuantile } from './latency-quantile.ts'

test('is at most an eighth of a doubling above the value in a sorted list, and never below', () => {
  const durations = fc.array(fc.double({ min: 0.02, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 63 })
  fc.assert(
    fc.property(fc.constantFrom(0.5, 0.9, 0.99), durations, (share, list) => {
      const quantile = latencyQuantile(share)
      for (const duration of list) quantile.record(duration)
      const exact = list.toSorted((a, b) => a - b)[Math.ceil(share * list.length) - 1] ?? 0
      expect(quantile.valueMs).toBeGreaterThanOrEqual(exact * (1 - 1e-9))
      expect(quantile.valueMs).toBeLessThanOrEqual(exact * 2 ** (1 / 8) * (1 + 1e-9))
    }),
  )
})

test('what was lately weighs more', () => {
  const quantile = latencyQuantile(0.5)
  for (let i = 0; i < 10_000; i += 1) quantile.record(1)
  for (let i = 0; i < 1_500; i += 1) quantile.record(100)
  expect(quantile.valueMs).toBeGreaterThan(90)
  expect(quantile.count).toBeLessThan(1_024)
})

test.each([0.9, 0.95, 0.99])('a share of %d of the calls stays below it, also of those with a long tail and after very many', (share) => {
  const { random } = manualWorld()
  const quantile = latencyQuantile(share)
  let above = 0
  for (let i = 0; i < 50_000; i += 1) {
    const durationMs = Math.min(100_000, 1 / (1 - random()))
    if (i >= 2_000 && durationMs > quantile.valueMs) above += 1
    quantile.record(durationMs)
  }
  expect(above / 48_000).toBeLessThan((1 - share) * 1.1)
})

test('durations beyond its range are in the first or the last bucket', () => {
  const quantile = latencyQuantile(0.5)
  quantile.record(0)
  expect(quantile.valueMs).toBeCloseTo(1 / 64)
  for (let i = 0; i < 3; i += 1) quantile.record(1e12)
  expect(quantile.valueMs).toBeGreaterThan(200_000)
})
