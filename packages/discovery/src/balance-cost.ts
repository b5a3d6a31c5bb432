import { type EndpointTable, IN_FLIGHT, PEAK, stride, WEIGHT } from './balance-table.ts'

/** What a failed call counts as, milliseconds: a host that fails fast must not look like a fast host. */
const errorMs = 1_000

/** How fast old latencies are forgotten: after this time a peak weighs 1/e. Finagle's default. */
export const decayMs = 10_000

/** The latency of an endpoint that has calls in flight but has not answered yet; above any real one. */
const unknownLn = Math.log(60_000)

/** Faster than this is no news, milliseconds; a logarithm needs a number above zero. */
const leastMs = 0.001

/*
 * The scale. A latency fades as `latency * exp((measuredAt - now) / decay)`. Its logarithm plus `now / decay` is
 * `ln(latency) + measuredAt / decay`, in which `now` no longer stands: costs can be stored once and compared at any time,
 * and a pick needs neither an exponential nor the clock.
 */

/**
 * Takes the outcome of a call at `slot` into its latency: rises at once to a peak, falls slowly.
 *
 * @see Finagle, "Peak EWMA"
 */
export function observe({ measuredAt, numbers }: EndpointTable, slot: number, ok: boolean, latencyMs: number, now: number): void {
  const at = slot * stride
  const seenMs = Math.max(ok ? latencyMs : Math.max(latencyMs, errorMs), leastMs)
  const old = numbers[at + PEAK] ?? Number.NaN
  const seen = Math.log(seenMs) + now / decayMs
  if (old > seen) {
    const keep = Math.exp(((measuredAt[slot] ?? 0) - now) / decayMs)
    numbers[at + PEAK] = Math.log(Math.exp(old - now / decayMs) + seenMs * (1 - keep)) + now / decayMs
  } else numbers[at + PEAK] = seen
  measuredAt[slot] = now
}

/**
 * Sets what one more call at `slot` would cost: latency times calls in flight. Weight widens the endpoint: ten times the weight
 * carries ten times the calls. One that never answered is tried by one call first.
 */
export function priceAt({ costs, numbers }: EndpointTable, slot: number, now: number): void {
  const at = slot * stride
  const inFlight = numbers[at + IN_FLIGHT] ?? 0
  const peak = numbers[at + PEAK] ?? Number.NaN
  const weight = numbers[at + WEIGHT] ?? 1
  if (!Number.isNaN(peak)) costs[slot] = peak + (weight === 1 ? lnOfNext(inFlight) : Math.log(inFlight / weight + 1))
  else costs[slot] = inFlight === 0 ? Number.NEGATIVE_INFINITY : unknownLn + Math.log(inFlight) + now / decayMs
}

/** Most endpoints have a weight of 1 and few calls: those logarithms are known. */
const known = Float64Array.from({ length: 64 }, (_, calls) => Math.log(calls + 1))

function lnOfNext(calls: number): number {
  return calls < 64 ? (known[calls] ?? 0) : Math.log(calls + 1)
}

/** A call was sent to `slot`. */
export function started(table: EndpointTable, slot: number, now: number): void {
  const at = slot * stride
  table.numbers[at + IN_FLIGHT] = (table.numbers[at + IN_FLIGHT] ?? 0) + 1
  table.totalInFlight += 1
  priceAt(table, slot, now)
}

/** A call at `slot` ended. */
export function ended(table: EndpointTable, slot: number, ok: boolean, latencyMs: number, now: number): void {
  const at = slot * stride
  table.numbers[at + IN_FLIGHT] = (table.numbers[at + IN_FLIGHT] ?? 0) - 1
  table.totalInFlight -= 1
  observe(table, slot, ok, latencyMs, now)
  priceAt(table, slot, now)
}
