import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import type { CircuitBreakerOptions } from './breaker-options.ts'
import type { BreakerSnapshot } from './breaker-snapshot.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { policy } from './policy.ts'

function setup(options: Omit<CircuitBreakerOptions, 'world'>, startMs = Date.UTC(2026, 0, 1)) {
  const world = manualWorld({ startMs })
  const breaker = circuitBreaker({ ...options, world })
  const stock = policy('inventory', breaker)
  const fail = () => stock.outcome(() => Promise.reject(new Error('down')))
  const pass = () => stock.outcome(() => 'answer')
  return { world, breaker, fail, pass }
}

const throughJson = (snapshot: BreakerSnapshot): BreakerSnapshot => JSON.parse(JSON.stringify(snapshot))

test('an open breaker stays open for the rest of its cool-down, as wall clocks have it', async () => {
  const before = setup({ failures: 1 })
  await before.fail()
  await before.world.advance(10_000)
  const snapshot = throughJson(before.breaker.snapshot())
  const later = setup({ failures: 1 }, before.world.now() + 5_000)
  later.breaker.restore(snapshot)
  expect(await later.pass()).toMatchObject({ rejected: { retryAfterMs: 15_000 } })
  await later.world.advance(15_000)
  expect(later.breaker.state).toBe('half-open')
})

test('one that is restored stays open no longer than its own options say, whatever those were that it opened by', async () => {
  const before = setup({ failures: 1, coolDownMs: 3_600_000 })
  await before.fail()
  const later = setup({ failures: 1, coolDownMs: 1_000 }, before.world.now())
  later.breaker.restore(throughJson(before.breaker.snapshot()))
  expect(await later.pass()).toMatchObject({ rejected: { retryAfterMs: 1_000 } })
  later.breaker.restore({ ...throughJson(before.breaker.snapshot()), remainingMs: Number.MAX_VALUE })
  await later.world.advance(1_000)
  expect(later.breaker.state).toBe('half-open')
})

test('a growing cool-down goes on growing', async () => {
  const options = { failures: 1, coolDownMs: 1_000, coolDownGrowth: { factor: 2, maxMs: 60_000 } }
  const before = setup(options)
  await before.fail()
  await before.world.advance(1_000)
  const later = setup(options, before.world.now())
  later.breaker.restore(throughJson(before.breaker.snapshot()))
  expect(later.breaker.state).toBe('half-open')
  await later.fail()
  expect(await later.pass()).toMatchObject({ rejected: { retryAfterMs: 2_000 } })
})

test.each([
  ['failures in a row', { failures: 4 }],
  ['a window of calls', { window: { calls: 6 }, minimumCalls: 6, failureRate: 0.5 }],
  ['a window of time', { window: { timeMs: 10_000 }, minimumCalls: 6, failureRate: 0.5 }],
] as [string, CircuitBreakerOptions][])('%s carries on counting', async (_what, options) => {
  const before = setup(options)
  for (const ok of [true, true, false, false, false]) await (ok ? before.pass() : before.fail())
  await before.world.advance(2_000)
  const later = setup(options, before.world.now() + 1_000)
  later.breaker.restore(throughJson(before.breaker.snapshot()))
  expect(later.breaker.counts).toEqual(before.breaker.counts)
  expect(later.breaker.state).toBe('closed')
  await later.fail()
  expect(later.breaker.state).toBe('open')
})

test('a window of time loses what grew too old meanwhile', async () => {
  const options = { window: { timeMs: 10_000 } }
  const before = setup(options)
  await before.fail()
  await before.world.advance(5_000)
  await before.fail()
  await before.fail()
  const later = setup(options, before.world.now() + 6_000)
  later.breaker.restore(throughJson(before.breaker.snapshot()))
  expect(later.breaker.counts.calls).toBe(2)
  await later.world.advance(3_000)
  expect(later.breaker.counts.calls).toBe(2)
  await later.world.advance(1_000)
  expect(later.breaker.counts.calls).toBe(0)
})

test('failures are as old as they were, also in a window of another length', async () => {
  const wide = { window: { timeMs: 60_000 }, minimumCalls: 3 }
  const narrow = { window: { timeMs: 12_000 }, minimumCalls: 3 }
  const before = setup(wide)
  await before.fail()
  await before.world.advance(40_000)
  await before.fail()
  await before.world.advance(6_000)
  const later = setup(narrow, before.world.now())
  later.breaker.restore(throughJson(before.breaker.snapshot()))
  expect(later.breaker.counts.calls).toBe(1)
  const wider = setup(wide, later.world.now())
  wider.breaker.restore(throughJson(later.breaker.snapshot()))
  await wider.world.advance(50_000)
  expect(wider.breaker.counts.calls).toBe(1)
})

test.each([
  ['before the restart', 301_000, 0],
  ['while no process ran', 0, 301_000],
  ['in part before it and in part after', 200_000, 200_000],
])('failures are forgotten after a pause: %s', async (_what, beforeMs, afterMs) => {
  const before = setup({ failures: 2 })
  await before.fail()
  await before.world.advance(beforeMs)
  const later = setup({ failures: 2 }, before.world.now() + afterMs)
  later.breaker.restore(throughJson(before.breaker.snapshot()))
  await later.fail()
  expect(later.breaker.state).toBe('closed')
  await later.fail()
  expect(later.breaker.state).toBe('open')
})

test('forced open and disabled stay so', () => {
  const before = setup({ failures: 1 })
  before.breaker.forceOpen('maintenance')
  const later = setup({ failures: 1 })
  later.breaker.restore(throughJson(before.breaker.snapshot()))
  expect(later.breaker.snapshot()).toMatchObject({ state: 'forced-open', why: 'maintenance' })
  before.breaker.disable()
  later.breaker.restore(throughJson(before.breaker.snapshot()))
  expect(later.breaker.state).toBe('disabled')
})

test('a call from before the restore does not move what was restored', async () => {
  const { breaker, world } = setup({ failures: 1 })
  const { promise, reject } = Promise.withResolvers<never>()
  const outcome = policy('inventory', breaker).outcome(() => promise)
  breaker.restore(throughJson(breaker.snapshot()))
  reject(new Error('down'))
  await outcome
  await world.advance(0)
  expect(breaker.state).toBe('closed')
})

test.each([
  [null, 'the snapshot is null, wanted an object'],
  [{ version: 2 }, '"version" is 2, wanted 1'],
  [{ state: 'ajar' }, '"state" is "ajar"'],
  [{ at: 'now' }, '"at" is now, wanted a number from 0'],
  [{ remainingMs: -1 }, '"remainingMs" is -1'],
  [{ idleMs: 'long' }, '"idleMs" is long'],
  [{ openings: Number.NaN }, '"openings" is NaN'],
  [{ window: undefined }, '"window.consecutive" is undefined'],
  [{ window: { consecutive: 0, outcomes: 'all' } }, '"window.outcomes" is not a list of numbers'],
  [{ window: { consecutive: 0, slices: [], sliceMs: 'long' } }, '"window.sliceMs" is long'],
  [{ window: { consecutive: 0, slices: [{ age: 0 }] } }, '"window.slices" is not a list of { age, calls, failures, slow }'],
])('refuses a damaged snapshot: %o', (damage, message) => {
  const { breaker } = setup({ failures: 1 })
  // What a file may hold has no type.
  const damaged = damage && ({ ...breaker.snapshot(), ...damage } as BreakerSnapshot)
  expect(() => breaker.restore(damaged as BreakerSnapshot)).toThrow(`cannot restore circuit breaker: ${message}`)
  expect(breaker.state).toBe('closed')
})
