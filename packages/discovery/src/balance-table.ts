import type { Instance } from '@banyan/core'

/**
 * What is known of each endpoint, as numbers side by side. An endpoint is a slot: a pick among ten thousand then reads a line or two of
 * the processor's cache, and makes no object. Balancers read it, by the functions below; only the pool writes.
 */
export interface EndpointTable {
  /** `undefined` where the slot is free. */
  readonly instances: (Instance | undefined)[]
  /** What one more call to a slot would cost: apart, since a pick compares two of them and reads the rest of one. Replaced as the table grows. */
  costs: Float64Array
  /** When the latency of a slot was measured: apart too, since only the end of a call needs it. */
  measuredAt: Float64Array
  /** The rest, four for each slot, which are the fields below. */
  numbers: Float64Array
  /** Calls in flight, to all endpoints together. */
  totalInFlight: number
}

/** Numbers a slot has in `numbers`: 32 bytes, half a line of the cache. */
export const stride = 4
/** Calls of this process that have not ended. */
export const IN_FLIGHT = 0
/** The weight that counts now. */
export const WEIGHT = 1
/** The latency as a peak-sensitive moving average, on the scale of `balance-cost.ts`; `NaN` before the first answer. */
export const PEAK = 2
/** How often the slot changed hands: tells those apart who had it one after the other. */
const TICKET = 3

/** A table without endpoints. */
export function endpointTable(): EndpointTable {
  return {
    instances: [],
    costs: new Float64Array(16),
    measuredAt: new Float64Array(16),
    numbers: new Float64Array(16 * stride),
    totalInFlight: 0,
  }
}

/** What one more call to `slot` would cost: a logarithm that may be compared with others at any time. Lower is better. */
export function costOf(table: EndpointTable, slot: number): number {
  return table.costs[slot] ?? 0
}

/** Calls of this process to `slot` that have not ended. */
export function inFlightOf(table: EndpointTable, slot: number): number {
  return table.numbers[slot * stride + IN_FLIGHT] ?? 0
}

/** The weight of `slot` that counts now: as registered, less during slow start. */
export function weightOf(table: EndpointTable, slot: number): number {
  return table.numbers[slot * stride + WEIGHT] ?? 1
}

/** Tells who has `slot` now from those who had it before. */
export function ticketOf(table: EndpointTable, slot: number): number {
  return table.numbers[slot * stride + TICKET] ?? 0
}

/** Puts an endpoint without a history at `slot`. */
export function occupy(table: EndpointTable, slot: number, instance: Instance): void {
  const at = slot * stride
  if (slot >= table.costs.length) {
    table.costs = copied(table.costs, new Float64Array(table.costs.length * 2))
    table.measuredAt = copied(table.measuredAt, new Float64Array(table.measuredAt.length * 2))
    table.numbers = copied(table.numbers, new Float64Array(table.numbers.length * 2))
  }
  table.instances[slot] = instance
  table.costs[slot] = Number.NEGATIVE_INFINITY
  table.numbers[at + IN_FLIGHT] = 0
  table.numbers[at + WEIGHT] = 1
  table.numbers[at + PEAK] = Number.NaN
  table.measuredAt[slot] = 0
}

/** Frees `slot`. Calls still in flight there no longer count. */
export function vacate(table: EndpointTable, slot: number): void {
  table.totalInFlight -= inFlightOf(table, slot)
  table.numbers[slot * stride + TICKET] = ticketOf(table, slot) + 1
  table.numbers[slot * stride + IN_FLIGHT] = 0
  table.instances[slot] = undefined
}

/** A longer array that begins like `from`. */
export function copied<Numbers extends Int32Array | Float64Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from)
  return to
}
