import {
  ANSWERED,
  type EndpointTable,
  hasAnswered,
  IN_FLIGHT,
  inFlightOf,
  MEASURED_AT,
  PEAK,
  STATE,
  stride,
  weightOf,
} from './balance-table.ts'

/** What a failed call counts as, milliseconds: a host that fails fast must not look like a fast host. */
const errorMs = 1_000

/** How fast old latencies are forgotten: after this time a peak weighs 1/e. Finagle's default. */
export const decayMs = 10_000

/** The latency of an endpoint that has calls in flight but has not answered yet; above any real one. */
const unknownLn = Math.log(60_000)

/** Faster than this is no news, milliseconds; a logarithm needs a number above zero. */
const leastMs = 0.001
/** Slower than this is no news either, milliseconds: what never ended would never fade. */
const mostMs = 3_600_000

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
export function observe({ counts, latencies }: EndpointTable, slot: number, ok: boolean, latencyMs: number, now: number): void {
  const [state, at] = [slot * stride + STATE, slot * 2]
  const seenMs = Math.min(Math.max(ok ? latencyMs : Math.max(latencyMs, errorMs), leastMs), mostMs)
  const old = latencies[at + PEAK] ?? 0
  const seen = Math.log(seenMs) + now / decayMs
  const known = counts[state] ?? 0
  if ((known & ANSWERED) !== 0 && old > seen) {
    const keep = Math.exp(((latencies[at + MEASURED_AT] ?? 0) - now) / decayMs)
    latencies[at + PEAK] = Math.log(Math.exp(old - now / decayMs) + seenMs * (1 - keep)) + now / decayMs
  } else latencies[at + PEAK] = seen
  latencies[at + MEASURED_AT] = now
  counts[state] = known | ANSWERED
}

/**
 * Sets what one more call at `slot` would cost: latency times calls in flight. Weight widens the endpoint: ten times the weight
 * carries ten times the calls. One that never answered is tried by one call first.
 */
export function priceAt(table: EndpointTable, slot: number, now: number): void {
  const inFlight = inFlightOf(table, slot)
  if (hasAnswered(table, slot)) {
    const weight = weightOf(table, slot)
    const peak = table.latencies[slot * 2 + PEAK] ?? 0
    table.costs[slot] = peak + (weight === 1 ? lnOfNext(inFlight) : Math.log(inFlight / weight + 1))
  } else table.costs[slot] = inFlight === 0 ? Number.NEGATIVE_INFINITY : unknownLn + Math.log(inFlight) + now / decayMs
}

/** Most endpoints have a weight of 1 and few calls: those logarithms are known. */
const known = Float64Array.from({ length: 64 }, (_, calls) => Math.log(calls + 1))

function lnOfNext(calls: number): number {
  return calls < 64 ? (known[calls] ?? 0) : Math.log(calls + 1)
}

/** By how much the cost of one more call grows when there is one more in flight. */
const steps = Float64Array.from({ length: 64 }, (_, calls) => Math.log((calls + 1) / Math.max(1, calls)))

/** A call was sent to `slot`. `now` may be `NaN` where the endpoint has answered: its cost does not depend on the time. */
export function started(table: EndpointTable, slot: number, now: number): void {
  const at = slot * stride
  const { counts, costs } = table
  const inFlight = (counts[at + IN_FLIGHT] ?? 0) + 1
  counts[at + IN_FLIGHT] = inFlight
  table.totalInFlight += 1
  // Most have answered and weigh 1: a step up from the cost that stands there spares what the whole of it is made of.
  if (counts[at + STATE] === ANSWERED && inFlight < 64) costs[slot] = (costs[slot] ?? 0) + (steps[inFlight] ?? 0)
  else priceAt(table, slot, now)
}

/** A call at `slot` ended. */
export function ended(table: EndpointTable, slot: number, ok: boolean, latencyMs: number, now: number): void {
  table.counts[slot * stride + IN_FLIGHT] = inFlightOf(table, slot) - 1
  table.totalInFlight -= 1
  observe(table, slot, ok, latencyMs, now)
  priceAt(table, slot, now)
}
