import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import type { CircuitBreakerOptions } from './breaker-options.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { policy } from './policy.ts'

function setup(options: Omit<CircuitBreakerOptions, 'world'>) {
  const world = manualWorld()
  const breaker = circuitBreaker({ ...options, world })
  const stock = policy('inventory', breaker)
  const fail = async (times = 1) => {
    for (let i = 0; i < times; i += 1) await stock.outcome(() => Promise.reject(new Error('down')))
  }
  const pass = () => stock.outcome(() => 'answer')
  return { world, breaker, stock, fail, pass }
}

test('a new number of failures holds for the next outcome, and what was counted stays', async () => {
  const { breaker, fail } = setup({ failures: 10 })
  await fail(4)
  breaker.reconfigure({ failures: 3 })
  expect(breaker.state).toBe('closed')
  expect(breaker.counts.consecutive).toBe(4)
  await fail()
  expect(breaker.state).toBe('open')
})

test('calls under way are counted by the new rules', async () => {
  const { breaker, stock } = setup({ failures: 5 })
  const { promise, reject } = Promise.withResolvers()
  const running = stock.outcome(() => promise)
  breaker.reconfigure({ failures: 1 })
  reject(new Error('down'))
  await running
  expect(breaker.state).toBe('open')
})

test('another window begins empty, but for the failures in a row; the same one keeps its counts', async () => {
  const { breaker, fail } = setup({ window: { calls: 10 }, minimumCalls: 5 })
  await fail(3)
  breaker.reconfigure({ failureRate: 0.9 })
  expect(breaker.counts).toMatchObject({ calls: 3, failures: 3 })
  breaker.reconfigure({ window: { calls: 20 } })
  expect(breaker.counts).toMatchObject({ calls: 3, failures: 3, consecutive: 3 })
  breaker.reconfigure({ window: { timeMs: 1_000 } })
  expect(breaker.counts).toMatchObject({ calls: 0, failures: 0 })
})

test('a shorter cool-down ends one that runs, a longer one waits for the next opening', async () => {
  const { world, breaker, fail, pass } = setup({ failures: 1, coolDownMs: 30_000, probes: { needed: 1 } })
  await fail()
  breaker.reconfigure({ coolDownMs: 1_000 })
  expect(await pass()).toMatchObject({ rejected: { retryAfterMs: 1_000 } })
  breaker.reconfigure({ coolDownMs: 60_000 })
  await world.advance(1_000)
  expect(breaker.state).toBe('half-open')
  await fail()
  expect(await pass()).toMatchObject({ rejected: { retryAfterMs: 60_000 } })
})

test('probes that have answered are judged anew', async () => {
  const { world, breaker, fail, pass } = setup({ failures: 1, probes: { allowed: 5, needed: 4 } })
  await fail()
  await world.advance(30_000)
  await pass()
  await pass()
  expect(breaker.state).toBe('half-open')
  breaker.reconfigure({ probes: { allowed: 5, needed: 2 } })
  expect(breaker.state).toBe('closed')
})

test('a new isFailure sees the next outcome, of values too', async () => {
  const { breaker, stock } = setup({ failures: 1 })
  breaker.reconfigure({ isFailure: ({ ok }) => ok })
  await stock.outcome(() => Promise.reject(new Error('down')))
  expect(breaker.state).toBe('closed')
  await stock.outcome(() => 1)
  expect(breaker.state).toBe('open')
})

test('bad options change nothing', async () => {
  const { breaker, fail } = setup({ failures: 2 })
  expect(() => breaker.reconfigure({ failures: 1, coolDownMs: 0 })).toThrow('cannot reconfigure circuit breaker: "coolDownMs" is 0')
  await fail()
  expect(breaker.state).toBe('closed')
  expect(() => breaker.reconfigure({ probes: { overflow: 'queue' as 'wait' } })).toThrow('"probes.overflow" is "queue"')
})

test('explain says what holds now', () => {
  const { breaker, stock } = setup({ failures: 2 })
  breaker.reconfigure({ failures: 7 })
  expect(stock.explain().order).toEqual(['circuit breaker, opens after 7 failures in a row, for 30000 ms'])
})
