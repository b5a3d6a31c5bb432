import { CodedError, manualWorld, refuse } from '@banyan/core'
import { expect, test } from 'vitest'
import type { CircuitBreakerOptions } from './breaker-options.ts'
import { bulkhead } from './bulkhead.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { onResilienceEvent } from './events.ts'
import { policy } from './policy.ts'
import { timeout } from './timeout.ts'

function setup(options: Omit<CircuitBreakerOptions, 'world'> = {}) {
  const world = manualWorld()
  const breaker = circuitBreaker({ ...options, world })
  const stock = policy('inventory', breaker)
  const fail = async (times = 1) => {
    for (let i = 0; i < times; i += 1) await stock.outcome(() => Promise.reject(new Error('Service unavailable')))
  }
  const pass = async (times = 1) => {
    for (let i = 0; i < times; i += 1) await stock.outcome(() => 'answer')
  }
  /** A call that the test ends by hand. */
  const begin = () => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const outcome = stock.outcome(() => promise)
    return {
      async pass() {
        resolve('answer')
        await outcome
      },
      async fail() {
        reject(new Error('Service unavailable'))
        await outcome
      },
    }
  }
  return { world, breaker, stock, fail, pass, begin }
}

test('three failures are passed on, then calls four to six are rejected without a call', async () => {
  const { stock } = setup({ failures: 3 })
  let calls = 0
  const seen: string[] = []
  for (let attempt = 1; attempt <= 6; attempt += 1) {
    const outcome = await stock.outcome(() => {
      calls += 1
      throw new Error('Service unavailable')
    })
    if (!outcome.ok && outcome.error instanceof Error) seen.push(`${outcome.rejected?.rejectedBy ?? 'called'}: ${outcome.error.message}`)
  }
  const open = 'breaker: cannot call "inventory": its circuit is open for another 30000 ms'
  const failed = 'called: Service unavailable'
  expect(seen).toEqual([failed, failed, failed, open, open, open])
  expect(calls).toBe(3)
  await expect(stock.run(() => 'answer')).rejects.toMatchObject({ code: 'ERR_CIRCUIT_OPEN', retryAfterMs: 30_000, status: 503 })
})

test('by default opens after 5 failures in a row, probes after 30 s and closes after 2 good answers', async () => {
  const { world, breaker, fail, pass } = setup()
  await fail(4)
  await pass()
  await fail(4)
  expect(breaker.state).toBe('closed')
  await fail()
  expect(breaker.state).toBe('open')
  await world.advance(29_999)
  expect(breaker.state).toBe('open')
  await world.advance(1)
  expect(breaker.state).toBe('half-open')
  await pass()
  expect(breaker.state).toBe('half-open')
  await pass()
  expect(breaker.state).toBe('closed')
  expect(world.pendingTimers()).toBe(0)
})

test('a closed breaker starts to count from nothing', async () => {
  const { world, breaker, fail, pass } = setup({ failures: 2, probes: { needed: 1 } })
  await fail(2)
  await world.advance(30_000)
  await pass()
  await fail()
  expect(breaker.state).toBe('closed')
})

test('a window of calls opens at the failure rate, not before minimumCalls', async () => {
  const { breaker, fail, pass } = setup({ window: { calls: 10 }, minimumCalls: 4, failureRate: 0.5 })
  await fail(3)
  expect(breaker.state).toBe('closed')
  await pass()
  expect(breaker.state).toBe('open')
})

test('a window of calls forgets the oldest', async () => {
  const { breaker, fail, pass } = setup({ window: { calls: 4 }, minimumCalls: 4, failureRate: 0.75 })
  await fail(2)
  await pass(2)
  await fail()
  await pass()
  expect(breaker.counts).toEqual({ calls: 4, failures: 1, slow: 0, consecutive: 0 })
  await fail(2)
  expect(breaker.state).toBe('open')
})

test('a window of time forgets what is older', async () => {
  const { world, breaker, fail, pass } = setup({ window: { timeMs: 10_000 }, minimumCalls: 4, failureRate: 0.5 })
  await fail(3)
  await world.advance(5_000)
  await pass()
  expect(breaker.state).toBe('open')
  breaker.reset()
  await fail(3)
  await world.advance(10_000)
  await pass()
  expect(breaker.counts).toEqual({ calls: 1, failures: 0, slow: 0, consecutive: 0 })
  expect(breaker.state).toBe('closed')
})

test('failures in a row can open beside a window', async () => {
  const { breaker, fail, pass } = setup({ window: { calls: 100 }, minimumCalls: 100, failures: 3 })
  await pass(50)
  await fail(3)
  expect(breaker.state).toBe('open')
})

test('opens at the rate of slow calls, and a probe that is slow does not close', async () => {
  const { world, breaker, begin } = setup({
    window: { calls: 4 },
    slow: { overMs: 800, rate: 0.5 },
    coolDownMs: 1_000,
    probes: { needed: 1 },
  })
  const take = async (ms: number) => {
    const call = begin()
    await world.advance(ms)
    await call.pass()
  }
  for (const ms of [800, 800, 801]) await take(ms)
  expect(breaker.counts).toMatchObject({ calls: 3, slow: 1, failures: 0 })
  await take(801)
  expect(breaker.state).toBe('open')
  await world.advance(1_000)
  await take(801)
  expect(breaker.state).toBe('open')
  await world.advance(1_000)
  await take(800)
  expect(breaker.state).toBe('closed')
})

test('half-open lets `allowed` probes through and closes when `needed` are good', async () => {
  const { world, breaker, stock, fail, begin } = setup({ failures: 1, probes: { allowed: 3, needed: 2 } })
  await fail()
  await world.advance(30_000)
  const [first, second, third] = [begin(), begin(), begin()]
  expect(await stock.outcome(() => 'answer')).toMatchObject({
    error: { code: 'ERR_CIRCUIT_OPEN', message: 'cannot call "inventory": its circuit is half-open and all its probes are under way' },
    attempts: 0,
  })
  await first.fail()
  await second.pass()
  expect(breaker.state).toBe('half-open')
  await third.pass()
  expect(breaker.state).toBe('closed')
})

test('half-open opens again as soon as not enough probes can be good', async () => {
  const { world, breaker, fail, begin } = setup({ failures: 1, probes: { allowed: 3, needed: 2 } })
  await fail()
  await world.advance(30_000)
  const [first, second] = [begin(), begin()]
  await first.fail()
  expect(breaker.state).toBe('half-open')
  await second.fail()
  expect(breaker.state).toBe('open')
})

test('each opening in a row lasts longer, up to the most, and closing starts anew', async () => {
  const { world, breaker, stock, fail, pass } = setup({
    failures: 1,
    coolDownMs: 1_000,
    coolDownGrowth: { factor: 2, maxMs: 3_000 },
    probes: { needed: 1 },
  })
  const coolDown = async () => {
    const outcome = await stock.outcome(() => 'answer')
    return outcome.ok ? 0 : outcome.rejected?.retryAfterMs
  }
  for (const ms of [1_000, 2_000, 3_000, 3_000]) {
    await fail()
    expect(await coolDown()).toBe(ms)
    await world.advance(ms)
  }
  await pass()
  await fail()
  expect(breaker.state).toBe('open')
  expect(await coolDown()).toBe(1_000)
})

test.each([
  ['a refusal', () => refuse('out-of-stock')],
  ['a refusal that is thrown', () => Promise.reject(refuse('out-of-stock'))],
  ['an error that blames the request', () => Promise.reject(new CodedError('ERR_PROBLEM', 'not found', { status: 404 }))],
] as [string, () => unknown][])('%s is no failure', async (_what, work) => {
  const { breaker, stock } = setup({ failures: 1 })
  await stock.outcome(work)
  expect(breaker.state).toBe('closed')
})

test.each([408, 425, 429, 500, 503])('an error with status %i is a failure', async (status) => {
  const { breaker, stock } = setup({ failures: 1 })
  await stock.outcome(() => Promise.reject(new CodedError('ERR_PROBLEM', 'no', { status })))
  expect(breaker.state).toBe('open')
})

test('isFailure decides over errors and values, but is not asked about refusals', async () => {
  const asked: unknown[] = []
  const { breaker, stock, fail } = setup({
    failures: 1,
    isFailure: (settled) => {
      asked.push(settled)
      return settled.ok && settled.value === 503
    },
  })
  await fail()
  await stock.outcome(() => 200)
  await stock.outcome(() => refuse('out-of-stock'))
  expect(breaker.state).toBe('closed')
  await stock.outcome(() => 503)
  expect(breaker.state).toBe('open')
  expect(asked).toHaveLength(3)
})

test('an isFailure that throws is told to the caller and does not hold the probe', async () => {
  const { breaker, stock, fail, world } = setup({
    failures: 1,
    probes: { needed: 1 },
    isFailure: ({ ok }) => {
      if (ok) throw new Error('isFailure is broken')
      return true
    },
  })
  await fail()
  await world.advance(30_000)
  expect(await stock.outcome(() => 'answer')).toMatchObject({ error: { message: 'isFailure is broken' } })
  expect(breaker.state).toBe('open')
})

test('a call that the caller aborts says nothing, and gives its probe to the next', async () => {
  const { world, breaker, stock, fail, pass } = setup({ failures: 1, probes: { needed: 1 } })
  const abort = async () => {
    const controller = new AbortController()
    const outcome = stock.outcome(() => new Promise(() => {}), { signal: controller.signal })
    controller.abort()
    await outcome
  }
  await abort()
  expect(breaker.counts.failures).toBe(0)
  await fail()
  await world.advance(30_000)
  await abort()
  expect(breaker.state).toBe('half-open')
  await pass()
  expect(breaker.state).toBe('closed')
})

test('a timeout outside counts at once, also when the function does not listen to its signal', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, world })
  const outcome = policy('inventory', timeout(100, { world }), breaker).outcome(() => new Promise(() => {}))
  await world.advance(100)
  expect(await outcome).toMatchObject({ error: { code: 'ERR_TIMEOUT' } })
  expect(breaker.state).toBe('open')
})

test('a full bulkhead inside says nothing about the dependency', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, world })
  const stock = policy('inventory', breaker, bulkhead({ limit: 1, world }))
  void stock.outcome(() => new Promise(() => {}))
  expect(await stock.outcome(() => 1)).toMatchObject({ error: { code: 'ERR_BULKHEAD_FULL' } })
  expect(breaker.state).toBe('closed')
})

test('forceOpen rejects until it is disposed of, and says why', async () => {
  const { world, breaker, stock, pass } = setup()
  {
    using _hold = breaker.forceOpen('maintenance')
    await world.advance(3_600_000)
    expect(await stock.outcome(() => 1)).toMatchObject({
      error: {
        code: 'ERR_CIRCUIT_OPEN',
        message: 'cannot call "inventory": its circuit was opened by hand: maintenance',
        retryAfterMs: undefined,
      },
    })
    expect(breaker.state).toBe('forced-open')
  }
  await pass()
  expect(breaker.state).toBe('closed')
})

test('an old hold does not end what came after it', () => {
  const { breaker } = setup()
  const hold = breaker.forceOpen()
  breaker.reset()
  breaker.forceOpen('again')
  hold[Symbol.dispose]()
  expect(breaker.state).toBe('forced-open')
})

test('disabled lets everything through and counts nothing; reset closes', async () => {
  const { breaker, fail } = setup({ failures: 1 })
  await fail()
  breaker.disable()
  const before = breaker.counts
  await fail(10)
  expect([breaker.state, breaker.counts]).toEqual(['disabled', before])
  breaker.reset()
  expect(breaker.state).toBe('closed')
  await fail()
  expect(breaker.state).toBe('open')
})

test('one that is opened by hand while it tells of a change lets no call through any more', async () => {
  const { world, breaker, stock, fail } = setup({ failures: 1, coolDownMs: 1_000 })
  await fail()
  const stop = onResilienceEvent('circuit-breaker', ({ to }) => {
    if (to === 'half-open') breaker.forceOpen('the release of today')
  })
  await world.advance(1_000)
  const outcome = await stock.outcome(() => 'answer')
  stop()
  expect(outcome).toMatchObject({ ok: false, error: { message: expect.stringContaining('the release of today') }, attempts: 0 })
  expect(breaker.state).toBe('forced-open')
})

test('one breaker in two policies is one breaker', async () => {
  const { world, breaker, fail } = setup({ failures: 1 })
  const other = policy('other', timeout(10, { world }), breaker)
  await fail()
  expect(await other.outcome(() => 1)).toMatchObject({ error: { code: 'ERR_CIRCUIT_OPEN', policy: 'other' } })
})

test.each([
  [{ failures: 0 }, '"failures" is 0, wanted a whole number from 1'],
  [{ window: { calls: 0 } }, '"window.calls" is 0'],
  [{ window: { timeMs: 0 } }, '"window.timeMs" is 0'],
  [{ window: { timeMs: 100, slices: 0 } }, '"window.slices" is 0'],
  [{ window: { calls: 5 }, minimumCalls: 6 }, '"minimumCalls" is 6, wanted a whole number from 1 to 5'],
  [{ window: { calls: 5 }, failureRate: 0 }, '"failureRate" is 0'],
  [{ window: { calls: 5 }, failureRate: 50 }, '"failureRate" is 50'],
  [{ window: { calls: 5 }, slow: { overMs: -1, rate: 0.5 } }, '"slow.overMs" is -1'],
  [{ window: { calls: 5 }, slow: { overMs: 1, rate: 2 } }, '"slow.rate" is 2'],
  [{ failureRate: 0.5 }, '"failureRate" needs a "window"'],
  [{ slow: { overMs: 1, rate: 0.5 } }, '"slow" needs a "window"'],
  [{ coolDownMs: 0 }, '"coolDownMs" is 0'],
  [{ coolDownGrowth: { factor: 0.5, maxMs: 60_000 } }, '"coolDownGrowth.factor" is 0.5'],
  [{ coolDownGrowth: { factor: 2, maxMs: 1 } }, '"coolDownGrowth.maxMs" is 1, wanted a number from 30000'],
  [{ probes: { allowed: 1, needed: 2 } }, '"probes.allowed" is 1, wanted a whole number from 2'],
  [{ probes: { maxWaitMs: 0 } }, '"probes.maxWaitMs" is 0'],
  [{ forgetAfterMs: 0 }, '"forgetAfterMs" is 0'],
] as [CircuitBreakerOptions, string][])('refuses %o', (options, message) => {
  expect(() => circuitBreaker(options)).toThrow(new RegExp(`^cannot create circuit breaker: ${message.replace(/[".]/g, '\\$&')}`))
})
