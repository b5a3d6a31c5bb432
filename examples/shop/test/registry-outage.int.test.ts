import { expect, it } from 'vitest'
import { isUnnoticed, type OutageResult, registryOutage } from '../load/registry-outage.ts'

it('serves every request while its registry is dead by kill -9, and has it back with what it knew', async () => {
  const result = await registryOutage({
    // Four seconds at this pace: longer than an instance lives without its heartbeats.
    outage: { requests: 120 },
    around: { requests: 20 },
    ordersPerSecond: 10,
    readsPerSecond: 20,
    databaseUrl: undefined,
    print: () => {},
  })
  expect(result.failures).toEqual([])
  expect(result.outageMs).toBeGreaterThan(3_000)
  expect(result.broken).toEqual([])
  expect(isUnnoticed(result)).toBe(true)
}, 120_000)

const good: OutageResult = {
  counts: { before: { requests: 5, failed: 0 }, during: { requests: 5, failed: 0 }, after: { requests: 5, failed: 0 } },
  failures: [],
  outageMs: 4_000,
  known: { before: ['a', 'b'], after: ['a', 'b'] },
  index: { before: 7, after: 9 },
  broken: [],
}

it.each<[string, Partial<OutageResult>]>([
  ['a request failed', { counts: { ...good.counts, during: { requests: 5, failed: 1 } } }],
  ['nothing was sent', { counts: { ...good.counts, during: { requests: 0, failed: 0 } } }],
  ['an instance was forgotten', { known: { before: ['a', 'b'], after: ['a'] } }],
  ['the index went back', { index: { before: 7, after: 6 } }],
  ['a rule of the shop is broken', { broken: ['stock: o-1'] }],
])('an outage is noticed when %s', (_, worse) => {
  expect(isUnnoticed(good)).toBe(true)
  expect(isUnnoticed({ ...good, ...worse })).toBe(false)
})
