import { type Column, mostColumns, weightColumns } from './balance-columns.ts'
import type { Balancer } from './balancer.ts'

/**
 * In turn, each exactly as often as its weight says, and spread out: a heavy endpoint's turns do not come in a row.
 *
 * nginx compares all endpoints at each pick. Here the same rule chooses among the at most 21 columns of
 * {@link weightColumns}, and within a column all weigh the same and take turns: the time does not depend on their number.
 *
 * @see nginx, "Upstream: smooth weighted round-robin balancing" (2012)
 */
export function weighted(): Balancer {
  const columns = weightColumns()
  /** Of each column, by its bit. */
  const credits = new Float64Array(mostColumns)
  const turns = new Int32Array(mostColumns)

  /** Each column earns what it weighs; the richest has its turn and pays for all. */
  function richest(): Column | undefined {
    const { used } = columns
    if (used.length < 2) return used[0]
    let best: Column | undefined
    let most = Number.NEGATIVE_INFINITY
    for (const column of used) {
      const credit = (credits[column.bit] ?? 0) + column.worth * column.count
      credits[column.bit] = credit
      if (credit <= most) continue
      most = credit
      best = column
    }
    if (best) credits[best.bit] = most - columns.totalUnits
    return best
  }

  return {
    get size() {
      return columns.size
    },
    weigh(slot, weight) {
      columns.weigh(slot, weight)
      // Debts from before would be paid off by other shares.
      credits.fill(0)
    },
    timed: false,
    next() {
      const column = richest()
      if (!column) return -1
      const turn = turns[column.bit] ?? 0
      const index = turn < column.count ? turn : 0
      turns[column.bit] = index + 1
      return column.slots[index] ?? -1
    },
  }
}
