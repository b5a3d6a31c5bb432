/**
 * One test for each defect that circuit breakers, retries and bulkheads in use today are known for. Each is asked of our layers, of
 * naive ones without any defect, and of naive ones with that defect, which must fail: so the tests are known to see what they are for.
 */
import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { exponential } from './backoff.ts'
import type { CircuitBreakerOptions } from './breaker-options.ts'
import { countWindow, timeWindow } from './breaker-window.ts'
import { bulkhead } from './bulkhead.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { policy } from './policy.ts'
import { retry } from './retry.ts'
import type { DefectKit, Scenario } from './test/defects.ts'
import * as defects from './test/defects.ts'
import { type Defect, naiveKit } from './test/naive-layers.ts'
import { timeout } from './timeout.ts'

const never = () => new Promise<never>(() => {})

function deferred() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  return { work: () => promise, pass: () => resolve('answer'), fail: () => reject(new Error('down')) }
}

const ours: DefectKit = {
  breaker: ({ failures, coolDownMs, maxWaitMs }, world) =>
    circuitBreaker({ failures, coolDownMs, probes: { needed: 1, maxWaitMs }, world }),
  retry: ({ attempts, delayMs }, world) =>
    retry({ attempts, backoff: exponential({ baseMs: delayMs, capMs: delayMs, jitter: 'none' }), world }),
  bulkhead: ({ limit, queue }, world) => bulkhead({ limit, queue, world }),
  timeout: (timeoutMs, world) => timeout(timeoutMs, { world }),
  window: (size) => failing(countWindow(size)),
}
const variants: readonly (readonly [string, Partial<DefectKit>])[] = [
  ['as they come', {}],
  [
    'with calls that wait for probes',
    {
      breaker: ({ failures, coolDownMs, maxWaitMs }, world) =>
        circuitBreaker({ failures, coolDownMs, probes: { needed: 1, maxWaitMs, overflow: 'wait' }, world }),
    },
  ],
  [
    'with a window of calls',
    {
      breaker: ({ failures, coolDownMs, maxWaitMs }, world) =>
        circuitBreaker({ window: { calls: 100 }, minimumCalls: failures, coolDownMs, probes: { needed: 1, maxWaitMs }, world }),
    },
  ],
  [
    'with a window of time',
    {
      breaker: ({ failures, coolDownMs, maxWaitMs }, world) =>
        circuitBreaker({ window: { timeMs: 10_000 }, minimumCalls: failures, coolDownMs, probes: { needed: 1, maxWaitMs }, world }),
      window: () => failing(timeWindow(60_000, 10)),
    },
  ],
]

function failing(window: ReturnType<typeof countWindow>): { fail(now: number): void } {
  return {
    fail(now) {
      window.record(now, true, false)
      window.counts(now)
    },
  }
}

const known: readonly (readonly [string, Scenario, Defect])[] = [
  ['failures an hour old are still counted after an idle hour', defects.failuresAnHourOldCount, 'never-forgets'],
  ['an abort is ignored during the backoff', defects.abortIsIgnoredDuringBackoff, 'deaf-backoff'],
  ['a queued call that is aborted keeps its slot', defects.abortedCallKeepsItsSlot, 'keeps-slot'],
  ['callers wait behind a hung probe', defects.callersWaitBehindHungProbe, 'waits-behind-probe'],
  ['a failure from before the opening reopens half-open', defects.failureFromBeforeOpeningReopens, 'old-failure-reopens'],
  ['a success from before the opening closes it', defects.successFromBeforeOpeningCloses, 'old-success-closes'],
  ['one timeout aborts every call in flight', defects.oneTimeoutAbortsAll, 'aborts-all'],
  ['a failure goes through the window', defects.failureGoesThroughTheWindow(500), 'sorts-window'],
]

for (const [what, scenario, defect] of known) {
  test.each(variants)(`not ours: ${what}, %s`, async (_variant, kit) => scenario({ ...ours, ...kit }))
  test(`not of naive layers without a defect: ${what}`, async () => scenario(naiveKit(undefined)))
  test(`found in a mutant: ${what}`, async () => {
    await expect(scenario(naiveKit(defect))).rejects.toHaveProperty('name', 'AssertionError')
  })
}

test.each([
  ['calls', (size: number) => countWindow(size)],
  ['time', () => timeWindow(60_000, 10)],
])('a failure with 50,000 calls in a window of %s touches as little as with few', async (_kind, create) =>
  defects.failureGoesThroughTheWindow(50_000)({ ...ours, window: (size) => failing(create(size)) }),
)

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
