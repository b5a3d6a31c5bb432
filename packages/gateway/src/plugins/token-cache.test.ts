import fc from 'fast-check'
import { expect, test } from 'vitest'
import { tokenCache } from './token-cache.ts'

test('gives what was set last, or nothing, and keeps no more than it may', () => {
  const token = fc.integer({ min: 0, max: 30 }).map((n) => `token ${n}`)
  const step = fc.record({ token, value: fc.option(fc.nat(), { nil: undefined }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 2, max: 12 }), (steps, maxTokens) => {
      const cache = tokenCache<number>({ maxTokens, maxLength: 100 })
      const told = new Map<string, number>()
      for (const { token: one, value } of steps) {
        if (value === undefined) {
          const known = cache.get(one)
          if (known !== undefined) expect(known).toBe(told.get(one))
        } else {
          cache.set(one, value)
          told.set(one, value)
          expect(cache.get(one)).toBe(value)
        }
      }
      const kept = [...told.keys()].filter((one) => tokenHeld(cache, one))
      expect(kept.length).toBeLessThanOrEqual(maxTokens)
    }),
  )
})

/** Looks without making it young: `get` moves, so at most one half can be looked through. */
function tokenHeld(cache: { get(token: string): number | undefined }, one: string): boolean {
  return cache.get(one) !== undefined
}

test('keeps those that are asked for, and lets the others go', () => {
  const cache = tokenCache<number>({ maxTokens: 10, maxLength: 100 })
  cache.set('used', 1)
  for (let n = 0; n < 100; n += 1) {
    cache.set(`once ${n}`, n)
    expect(cache.get('used')).toBe(1)
  }
  expect(cache.get('once 0')).toBeUndefined()
  cache.clear()
  expect(cache.get('used')).toBeUndefined()
})

test('keeps no token that is too long', () => {
  const cache = tokenCache<number>({ maxTokens: 10, maxLength: 5 })
  cache.set('123456', 1)
  expect(cache.get('123456')).toBeUndefined()
})
