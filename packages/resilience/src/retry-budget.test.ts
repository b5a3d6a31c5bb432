import { manualWorld, systemWorld, type World } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bulkhead } from './bulkhead.ts'
import { hedge } from './hedge.ts'
import { policy } from './policy.ts'
import { retry } from './retry.ts'
import { type RetryBudget, retryBudget } from './retry-budget.ts'

test('allows 20 % of the calls and 10 a second over ten seconds', () => {
  const budget = retryBudget({ world: manualWorld() })
  expect(budget.balance).toBe(100)
  for (let i = 0; i < 50; i += 1) budget.deposit()
  expect(budget.balance).toBe(110)
  const granted = Array.from({ length: 200 }, () => budget.withdraw()).filter(Boolean)
  expect(granted).toHaveLength(110)
})

test('forgets calls and retries after the window, without a timer', async () => {
  const world = manualWorld()
  const budget = retryBudget({ ratio: 0.5, minPerSecond: 0, world })
  budget.deposit()
  budget.deposit()
  expect(budget.withdraw()).toBe(true)
  expect(budget.withdraw()).toBe(false)
  await world.advance(10_000)
  expect(budget.balance).toBe(0)
  budget.deposit()
  budget.deposit()
  expect(budget.withdraw()).toBe(true)
  expect(world.pendingTimers()).toBe(0)
})

test('agrees with a list of everything that happened', () => {
  const step = fc.record({
    waitMs: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.constant(30_000)),
    act: fc.constantFrom('deposit', 'withdraw'),
  })
  fc.assert(
    fc.property(
      fc.constantFrom(0, 0.2, 0.5, 1),
      fc.constantFrom(0, 0.5, 2),
      fc.array(step, { maxLength: 60 }),
      (ratio, minPerSecond, steps) => {
        let now = 0
        const budget = retryBudget({ ratio, minPerSecond, windowMs: 2_000, world: { ...systemWorld, monotonic: () => now } })
        const log: { act: string; slice: number }[] = []
        const lately = (act: string) => log.filter((entry) => entry.act === act && entry.slice > Math.floor(now / 200) - 10).length
        for (const { waitMs, act } of steps) {
          now += waitMs
          const slice = Math.floor(now / 200)
          const left = Math.floor(Math.round((ratio * lately('deposit') + minPerSecond * 2 - lately('withdraw')) * 1e6) / 1e6)
          expect(budget.balance).toBe(Math.max(0, left))
          if (act === 'deposit') budget.deposit()
          else expect(budget.withdraw()).toBe(left >= 1)
          if (act === 'deposit' || left >= 1) log.push({ act, slice })
        }
      },
    ),
  )
})

test('bad options are refused by name', () => {
  expect(() => retryBudget({ ratio: -1 })).toThrow('cannot create retry budget: "ratio" is -1, wanted a number from 0 to 10')
  expect(() => retryBudget({ minPerSecond: -1 })).toThrow('"minPerSecond" is -1')
  expect(() => retryBudget({ windowMs: 1 })).toThrow('"windowMs" is 1')
})

test.each([
  ['retry and hedge', (budget: RetryBudget, world: World) => [retry({ attempts: 9, budget, world }), hedge({ after: 10, budget, world })]],
  ['hedge and retry', (budget: RetryBudget, world: World) => [hedge({ after: 10, budget, world }), retry({ attempts: 9, budget, world })]],
] as const)('a call earns its share once, also where layers have one budget in common: %s', async (_what, layers) => {
  const world = manualWorld()
  const budget = retryBudget({ ratio: 0.2, minPerSecond: 0, world })
  const stock = policy('stock', ...layers(budget, world))
  let calls = 0
  const outcomes = Array.from({ length: 1_000 }, () =>
    stock.outcome(() => {
      calls += 1
      return new Promise((_, reject) => void world.after(20, () => reject(new Error('down'))))
    }),
  )
  await world.advance(9_000)
  await Promise.all(outcomes)
  expect(calls).toBe(1_200)
})

const broken = (method: 'deposit' | 'withdraw'): RetryBudget => ({
  balance: 1,
  deposit() {
    if (method === 'deposit') throw new Error('no budget today')
  },
  withdraw() {
    throw new Error('no budget today')
  },
})

test.each([
  ['retry', 'deposit', (budget: RetryBudget, world: World) => retry({ budget, world })],
  ['retry', 'withdraw', (budget: RetryBudget, world: World) => retry({ budget, world })],
  ['hedge', 'deposit', (budget: RetryBudget, world: World) => hedge({ after: 10, budget, world })],
  ['hedge', 'withdraw', (budget: RetryBudget, world: World) => hedge({ after: 10, budget, world })],
] as const)("a budget of one's own that throws ends the call, and its place is free again: %s, %s", async (_layer, method, layer) => {
  const world = manualWorld()
  const places = bulkhead({ limit: 1, world })
  const stock = policy('stock', places, layer(broken(method), world))
  const outcome = stock.outcome(() => new Promise((_, reject) => void world.after(50, () => reject(new Error('down')))))
  await world.advance(50)
  expect(await outcome).toMatchObject({ ok: false, error: { message: 'no budget today' } })
  expect(places.active).toBe(0)
  expect(world.pendingTimers()).toBe(0)
})
