import { manualWorld, systemWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { gcra } from './rate-limiter.ts'
import { type RateState, takeFrom } from './rate-quota.ts'

test('allows a burst, then one take an interval', async () => {
  const world = manualWorld()
  const limiter = gcra({ limit: 10, periodMs: 1_000, burst: 3, world })
  expect([1, 2, 3].map(() => limiter.take('ada').remaining)).toEqual([2, 1, 0])
  expect(limiter.take('ada')).toEqual({ allowed: false, remaining: 0, resetMs: 300, retryAfterMs: 100 })
  await world.advance(99)
  expect(limiter.take('ada').allowed).toBe(false)
  await world.advance(1)
  expect(limiter.take('ada')).toMatchObject({ allowed: true, remaining: 0, retryAfterMs: 0 })
  expect(limiter.take('ada').allowed).toBe(false)
})

test.each([
  { algorithm: 'gcra', limit: 2, periodMs: 1_000, burst: 2 },
  { algorithm: 'sliding-window', limit: 2, periodMs: 1_000 },
] as const)('nobody is locked out when the clock of a store is set back: $algorithm', (quota) => {
  let state: RateState | undefined
  const take = (now: number) => {
    const taken = takeFrom(quota, state, 1, now)
    state = taken.state
    return taken.answer
  }
  const [noon, anHourBefore] = [43_200_000, 39_600_000]
  expect([take(noon).allowed, take(noon).allowed]).toEqual([true, true])
  expect(take(anHourBefore)).toMatchObject({ allowed: false, remaining: 0 })
  expect(take(anHourBefore).retryAfterMs).toBeLessThan(2_000)
  expect(take(anHourBefore + 2_000).allowed).toBe(true)
})

test('a refused take costs nothing', async () => {
  const world = manualWorld()
  const limiter = gcra({ limit: 1, periodMs: 1_000, world })
  limiter.take('ada')
  for (let i = 0; i < 10; i += 1) limiter.take('ada')
  await world.advance(1_000)
  expect(limiter.take('ada').allowed).toBe(true)
})

test('keys do not share', () => {
  const limiter = gcra({ limit: 1, periodMs: 1_000, world: manualWorld() })
  expect([limiter.take('ada').allowed, limiter.take('bob').allowed, limiter.take('ada').allowed]).toEqual([true, true, false])
})

test('the whole burst is there also when the interval is no round number', () => {
  const limiter = gcra({ limit: 7, periodMs: 1_000, world: manualWorld() })
  expect(Array.from({ length: 8 }, () => limiter.take('ada').allowed)).toEqual([true, true, true, true, true, true, true, false])
})

test('remembers at most maxKeys keys, the ones asked for last', () => {
  const limiter = gcra({ limit: 1, periodMs: 60_000, maxKeys: 3, world: manualWorld() })
  for (const key of ['a', 'b', 'c', 'a', 'd']) limiter.take(key)
  expect(limiter.keys).toBe(3)
  expect(limiter.take('a').allowed).toBe(false)
  expect(limiter.take('b').allowed).toBe(true)
})

test('keys that are full again are forgotten, without a timer', async () => {
  const world = manualWorld()
  const limiter = gcra({ limit: 1, periodMs: 1_000, world })
  for (let i = 0; i < 100; i += 1) limiter.take(`key ${i}`)
  expect(limiter.keys).toBe(100)
  await world.advance(1_000)
  for (let i = 0; i < 100; i += 1) limiter.take('other')
  expect(limiter.keys).toBe(1)
  expect(world.pendingTimers()).toBe(0)
})

test('agrees with a token bucket that is refilled continuously', () => {
  const step = fc.record({ waitMs: fc.integer({ min: 0, max: 300 }), cost: fc.integer({ min: 1, max: 3 }), key: fc.constantFrom('a', 'b') })
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 5, 10, 100), fc.integer({ min: 3, max: 8 }), fc.array(step), (limit, burst, steps) => {
      let now = 0
      const limiter = gcra({ limit, periodMs: 1_000, burst, world: { ...systemWorld, monotonic: () => now } })
      const intervalMs = 1_000 / limit
      const buckets = new Map<string, { tokens: number; at: number }>()
      for (const { waitMs, cost, key } of steps) {
        now += waitMs
        const { tokens, at } = buckets.get(key) ?? { tokens: burst, at: now }
        const full = Math.min(burst, tokens + (now - at) / intervalMs)
        const allowed = full + 1e-6 >= cost
        const left = allowed ? full - cost : full
        buckets.set(key, { tokens: left, at: now })
        const answer = limiter.take(key, cost)
        expect(answer.allowed).toBe(allowed)
        expect(answer.remaining).toBe(Math.floor(left + 1e-6))
        expect(answer.resetMs).toBeCloseTo((burst - left) * intervalMs, 3)
        expect(answer.retryAfterMs).toBeCloseTo(allowed ? 0 : (cost - full) * intervalMs, 3)
      }
    }),
  )
})

test('bad options and costs are refused by name', () => {
  expect(() => gcra({ limit: 0, periodMs: 1_000 })).toThrow('cannot create rate limiter: "limit" is 0, wanted a number from 1')
  expect(() => gcra({ limit: 1, periodMs: 0 })).toThrow('"periodMs" is 0')
  expect(() => gcra({ limit: 1, periodMs: 1, burst: 1.5 })).toThrow('"burst" is 1.5')
  expect(() => gcra({ limit: 1, periodMs: 1, maxKeys: 0 })).toThrow('"maxKeys" is 0')
  expect(() => gcra({ limit: 2, periodMs: 1 }).take('a', 3)).toThrow('cannot take from rate limiter for "a": "cost" is 3')
})
