import { manualWorld, type World } from '@banyan/core'
import { expect, test, vi } from 'vitest'
import { circuitBreaker } from './circuit-breaker.ts'
import { onResilienceEvent } from './events.ts'
import { policy } from './policy.ts'
import { rateLimit } from './rate-limit.ts'
import { gcra, slidingWindow } from './rate-limiter.ts'
import type { RateLimitAnswer } from './rate-quota.ts'
import { type RateQuota, type RateState, takeFrom } from './rate-quota.ts'
import { retry } from './retry.ts'
import { type RateLimitStore, type SharedRateLimiterOptions, sharedRateLimiter } from './shared-rate-limiter.ts'

/** What an adapter makes of a real store: one atomic step a take, on the store's clock. */
function memoryStore(world: World): RateLimitStore {
  const states = new Map<string, RateState>()
  return {
    async take(key, cost, quota) {
      const { state, answer } = takeFrom(quota, states.get(key), cost, world.now())
      states.set(key, state)
      return answer
    },
  }
}

const even: RateQuota = { algorithm: 'gcra', limit: 2, periodMs: 1_000, burst: 2 }
const sliding: RateQuota = { algorithm: 'sliding-window', limit: 2, periodMs: 1_000 }

test.each([
  ['gcra, local', (world: World) => gcra({ limit: 2, periodMs: 1_000, world })],
  ['a sliding window, local', (world: World) => slidingWindow({ limit: 2, periodMs: 1_000, world })],
  ['gcra, shared', (world: World) => sharedRateLimiter({ store: memoryStore(world), quota: even, world })],
  ['a sliding window, shared', (world: World) => sharedRateLimiter({ store: memoryStore(world), quota: sliding, world })],
  ['a quota', () => even],
])('lets so many through by %s, and says when to come back', async (_what, create) => {
  const world = manualWorld()
  const stock = policy('stock', rateLimit({ limiter: create(world), world }))
  const outcomes = [await stock.outcome(() => 1), await stock.outcome(() => 2), await stock.outcome(() => 3)]
  expect(outcomes).toMatchObject([
    { ok: true, value: 1 },
    { ok: true, value: 2 },
    { ok: false, error: { code: 'ERR_RATE_LIMITED', status: 429 }, rejected: { rejectedBy: 'rate-limit' }, attempts: 0 },
  ])
  const waitMs = outcomes[2]?.ok === false ? (outcomes[2].rejected?.retryAfterMs ?? 0) : 0
  expect(waitMs).toBeGreaterThan(0)
  await world.advance(waitMs + 1)
  expect(await stock.outcome(() => 4)).toMatchObject({ ok: true })
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

test('counts by key, and by cost', async () => {
  const world = manualWorld()
  const stock = policy('stock', rateLimit({ limiter: even, key: ({ key }) => key ?? 'none', cost: 2, world }))
  const calls = ['a', 'a', 'b'].map((key) => stock.outcome(() => 1, { key }))
  expect(await Promise.all(calls)).toMatchObject([
    { ok: true },
    { ok: false, error: { message: expect.stringContaining('"a" has used up') } },
    { ok: true },
  ])
})

test('a call waits for its take as long as it may, and leaves at once when it is aborted', async () => {
  const world = manualWorld()
  const stock = policy('stock', rateLimit({ limiter: even, maxWaitMs: 600, world }))
  const done: number[] = []
  const call = (id: number, signal?: AbortSignal) => stock.outcome(() => done.push(id), signal ? { signal } : {})
  const controller = new AbortController()
  const outcomes = [call(1), call(2), call(3), call(4, controller.signal)]
  controller.abort(new Error('left'))
  expect(await outcomes[3]).toMatchObject({ ok: false, rejected: { rejectedBy: 'cancelled' } })
  expect(done).toEqual([1, 2])
  await world.advance(500)
  expect(done).toEqual([1, 2, 3])
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

/** 1,000 calls that come at once, where ten a second go through and each waits little more than a second. */
async function crowd(create: (world: World) => { take(key: string): RateLimitAnswer | Promise<RateLimitAnswer> }) {
  const world = manualWorld()
  const inner = create(world)
  const take = vi.fn((key: string) => inner.take(key))
  const stock = policy('stock', rateLimit({ limiter: { take }, maxWaitMs: 1_050, world }))
  const done: number[] = []
  const controller = new AbortController()
  const outcomes = Array.from({ length: 1_000 }, (_, id) =>
    stock.outcome(() => done.push(id), id === 3 ? { signal: controller.signal } : {}),
  )
  await world.advance(150)
  controller.abort()
  await world.advance(1_000)
  const rejected = (await Promise.all(outcomes)).map((outcome) => (outcome.ok ? undefined : outcome.rejected))
  await world.advance(0)
  return { world, take, done, rejected }
}

test.each([
  ['a limiter of this process', (world: World) => gcra({ limit: 10, periodMs: 1_000, burst: 1, world })],
  [
    'a shared one',
    (world: World) =>
      sharedRateLimiter({ store: memoryStore(world), quota: { algorithm: 'gcra', limit: 10, periodMs: 1_000, burst: 1 }, world }),
  ],
] as const)('those who wait go first come, first served, and do not all ask whenever one may go: %s', async (_what, create) => {
  const { world, take, done, rejected } = await crowd(create)
  expect(done).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11])
  expect(rejected[3]).toMatchObject({ rejectedBy: 'cancelled' })
  expect(rejected.slice(12).every((why) => why?.rejectedBy === 'rate-limit' && (why.retryAfterMs ?? 0) > 0)).toBe(true)
  expect(take.mock.calls.length).toBeLessThan(4_000)
  expect(world.pendingTimers()).toBe(0)
})

test('says nothing about the dependency: no breaker counts it, no retry repeats it', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, world })
  const stock = policy('stock', retry({ world }), breaker, rateLimit({ limiter: { ...even, burst: 1 }, world }))
  await stock.run(() => 1)
  expect(await stock.outcome(() => 1)).toMatchObject({ error: { code: 'ERR_RATE_LIMITED' }, attempts: 0 })
  expect(breaker.state).toBe('closed')
})

test('a key that throws is told to the caller', async () => {
  const key = () => {
    throw new Error('no key')
  }
  expect(await policy('stock', rateLimit({ limiter: even, key })).outcome(() => 1)).toMatchObject({ error: { message: 'no key' } })
})

test('tells of those it refuses', async () => {
  const heard = vi.fn()
  const stop = onResilienceEvent('rate-limit', heard)
  const world = manualWorld()
  const stock = policy('stock', rateLimit({ limiter: { ...even, burst: 1 }, world }))
  await stock.run(() => 1)
  await stock.outcome(() => 1)
  stop()
  expect(heard.mock.calls).toEqual([[{ policy: 'stock', key: 'stock', retryAfterMs: 500 }]])
})

function shared(options: Partial<SharedRateLimiterOptions>) {
  const world = manualWorld()
  const failures: unknown[] = []
  const stop = onResilienceEvent('rate-limit-store', ({ error }) => failures.push(error))
  const store = { take: () => Promise.reject(new Error('connection lost')) }
  return { world, failures, stop, limiter: sharedRateLimiter({ store, quota: even, world, ...options }) }
}

test.each([
  ['local', [true, true, false]],
  ['allow', [true, true, true]],
  ['refuse', [false, false, false]],
] as const)('a store that is away: with "%s" takes are allowed as %j, and each failure is told', async (whenAway, wanted) => {
  const { limiter, failures, stop } = shared({ whenAway })
  const answers = []
  for (let i = 0; i < 3; i += 1) answers.push((await limiter.take('a')).allowed)
  stop()
  expect(answers).toEqual(wanted)
  expect(failures).toEqual(Array.from({ length: 3 }, () => new Error('connection lost')))
})

test('a store that does not answer is waited for no longer than it may take', async () => {
  const { world, limiter, failures, stop } = shared({ store: { take: () => new Promise(() => {}) }, timeoutMs: 50 })
  const answer = limiter.take('a')
  await world.advance(50)
  expect(await answer).toMatchObject({ allowed: true, remaining: 1 })
  stop()
  expect(failures).toMatchObject([{ message: 'the store of a rate limiter did not answer within 50 ms' }])
  expect(world.pendingTimers()).toBe(0)
})

test('a process that was held up itself does not take its store for one that is away', async () => {
  const manual = manualWorld()
  let heldUpMs = 0
  const world: World = { ...manual, monotonic: () => manual.monotonic() + heldUpMs }
  let answer = (_: RateLimitAnswer) => {}
  const store: RateLimitStore = { take: () => new Promise((resolve) => (answer = resolve)) }
  const limiter = sharedRateLimiter({ store, quota: even, world, timeoutMs: 50, whenAway: 'refuse' })
  const taken = limiter.take('eva')
  // The loop stood still for longer than the store may take: its answer lies in a socket.
  heldUpMs = 60
  await manual.advance(50)
  answer({ allowed: true, remaining: 1, resetMs: 1, retryAfterMs: 0 })
  expect(await taken).toMatchObject({ allowed: true })
  // But not for ever.
  const silent = limiter.take('eva')
  heldUpMs = 120
  await manual.advance(50)
  await manual.advance(50)
  expect(await silent).toMatchObject({ allowed: false, isAway: true })
})

test('processes that share a store share the quota', async () => {
  const world = manualWorld()
  const store = memoryStore(world)
  const [one, two] = [sharedRateLimiter({ store, quota: even, world }), sharedRateLimiter({ store, quota: even, world })]
  expect([(await one.take('a')).allowed, (await two.take('a')).allowed, (await one.take('a')).allowed]).toEqual([true, true, false])
})

test('bad options are refused by name', async () => {
  expect(() => rateLimit({ limiter: even, maxWaitMs: -1 })).toThrow('cannot create rate limit: "maxWaitMs" is -1')
  expect(() => rateLimit({ limiter: even, cost: 0 })).toThrow('cannot create rate limit: "cost" is 0, wanted a whole number from 1 to 2')
  expect(() => rateLimit({ limiter: even, cost: 3 })).toThrow('"cost" is 3, wanted a whole number from 1 to 2')
  expect(() => rateLimit({ limiter: { take: vi.fn() }, cost: Number.NaN })).toThrow('"cost" is NaN, wanted a whole number from 1')
  for (const limiter of [undefined, null, 'gcra', {}])
    expect(() => rateLimit({ limiter: limiter as never })).toThrow('cannot create rate limit')
  expect(() => rateLimit({ limiter: { ...even, limit: 0 } })).toThrow('cannot create rate limiter: "limit" is 0')
  expect(() => rateLimit({ limiter: { ...even, algorithm: 'leaky' as 'gcra' } })).toThrow('"algorithm" is "leaky"')
  const store = memoryStore(manualWorld())
  expect(() => sharedRateLimiter({ store, quota: even, whenAway: 'panic' as 'local' })).toThrow('"whenAway" is "panic"')
  expect(() => sharedRateLimiter({ store, quota: even, timeoutMs: 0 })).toThrow('"timeoutMs" is 0')
  await expect(sharedRateLimiter({ store, quota: even }).take('a', 3)).rejects.toThrow('"cost" is 3')
})

test.each([undefined, 7])('a key that is no text is nobody, and is not counted as somebody or as a store that is away: %o', async (key) => {
  const world = manualWorld()
  const store = { take: vi.fn(() => Promise.reject(new TypeError('cannot hash it'))) }
  const message = `cannot take from rate limiter: the key is ${key}, wanted a text`
  for (const limiter of [even, sharedRateLimiter({ store, quota: even, whenAway: 'allow', world })]) {
    const outcome = await policy('stock', rateLimit({ limiter, key: () => key as never, world })).outcome(() => 1)
    expect(outcome).toMatchObject({ ok: false, error: { name: 'TypeError', message }, attempts: 0 })
  }
  expect(store.take).not.toHaveBeenCalled()
})

const rubbish: [unknown][] = [[undefined], [null], [true], [{}], [{ allowed: false }], [{ allowed: false, retryAfterMs: Number.NaN }]]

test.each(rubbish)("a limiter of one's own that answers %o ends its call with an error that says so", async (answer) => {
  const world = manualWorld()
  const layer = rateLimit({ limiter: { take: async () => answer as RateLimitAnswer }, maxWaitMs: 50, world })
  expect(await policy('stock', layer).outcome(() => 1)).toMatchObject({
    ok: false,
    error: { name: 'TypeError', message: expect.stringContaining('cannot limit "stock": the limiter answered ') },
  })
})

test.each(rubbish)('a store that answers %o counts as away', async (answer) => {
  const world = manualWorld()
  const failures: unknown[] = []
  const stop = onResilienceEvent('rate-limit-store', (event) => failures.push(event))
  const limiter = sharedRateLimiter({ store: { take: async () => answer as RateLimitAnswer }, quota: even, world })
  expect(await limiter.take('k')).toMatchObject({ allowed: true, remaining: 1 })
  stop()
  expect(failures).toHaveLength(1)
})
