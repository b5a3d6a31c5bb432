import { copied } from './balance-table.ts'

/** A weight of 1 in units; slow start needs parts of it. */
export const unitsOfWeight = 32

/** 65,535 * 32 has this many bits. */
export const mostColumns = 21

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
  /** Which bit that is, from 0. */
  readonly bit: number
  /** Slots, the first `count` of them. */
  readonly slots: Int32Array
  readonly count: number
}

/** Where a slot does not stand in a column. */
const absent = -1

/** {@link WeightColumns} without slots. */
export function weightColumns(): WeightColumns {
  const columns = Array.from({ length: mostColumns }, (_, bit) => new BitColumn(bit))
  const used: BitColumn[] = []
  let units = new Int32Array(16)

  const made = {
    // Fields, not getters: those of a literal are not compiled into their callers.
    size: 0,
    totalUnits: 0,
    used,
    weigh(slot: number, weight: number) {
      if (slot >= units.length) units = copied(units, new Int32Array(Math.max(units.length * 2, slot + 1)))
      const before = units[slot] ?? 0
      const after = weight > 0 ? Math.max(1, Math.round(weight * unitsOfWeight)) : 0
      for (let changed = before ^ after; changed !== 0; changed &= changed - 1) {
        const bit = 31 - Math.clz32(changed & -changed)
        const column = columns[bit]
        if (!column) throw new RangeError(`cannot weigh an endpoint: "weight" is ${weight}, wanted 0 to 65535`)
        if ((after >> bit) & 1) column.enter(slot)
        else column.leave(slot)
        if (column.count === 0) used.splice(used.indexOf(column), 1)
        else if (!used.includes(column)) used.push(column)
      }
      made.size += (after > 0 ? 1 : 0) - (before > 0 ? 1 : 0)
      made.totalUnits += after - before
      units[slot] = after
    },
    at(place: number) {
      let rest = place * made.totalUnits
      for (let index = 0; index < used.length - 1; index += 1) {
        const column = used[index]
        if (!column) break
        const { worth, slots, count } = column
        if (rest < count * worth) return slots[Math.floor(rest / worth)] ?? absent
        rest -= count * worth
      }
      const column = used[used.length - 1]
      return column?.slots[Math.min(column.count - 1, Math.floor(rest / column.worth))] ?? absent
    },
  }
  return made
}

/** A class, so that all columns have one hidden class, which the fast way of a pick is compiled for. */
class BitColumn implements Column {
  readonly worth: number
  readonly bit: number
  slots: Int32Array = new Int32Array(0)
  count = 0
  /** Where each slot stands in `slots`. */
  #places: Int32Array = new Int32Array(0)

  constructor(bit: number) {
    this.worth = 2 ** bit
    this.bit = bit
  }

  enter(slot: number): void {
    if (slot >= this.#places.length) {
      const places = new Int32Array(Math.max(16, this.#places.length * 2, slot + 1)).fill(absent)
      this.#places = copied(this.#places, places)
    }
    if (this.count === this.slots.length) this.slots = copied(this.slots, new Int32Array(Math.max(16, this.count * 2)))
    this.slots[this.count] = slot
    this.#places[slot] = this.count
    this.count += 1
  }

  leave(slot: number): void {
    const place = this.#places[slot] ?? absent
    this.count -= 1
    const last = this.slots[this.count] ?? absent
    // The last one takes the place that becomes free.
    if (last !== slot) {
      this.slots[place] = last
      this.#places[last] = place
    }
    this.#places[slot] = absent
  }
}
