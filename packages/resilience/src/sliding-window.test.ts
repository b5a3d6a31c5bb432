import { manualWorld, systemWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { slidingWindow } from './rate-limiter.ts'

test('does not give a second burst at the end of a period', async () => {
  const world = manualWorld()
  const limiter = slidingWindow({ limit: 10, periodMs: 1_000, world })
  await world.advance(900)
  const take = () => limiter.take('a').allowed
  expect(Array.from({ length: 12 }, take).filter(Boolean)).toHaveLength(10)
  await world.advance(200)
  // Nine tenths of the period before still lie in the window: one of ten is free.
  expect(Array.from({ length: 12 }, take).filter(Boolean)).toHaveLength(1)
})

test('says when the same take would be allowed, and it is then and no sooner', async () => {
  const taking = fc.record({ waitMs: fc.integer({ min: 0, max: 1_500 }), cost: fc.integer({ min: 1, max: 4 }) })
  fc.assert(
    fc.property(fc.array(taking, { minLength: 1, maxLength: 30 }), (steps) => {
      let now = 0
      const create = () => slidingWindow({ limit: 4, periodMs: 1_000, world: { ...systemWorld, monotonic: () => now } })
      const limiter = create()
      const done: { at: number; cost: number }[] = []
      for (const { waitMs, cost } of steps) {
        now += waitMs
        const { allowed, retryAfterMs, resetMs } = limiter.take('a', cost)
        if (allowed) {
          done.push({ at: now, cost })
          continue
        }
        const again = (at: number) => {
          const other = create()
          for (const taken of done) {
            now = taken.at
            other.take('a', taken.cost)
          }
          now = at
          return other.take('a', cost).allowed
        }
        const before = now
        expect(again(before + retryAfterMs + 0.001)).toBe(true)
        expect(again(before + retryAfterMs - 0.001)).toBe(false)
        expect(retryAfterMs).toBeLessThanOrEqual(resetMs)
        now = before
      }
    }),
  )
})

test('agrees with a list of all takes, of which the period before counts in part', () => {
  const step = fc.record({
    waitMs: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constant(5_000)),
    key: fc.constantFrom('a', 'b'),
    cost: fc.integer({ min: 1, max: 3 }),
  })
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 8 }), fc.array(step, { maxLength: 60 }), (limit, steps) => {
      let now = 0
      const limiter = slidingWindow({ limit, periodMs: 1_000, world: { ...systemWorld, monotonic: () => now } })
      const log: { at: number; key: string; cost: number }[] = []
      for (const { waitMs, key, cost } of steps) {
        now += waitMs
        const period = Math.floor(now / 1_000)
        const taken = (which: number) =>
          log.filter((one) => one.key === key && Math.floor(one.at / 1_000) === which).reduce((sum, one) => sum + one.cost, 0)
        const weighted = () => taken(period) + taken(period - 1) * (1 - (now % 1_000) / 1_000)
        const wanted = weighted() + cost <= limit + 1e-9
        const answer = limiter.take(key, cost)
        expect(answer.allowed).toBe(wanted)
        if (wanted) log.push({ at: now, key, cost })
        expect(answer.remaining).toBe(Math.max(0, Math.floor(limit - weighted() + 1e-9)))
        expect(answer.resetMs).toBeCloseTo(
          taken(period) > 0 ? (period + 2) * 1_000 - now : taken(period - 1) > 0 ? (period + 1) * 1_000 - now : 0,
          6,
        )
      }
    }),
  )
})

test('keys that have all their takes again are forgotten', async () => {
  const world = manualWorld()
  const limiter = slidingWindow({ limit: 1, periodMs: 100, world })
  for (let i = 0; i < 100; i += 1) limiter.take(`key ${i}`)
  await world.advance(1_000)
  for (let i = 0; i < 60; i += 1) limiter.take('one')
  expect(limiter.keys).toBeLessThan(5)
})

test('bad options and costs are refused by name', () => {
  expect(() => slidingWindow({ limit: 0, periodMs: 1 })).toThrow('cannot create rate limiter: "limit" is 0')
  expect(() => slidingWindow({ limit: 1, periodMs: 0 })).toThrow('"periodMs" is 0')
  expect(() => slidingWindow({ limit: 2.5, periodMs: 1 }).take('a', 3)).toThrow('"cost" is 3, wanted a whole number from 1 to 2')
})
