import { weightColumns } from './balance-columns.ts'
import type { Balancer } from './balancer.ts'

/** In turn, each as often as the others, whatever its weight. */
export function roundRobin(): Balancer {
  const columns = weightColumns()
  let turn = 0
  return {
    get size() {
      return columns.size
    },
    weigh: (slot, weight) => columns.weigh(slot, weight > 0 ? 1 : 0),
    timed: false,
    next() {
      const column = columns.used[0]
      if (!column) return -1
      // Fewer than before: begin again.
      if (turn >= column.count) turn = 0
      const slot = column.slots[turn] ?? -1
      turn += 1
      return slot
    },
  }
}
