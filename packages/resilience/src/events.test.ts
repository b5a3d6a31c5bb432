import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { exponential } from './backoff.ts'
import { bulkhead } from './bulkhead.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { isHeard, onResilienceEvent } from './events.ts'
import { fallback } from './fallback.ts'
import { policy } from './policy.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

test('each layer tells what it does while somebody listens, and only then', async () => {
  const world = manualWorld()
  const heard: unknown[] = []
  const layers = ['circuit-breaker', 'retry', 'timeout', 'bulkhead', 'fallback'] as const
  expect(layers.some(isHeard)).toBe(false)
  const stops = layers.map((layer) => onResilienceEvent(layer, (event) => heard.push([layer, event])))
  expect(layers.every(isHeard)).toBe(true)

  const stock = policy(
    'stock',
    fallback(0),
    retry({ attempts: 2, backoff: exponential({ baseMs: 10, jitter: 'none' }), world }),
    circuitBreaker({ failures: 2, world }),
    bulkhead({ limit: 1, world }),
    timeout(100, { world }),
  )
  const slow = stock.run(() => new Promise<number>(() => {}))
  await stock.run(() => 1)
  await world.advance(1_000)
  await slow
  for (const stop of stops) stop()
  await stock.run(() => 1)

  const error = expect.objectContaining({ code: 'ERR_TIMEOUT' })
  expect(heard).toEqual([
    ['bulkhead', { policy: 'stock', why: 'full', active: 1, queued: 0 }],
    ['fallback', { policy: 'stock', error: expect.objectContaining({ code: 'ERR_BULKHEAD_FULL' }) }],
    ['timeout', { policy: 'stock', timeoutMs: 100 }],
    ['retry', { policy: 'stock', failedAttempt: 1, delayMs: 10, error }],
    ['timeout', { policy: 'stock', timeoutMs: 100 }],
    ['circuit-breaker', { policy: 'stock', from: 'closed', to: 'open', epoch: 1 }],
    ['fallback', { policy: 'stock', error }],
  ])
  expect(layers.some(isHeard)).toBe(false)
})

test('a call that its caller gave up is told as cancelled, as its outcome is', async () => {
  const heard: unknown[] = []
  const stop = onResilienceEvent('call', ({ ok, rejectedBy }) => heard.push([ok, rejectedBy]))
  const controller = new AbortController()
  const outcome = policy('stock').outcome(() => new Promise(() => {}), { signal: controller.signal })
  controller.abort()
  expect(await outcome).toMatchObject({ ok: false, rejected: { rejectedBy: 'cancelled' } })
  stop()
  expect(heard).toEqual([[false, 'cancelled']])
})
