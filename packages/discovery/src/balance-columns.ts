import { copied } from './balance-table.ts'

/** A weight of 1 in units; slow start needs parts of it. */
export const unitsOfWeight = 32

/** 65,535 * 32 has this many bits. */
const mostColumns = 21

/**
 * Slots with weights, kept by the bits of their weights: a slot of weight 5 stands in the columns of 4 and of 1. A column's slots
 * weigh the same there, so that choosing within one is an index, and there are at most 21 columns to choose among. All takes
 * constant time, changes too.
 *
 * @see Guo, "SRR: An O(1) Time Complexity Packet Scheduler for Flows in Multi-Service Packet Networks" (2001): the weight matrix
 */
export interface WeightColumns {
  readonly size: number
  /** Of all slots, in units. */
  readonly totalUnits: number
  /** Those with slots in them, in no order. */
  readonly used: readonly Column[]
  /** Puts `slot` in, or changes its weight; 0 takes it out. */
  weigh(slot: number, weight: number): void
  /** The slot at `place`, from 0 to below 1: each has a part of that range by its weight. There must be one. */
  at(place: number): number
}

/** The slots whose weight has one certain bit. */
export interface Column {
  /** What the bit is worth, in units. */
  readonly worth: number
  readonly slots: number[]
}

/** Where a slot does not stand in a column. */
const absent = -1

/** {@link WeightColumns} without slots. */
export function weightColumns(): WeightColumns {
  const columns = Array.from({ length: mostColumns }, (_, bit) => ({ worth: 2 ** bit, slots: [] as number[], places: new Int32Array(0) }))
  const used: (typeof columns)[number][] = []
  let units = new Int32Array(16)
  let size = 0
  let totalUnits = 0

  function enter(column: (typeof columns)[number], slot: number): void {
    if (slot >= column.places.length) column.places = copied(column.places, new Int32Array(Math.max(units.length, slot + 1)).fill(absent))
    if (column.slots.length === 0) used.push(column)
    column.places[slot] = column.slots.push(slot) - 1
  }
  function leave(column: (typeof columns)[number], slot: number): void {
    const place = column.places[slot] ?? absent
    const last = column.slots.pop()
    // The last one takes the place that becomes free.
    if (last !== undefined && last !== slot) {
      column.slots[place] = last
      column.places[last] = place
    }
    column.places[slot] = absent
    if (column.slots.length === 0) used.splice(used.indexOf(column), 1)
  }

  return {
    get size() {
      return size
    },
    get totalUnits() {
      return totalUnits
    },
    used,
    weigh(slot, weight) {
      if (slot >= units.length) units = copied(units, new Int32Array(Math.max(units.length * 2, slot + 1)))
      const before = units[slot] ?? 0
      const after = weight > 0 ? Math.max(1, Math.round(weight * unitsOfWeight)) : 0
      for (let changed = before ^ after; changed !== 0; changed &= changed - 1) {
        const bit = 31 - Math.clz32(changed & -changed)
        const column = columns[bit]
        if (!column) throw new RangeError(`cannot weigh an endpoint: "weight" is ${weight}, wanted 0 to 65535`)
        if ((after >> bit) & 1) enter(column, slot)
        else leave(column, slot)
      }
      size += (after > 0 ? 1 : 0) - (before > 0 ? 1 : 0)
      totalUnits += after - before
      units[slot] = after
    },
    at(place) {
      let rest = place * totalUnits
      for (let index = 0; index < used.length - 1; index += 1) {
        const column = used[index]
        if (!column) break
        const { worth, slots } = column
        if (rest < slots.length * worth) return slots[Math.floor(rest / worth)] ?? absent
        rest -= slots.length * worth
      }
      const column = used[used.length - 1]
      return column?.slots[Math.min(column.slots.length - 1, Math.floor(rest / column.worth))] ?? absent
    },
  }
}
