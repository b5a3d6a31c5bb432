import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { adaptiveLimit } from './adaptive-limit.ts'
import { exponential } from './backoff.ts'
import { bulkhead } from './bulkhead.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { fallback } from './fallback.ts'
import { hedge } from './hedge.ts'
import type { Layer } from './layer.ts'
import { policy } from './policy.ts'
import { rateLimit } from './rate-limit.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

const world = manualWorld()
const quota = { algorithm: 'gcra', limit: 10, periodMs: 1_000, burst: 10 } as const
const of = (...layers: Layer<unknown>[]) => policy('stock', ...layers).explain()
const twice = () => retry({ attempts: 2, backoff: exponential({ baseMs: 50, capMs: 50 }), retryAfterCapMs: 100, world })

test('the recommended order has nothing to warn of', () => {
  const order = of(
    fallback(0),
    timeout(2_000, { world }),
    retry({ attempts: 3, world }),
    circuitBreaker({ window: { timeMs: 10_000 }, slow: { overMs: 800, rate: 0.8 }, coolDownMs: 5_000, world }),
    bulkhead({ limit: 64, queue: 128, maxWaitMs: 50, world }),
    timeout(400, { world }),
  )
  expect(order).toEqual({
    order: [
      'fallback',
      'timeout of 2000 ms',
      'retry, up to 3 attempts',
      'circuit breaker, opens at 50 % failed or at 80 % slow, for 5000 ms',
      'bulkhead of 64, queue of 128',
      'timeout of 400 ms',
    ],
    worstCaseMs: 2_000,
    maxAttempts: 3,
    warnings: [],
  })
})

test('the worst case counts every attempt, every wait for a place and every wait between attempts', () => {
  const { worstCaseMs, maxAttempts } = of(twice(), bulkhead({ limit: 1, queue: 1, maxWaitMs: 30, world }), timeout(400, { world }))
  expect(worstCaseMs).toBe(2 * (30 + 400) + 100)
  expect(maxAttempts).toBe(2)
})

test('hedges multiply with attempts, and waits for a take or for probes count', () => {
  const probes = { maxWaitMs: 70, overflow: 'wait' } as const
  const explained = of(
    twice(),
    hedge({ after: { quantile: 0.95 }, extra: 2, world }),
    circuitBreaker({ probes, world }),
    rateLimit({ limiter: quota, maxWaitMs: 30, world }),
    adaptiveLimit({ world }),
    timeout(400, { world }),
  )
  expect(explained).toMatchObject({ maxAttempts: 6, worstCaseMs: 2 * 3 * (70 + 30 + 400) + 100 })
  expect(explained.order).toEqual([
    'retry, up to 2 attempts',
    'hedge, 2 more of the slowest 5 %',
    'circuit breaker, opens after 5 failures in a row, for 30000 ms',
    'rate limit of 10 in 1000 ms',
    'adaptive limit, gradient, 1 to 1000',
    'timeout of 400 ms',
  ])
})

test.each([
  ['nothing bounds the call', [circuitBreaker({ world })]],
  ['nothing bounds the call', [bulkhead({ limit: 1, queue: 1, world }), timeout(9, { world })]],
  ['no timeout outside retry: one call with all its attempts may take 900 ms', [twice(), timeout(400, { world })]],
  ['no timeout inside retry', [timeout(400, { world }), twice()]],
  ['retry inside circuit breaker', [timeout(900, { world }), circuitBreaker({ world }), twice(), timeout(9, { world })]],
  ['retry inside retry', [timeout(900, { world }), twice(), twice(), timeout(9, { world })]],
  ['retry inside bulkhead', [timeout(900, { world }), bulkhead({ limit: 1, world }), twice(), timeout(9, { world })]],
  ['fallback inside retry', [timeout(900, { world }), twice(), fallback(0), timeout(9, { world })]],
  ['fallback inside circuit breaker', [timeout(900, { world }), circuitBreaker({ world }), fallback(0)]],
  ['timeout of 400 ms inside timeout of 300 ms: the inner one never fires', [timeout(300, { world }), timeout(400, { world })]],
  ['no time for a second attempt of up to 400 ms', [timeout(500, { world }), twice(), timeout(400, { world })]],
  [
    'bulkhead waits up to 500 ms inside timeout of 400 ms',
    [timeout(400, { world }), bulkhead({ limit: 1, queue: 1, maxWaitMs: 500, world })],
  ],
  ['retry inside adaptive limit', [timeout(900, { world }), adaptiveLimit({ world }), twice(), timeout(9, { world })]],
  ['hedge inside bulkhead', [timeout(900, { world }), bulkhead({ limit: 1, world }), hedge({ after: 5, world })]],
  ['retry or hedge inside rate limit', [timeout(900, { world }), rateLimit({ limiter: quota, world }), hedge({ after: 5, world })]],
  ['retry inside hedge', [timeout(900, { world }), hedge({ after: 5, world }), twice(), timeout(9, { world })]],
  ['hedge inside hedge', [timeout(900, { world }), hedge({ after: 5, world }), hedge({ after: 5, world })]],
  ['fallback inside hedge', [timeout(900, { world }), hedge({ after: 5, world }), fallback(0)]],
  ['rate limit waits up to 500 ms', [timeout(400, { world }), rateLimit({ limiter: quota, maxWaitMs: 500, world })]],
] as [string, Layer<unknown>[]][])('warns: %s', (warning, layers) => {
  const { warnings } = of(...layers)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain(warning)
})

test.each([
  ['after 100 ms, twice', hedge({ after: 100, extra: 2, world }), 600],
  ['later than a call can take', hedge({ after: 1_000, world }), 400],
  ['of the slowest', hedge({ after: { quantile: 0.95 }, world }), 800],
])('a hedge may still run when the call it was sent after has ended: %s', async (_what, layer, worstCaseMs) => {
  expect(of(layer, timeout(400, { world })).worstCaseMs).toBe(worstCaseMs)
})

test('a call with a hedge takes as long as is said at worst', async () => {
  const manual = manualWorld()
  const layers = [hedge({ after: 100, extra: 2, world: manual }), timeout(400, { world: manual })] as const
  const stock = policy('stock', ...layers)
  let endedAt = 0
  void stock
    .outcome(() => new Promise(() => {}))
    .then(() => {
      endedAt = manual.monotonic()
    })
  await manual.advance(5_000)
  expect(endedAt).toBe(stock.explain().worstCaseMs)
})
