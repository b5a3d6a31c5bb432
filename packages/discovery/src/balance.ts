import type { World } from '@banyan/core'
import { consistentHash } from './balance-consistent-hash.ts'
import { roundRobin } from './balance-round-robin.ts'
import type { EndpointTable } from './balance-table.ts'
import { isCheaper, isLessBusy, twoChoices } from './balance-two-choices.ts'
import { weighted } from './balance-weighted.ts'
import type { Balancer } from './balancer.ts'

/**
 * How the next endpoint is chosen.
 *
 * - `p2c`: the better of two drawn by weight, by latency times calls in flight. Moves away from slow and failing ones by itself.
 * - `least-requests`: the better of two drawn by weight, by calls in flight alone: where latency says more of the request than of the host.
 * - `round-robin`: in turn, all the same.
 * - `weighted`: in turn, as often as the weight says, spread out.
 * - `consistent-hash`: the same key to the same endpoint, as far as none is overloaded: for caches and sessions.
 */
export type Balance = 'p2c' | 'least-requests' | 'round-robin' | 'weighted' | 'consistent-hash'

/** Every {@link Balance}. */
export const balances: readonly Balance[] = ['p2c', 'least-requests', 'round-robin', 'weighted', 'consistent-hash']

/** What {@link balancer} needs. */
export interface BalancerOptions {
  readonly balance: Balance
  /** How much more than its part an endpoint may have in flight, for `consistent-hash`. */
  readonly loadFactor: number
  /** Random numbers come from here, so a seed repeats the choices. */
  readonly world: World
}

/** Creates a balancer over the endpoints of `table`. */
export function balancer(table: EndpointTable, { balance, loadFactor, world }: BalancerOptions): Balancer {
  switch (balance) {
    case 'p2c':
      return twoChoices(table, world, isCheaper)
    case 'least-requests':
      return twoChoices(table, world, isLessBusy)
    case 'round-robin':
      return roundRobin()
    case 'weighted':
      return weighted()
    case 'consistent-hash':
      return consistentHash(table, loadFactor)
  }
}
