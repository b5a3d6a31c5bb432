/** One test for each defect that circuit breakers, retries and bulkheads in use today are known for. */
import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { exponential } from './backoff.ts'
import type { CircuitBreakerOptions } from './breaker-options.ts'
import { countWindow, timeWindow } from './breaker-window.ts'
import { bulkhead } from './bulkhead.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { policy } from './policy.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

const never = () => new Promise<never>(() => {})

function deferred() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  return { work: () => promise, pass: () => resolve('answer'), fail: () => reject(new Error('down')) }
}

test.each([
  ['failures in a row', { failures: 5 }],
  ['a window of calls', { window: { calls: 100 }, minimumCalls: 5 }],
  // The window alone has to forget, without the help of forgetAfterMs.
  ['a window of time', { window: { timeMs: 10_000 }, minimumCalls: 5, forgetAfterMs: 86_400_000 }],
] as [string, CircuitBreakerOptions][])('failures an hour old are not counted after an idle hour: %s', async (_mode, options) => {
  const world = manualWorld()
  const breaker = circuitBreaker({ ...options, world })
  const stock = policy('stock', breaker)
  const fail = () => stock.outcome(() => Promise.reject(new Error('down')))
  for (let i = 0; i < 4; i += 1) await fail()
  await world.advance(3_600_000)
  await fail()
  expect(breaker.state).toBe('closed')
  expect(breaker.counts).toMatchObject({ failures: 1, consecutive: 1 })
})

test('calls that are slow but follow each other are not mistaken for idling', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 3, forgetAfterMs: 60_000, world })
  const stock = policy('stock', timeout(90_000, { world }), breaker)
  for (let i = 0; i < 3; i += 1) {
    const outcome = stock.outcome(never)
    await world.advance(90_000)
    await outcome
  }
  expect(breaker.state).toBe('open')
})

test('an abort during the backoff ends the call at once and leaves no timer', async () => {
  const world = manualWorld()
  const controller = new AbortController()
  const backoff = exponential({ baseMs: 60_000, capMs: 60_000, jitter: 'none' })
  let calls = 0
  const outcome = policy('stock', retry({ backoff, world })).outcome(
    () => {
      calls += 1
      throw new Error('down')
    },
    { signal: controller.signal },
  )
  await world.advance(10)
  expect(world.pendingTimers()).toBe(1)
  const reason = new Error('left')
  controller.abort(reason)
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
  expect(await outcome).toMatchObject({ ok: false, error: reason })
  await world.advance(120_000)
  expect(calls).toBe(1)
})

test('a timeout outside ends all attempts and waits', async () => {
  const world = manualWorld()
  const backoff = exponential({ baseMs: 50, capMs: 50, jitter: 'none' })
  let calls = 0
  const outcome = policy('stock', timeout(100, { world }), retry({ attempts: 3, backoff, world })).outcome(async () => {
    calls += 1
    await new Promise<void>((resolve) => world.after(30, resolve))
    throw new Error('down')
  })
  await world.advance(100)
  expect(await outcome).toMatchObject({ ok: false, error: { code: 'ERR_TIMEOUT' } })
  await world.advance(1_000)
  expect([calls, world.pendingTimers()]).toEqual([2, 0])
})

test('a queued call that is aborted gives up its place in the queue at once', async () => {
  const world = manualWorld()
  const layer = bulkhead({ limit: 1, queue: 1, world })
  const stock = policy('stock', layer)
  const running = deferred()
  const first = stock.outcome(running.work)
  const controller = new AbortController()
  let ran = false
  const second = stock.outcome(() => (ran = true), { signal: controller.signal })
  expect(layer.queued).toBe(1)
  controller.abort()
  expect(layer.queued).toBe(0)
  expect(await second).toMatchObject({ ok: false, rejected: { rejectedBy: 'cancelled' }, attempts: 0 })
  const third = stock.outcome(() => 'third')
  running.pass()
  expect([await first, await third]).toMatchObject([{ ok: true }, { ok: true, value: 'third' }])
  expect([ran, layer.active]).toEqual([false, 0])
})

test('nobody waits behind a hung probe, and it does not keep the breaker half-open for ever', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, coolDownMs: 1_000, probes: { needed: 1, maxWaitMs: 5_000 }, world })
  const stock = policy('stock', breaker)
  await stock.outcome(() => Promise.reject(new Error('down')))
  await world.advance(1_000)
  const hung = deferred()
  const probe = stock.outcome(hung.work)
  expect(await stock.outcome(() => 1)).toMatchObject({ error: { code: 'ERR_CIRCUIT_OPEN', retryAfterMs: 5_000 } })
  await world.advance(5_000)
  expect(breaker.state).toBe('open')
  await world.advance(1_000)
  expect(await stock.outcome(() => 1)).toMatchObject({ ok: true })
  expect(breaker.state).toBe('closed')
  hung.fail()
  await probe
  expect(breaker.state).toBe('closed')
})

test('a hung probe that answers too late has no say in the next round', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, coolDownMs: 1_000, probes: { allowed: 3, needed: 2, maxWaitMs: 5_000 }, world })
  const stock = policy('stock', breaker)
  await stock.outcome(() => Promise.reject(new Error('down')))
  await world.advance(1_000)
  const hung = deferred()
  const probe = stock.outcome(hung.work)
  await world.advance(5_000)
  await stock.outcome(() => 'good')
  hung.pass()
  await probe
  expect(breaker.state).toBe('half-open')
})

test('a failure from before the opening does not reopen a half-open breaker', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, world })
  const stock = policy('stock', breaker)
  const old = deferred()
  const late = stock.outcome(old.work)
  await stock.outcome(() => Promise.reject(new Error('down')))
  await world.advance(30_000)
  await stock.outcome(() => 'good')
  expect(breaker.state).toBe('half-open')
  old.fail()
  await late
  expect(breaker.state).toBe('half-open')
})

test('a success from before the opening does not close the breaker', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, probes: { needed: 1 }, world })
  const stock = policy('stock', breaker)
  const early = deferred()
  const halfOpen = deferred()
  const late = [stock.outcome(early.work), stock.outcome(halfOpen.work)]
  await stock.outcome(() => Promise.reject(new Error('down')))
  early.pass()
  await late[0]
  expect(breaker.state).toBe('open')
  await world.advance(30_000)
  expect(breaker.state).toBe('half-open')
  halfOpen.pass()
  await late[1]
  expect(breaker.state).toBe('half-open')
})

test('one timeout aborts its own call and no other in flight', async () => {
  const world = manualWorld()
  const stock = policy('stock', timeout(100, { world }))
  const signals: AbortSignal[] = []
  const begin = () =>
    stock.outcome(({ signal }) => {
      signals.push(signal)
      return never()
    })
  void begin()
  await world.advance(1)
  void begin()
  await world.advance(99)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
})

test.each([
  ['calls', () => countWindow(50_000)],
  ['time', () => timeWindow(60_000, 10)],
])('a failure costs the same with 50,000 calls in a window of %s: it does not go through them', (_kind, create) => {
  const window = create()
  for (let i = 0; i < 50_000; i += 1) window.record(i / 10, i % 2 === 0, false)
  const begin = performance.now()
  for (let i = 0; i < 20_000; i += 1) {
    window.record(5_000 + i / 10, true, false)
    window.counts(5_000 + i / 10)
  }
  // Going through the calls, 20,000 times, takes half a minute; this takes a few milliseconds.
  expect(performance.now() - begin).toBeLessThan(1_000)
  expect(window.counts(7_000).failures).toBeGreaterThanOrEqual(25_000)
})
