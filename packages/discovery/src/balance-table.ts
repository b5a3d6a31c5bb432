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
  /** What a pick counts, four for each slot, which are the fields below: 16 bytes, a quarter of a line of the cache. */
  counts: Int32Array
  /** The weight of a slot that counts now; apart, since most weigh 1 and {@link STATE} says so. */
  weights: Float64Array
  /** What only the end of a call needs, two for each slot: {@link PEAK}, and when it was measured. */
  latencies: Float64Array
  /** Calls in flight, to all endpoints together. */
  totalInFlight: number
}

/** Numbers a slot has in `counts`. */
export const stride = 4
/** In `counts`: calls of this process that have not ended. */
export const IN_FLIGHT = 0
/** In `counts`: how often the slot changed hands, which tells those apart who had it one after the other. */
const TICKET = 1
/** In `counts`: 0, or {@link ANSWERED} and {@link WEIGHED}, added. */
export const STATE = 2
/** The endpoint has answered a call, so its latency is known. */
export const ANSWERED = 1
/** Its weight is another than 1. */
export const WEIGHED = 2
/** In `latencies`: a peak-sensitive moving average, on the scale of `balance-cost.ts`. Only of one that has answered. */
export const PEAK = 0
/** In `latencies`: when the peak was measured. */
export const MEASURED_AT = 1

/** A table without endpoints. */
export function endpointTable(): EndpointTable {
  return {
    instances: [],
    costs: new Float64Array(16),
    counts: new Int32Array(16 * stride),
    weights: new Float64Array(16),
    latencies: new Float64Array(16 * 2),
    totalInFlight: 0,
  }
}

/** What one more call to `slot` would cost: a logarithm that may be compared with others at any time. Lower is better. */
export function costOf(table: EndpointTable, slot: number): number {
  return table.costs[slot] ?? 0
}

/** Calls of this process to `slot` that have not ended. */
export function inFlightOf(table: EndpointTable, slot: number): number {
  return table.counts[slot * stride + IN_FLIGHT] ?? 0
}

/** The weight of `slot` that counts now: as registered, less during slow start. */
export function weightOf(table: EndpointTable, slot: number): number {
  return ((table.counts[slot * stride + STATE] ?? 0) & WEIGHED) === 0 ? 1 : (table.weights[slot] ?? 1)
}

/** Whether the endpoint at `slot` has answered a call. */
export function hasAnswered(table: EndpointTable, slot: number): boolean {
  return ((table.counts[slot * stride + STATE] ?? 0) & ANSWERED) !== 0
}

/** Tells who has `slot` now from those who had it before. */
export function ticketOf(table: EndpointTable, slot: number): number {
  return table.counts[slot * stride + TICKET] ?? 0
}

/** Puts an endpoint without a history at `slot`. */
export function occupy(table: EndpointTable, slot: number, instance: Instance): void {
  if (slot >= table.costs.length) {
    table.costs = copied(table.costs, new Float64Array(table.costs.length * 2))
    table.counts = copied(table.counts, new Int32Array(table.counts.length * 2))
    table.weights = copied(table.weights, new Float64Array(table.weights.length * 2))
    table.latencies = copied(table.latencies, new Float64Array(table.latencies.length * 2))
  }
  table.instances[slot] = instance
  table.costs[slot] = Number.NEGATIVE_INFINITY
  table.counts[slot * stride + IN_FLIGHT] = 0
  table.counts[slot * stride + STATE] = 0
  table.weights[slot] = 1
}

/** Sets the weight of `slot` that counts now, above 0. */
export function setWeightOf(table: EndpointTable, slot: number, weight: number): void {
  const at = slot * stride + STATE
  table.weights[slot] = weight
  table.counts[at] = ((table.counts[at] ?? 0) & ANSWERED) | (weight === 1 ? 0 : WEIGHED)
}

/** Frees `slot`. Calls still in flight there no longer count. */
export function vacate(table: EndpointTable, slot: number): void {
  table.totalInFlight -= inFlightOf(table, slot)
  table.counts[slot * stride + TICKET] = ticketOf(table, slot) + 1
  table.counts[slot * stride + IN_FLIGHT] = 0
  table.instances[slot] = undefined
}

/** A longer array that begins like `from`. */
export function copied<Numbers extends Int32Array | Float64Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from)
  return to
}
