import { type Instance, type ManualWorld, manualWorld } from '@banyan/core'
import { type Balance, balancer } from '../balance.ts'
import { ended, started } from '../balance-cost.ts'
import { type EndpointTable, endpointTable, occupy, setWeightOf } from '../balance-table.ts'
import type { Balancer } from '../balancer.ts'

/** A table with endpoints, all in a balancer, as the pool would have them. */
export interface Site {
  readonly table: EndpointTable
  readonly balancer: Balancer
  readonly world: ManualWorld
  /** How often each was chosen in `picks` picks; no call is begun. */
  shares(picks: number): number[]
  begin(slot: number, now?: number): void
  end(slot: number, ok: boolean, latencyMs: number, now: number): void
}

export const instanceOf = (id: string, more: Partial<Instance> = {}): Instance => ({
  id,
  service: 'orders',
  host: '127.0.0.1',
  port: 1,
  ...more,
})

/** Endpoints of these weights. */
export function site(balance: Balance | ((table: EndpointTable, world: ManualWorld) => Balancer), weights: readonly number[]): Site {
  const world = manualWorld({ seed: 7 })
  const table = endpointTable()
  const made = typeof balance === 'function' ? balance(table, world) : balancer(table, { balance, loadFactor: 1.25, world })
  for (const [slot, weight] of weights.entries()) addTo(table, made, slot, instanceOf(`i${slot}`, { weight }))
  return {
    table,
    balancer: made,
    world,
    shares(picks) {
      const counts = weights.map(() => 0)
      for (let pick = 0; pick < picks; pick += 1) {
        const slot = made.next(0, Math.floor(world.random() * 2 ** 32))
        counts[slot] = (counts[slot] ?? 0) + 1
      }
      return counts
    },
    begin: (slot, now = 0) => started(table, slot, now),
    end: (slot, ok, latencyMs, now) => ended(table, slot, ok, latencyMs, now),
  }
}

/** Puts an instance at a slot of a table and into a balancer. */
export function addTo(table: EndpointTable, made: Balancer, slot: number, instance: Instance): void {
  occupy(table, slot, instance)
  setWeightOf(table, slot, instance.weight ?? 1)
  made.weigh(slot, instance.weight ?? 1)
}

export const equal = (count: number): number[] => Array.from({ length: count }, () => 1)
