import { describe, expect, it } from 'vitest'
import { chaosPlan } from '../load/chaos-plan.ts'

describe('the plan of kills', () => {
  it('is the same for the same seed, and another for another', () => {
    const plan = (seed: number) => chaosPlan({ orders: 1000, kills: 24, seed })
    expect(plan(7)).toEqual(plan(7))
    expect(plan(7)).not.toEqual(plan(8))
  })

  it('hits every role and spreads over the orders', () => {
    const plan = chaosPlan({ orders: 1000, kills: 24, seed: 3 })
    expect(new Set(plan.map((kill) => kill.role))).toEqual(new Set(['orders', 'inventory', 'payments', 'shipping', 'relay', 'gateway']))
    expect(plan.filter((kill) => kill.afterOrders < 500)).toHaveLength(12)
    expect(Math.max(...plan.map((kill) => kill.afterOrders))).toBeLessThan(1000)
  })
})
