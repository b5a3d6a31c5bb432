import { expect, it } from 'vitest'
import { afterReset, type ResetBudget, resetBurst } from './reset-budget.ts'

function after(count: number, everyMs: number): ResetBudget {
  let budget: ResetBudget = { left: resetBurst, at: 0 }
  for (let index = 1; index <= count; index += 1) budget = afterReset(budget, index * everyMs)
  return budget
}

it('bears a burst of resets, and no more', () => {
  expect(after(resetBurst, 0).left).toBe(0)
  expect(after(resetBurst + 1, 0).left).toBeLessThan(0)
})

it('bears twenty a second for ever, and never saves up more than the burst', () => {
  expect(after(10_000, 50).left).toBeGreaterThanOrEqual(0)
  expect(afterReset(after(10, 0), 3_600_000).left).toBe(resetBurst - 1)
})
