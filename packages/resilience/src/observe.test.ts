import { manualWorld } from '@banyan/core'
import type { Meter } from '@opentelemetry/api'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { expect, expectTypeOf, test } from 'vitest'
import { adaptiveLimit } from './adaptive-limit.ts'
import { exponential } from './backoff.ts'
import { bulkhead } from './bulkhead.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { isHeard } from './events.ts'
import { fallback } from './fallback.ts'
import { type MeterLike, observePolicies } from './observe.ts'
import { policy } from './policy.ts'
import { retry } from './retry.ts'
import { sharedRateLimiter } from './shared-rate-limiter.ts'
import { timeout } from './timeout.ts'

const quota = { algorithm: 'sliding-window', limit: 1, periodMs: 1_000 } as const

test('a meter of OpenTelemetry is one', () => {
  expectTypeOf<Meter>().toExtend<MeterLike>()
})

function metering() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  /** `name{attribute=value,...}` and what is measured; of histograms the count. */
  async function figures(): Promise<Record<string, number>> {
    await provider.forceFlush()
    const metrics =
      exporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []
    const points = metrics.flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ attributes, value }) => {
        const labels = Object.entries(attributes).map(([name, text]) => `${name}=${text}`)
        return [`${descriptor.name}{${labels.join(',')}}`, typeof value === 'object' ? value.count : value] as const
      }),
    )
    return Object.fromEntries(points)
  }
  return { provider, figures }
}

test('measures what policies do, with the real SDK, and stops when told', async () => {
  const world = manualWorld()
  const { provider, figures } = metering()
  const stock = policy(
    'stock',
    fallback(0),
    retry({ attempts: 2, backoff: exponential({ baseMs: 10, capMs: 10, jitter: 'none' }), world }),
    circuitBreaker({ failures: 2, world }),
    bulkhead({ limit: 4, world }),
    adaptiveLimit({ initial: 8, world }),
    timeout(100, { world }),
  )
  const plain = policy('plain', circuitBreaker({ failures: 1, world }))
  const stop = observePolicies(provider.getMeter('test'), [stock, plain])
  const slow = stock.run(() => new Promise<number>(() => {}))
  await world.advance(1_000)
  await slow
  await plain.run(() => 1)
  await plain.outcome(() => Promise.reject(new Error('down')))
  await plain.outcome(() => 1)
  await sharedRateLimiter({ store: { take: () => Promise.reject(new Error('lost')) }, quota, world }).take('a')
  const seen = await figures()
  stop()
  await provider.shutdown()
  expect(seen).toMatchObject({
    'banyan.policy.duration{banyan.policy=stock,outcome=ok}': 1,
    'banyan.policy.duration{banyan.policy=plain,outcome=ok}': 1,
    'banyan.policy.duration{banyan.policy=plain,outcome=failed}': 1,
    'banyan.policy.duration{banyan.policy=plain,outcome=breaker}': 1,
    'banyan.policy.retries{banyan.policy=stock}': 1,
    'banyan.policy.timeouts{banyan.policy=stock}': 2,
    'banyan.policy.fallbacks{banyan.policy=stock}': 1,
    'banyan.circuit_breaker.transitions{banyan.policy=stock,from=closed,to=open}': 1,
    'banyan.circuit_breaker.state{banyan.policy=stock,state=open}': 1,
    'banyan.circuit_breaker.state{banyan.policy=stock,state=closed}': 0,
    'banyan.rate_limit.store_failures{}': 1,
    'banyan.bulkhead.active{banyan.policy=stock}': 0,
    'banyan.bulkhead.queued{banyan.policy=stock}': 0,
    'banyan.adaptive_limit.limit{banyan.policy=stock}': 6,
    'banyan.adaptive_limit.active{banyan.policy=stock}': 0,
  })
  expect((['call', 'retry', 'timeout', 'hedge', 'fallback', 'circuit-breaker'] as const).some(isHeard)).toBe(false)
})
