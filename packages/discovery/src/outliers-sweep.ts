import { copied } from './balance-table.ts'
import type { OutlierLimit } from './outliers.ts'

/** How the calls of one endpoint ended within an interval. */
export interface Tally {
  readonly slot: number
  readonly ok: number
  readonly failed: number
}

/** Counts how calls end, interval by interval. */
export interface Tallies {
  /** When the interval ends; `NaN` before the first call. */
  readonly endsAt: number
  count(slot: number, ok: boolean, now: number): void
  forget(slot: number): void
  /** Ends the interval. Nothing is said of one that was over long ago: it says nothing about now. */
  close(now: number): readonly Tally[]
}

/** {@link Tallies} in intervals of `intervalMs`; the first begins with the first call. */
export function tallies(intervalMs: number): Tallies {
  /** Two numbers a slot: calls that succeeded, calls that failed. */
  let counts = new Int32Array(32)
  let endsAt = Number.NaN
  return {
    get endsAt() {
      return endsAt
    },
    count(slot, ok, now) {
      if (Number.isNaN(endsAt)) endsAt = now + intervalMs
      if (slot * 2 >= counts.length) counts = copied(counts, new Int32Array(Math.max(counts.length * 2, slot * 2 + 2)))
      const at = slot * 2 + (ok ? 0 : 1)
      counts[at] = (counts[at] ?? 0) + 1
    },
    forget(slot) {
      counts.fill(0, slot * 2, slot * 2 + 2)
    },
    close(now) {
      const closed: Tally[] = []
      for (let slot = 0; slot * 2 < counts.length && now < endsAt + intervalMs; slot += 1) {
        const ok = counts[slot * 2] ?? 0
        const failed = counts[slot * 2 + 1] ?? 0
        if (ok + failed > 0) closed.push({ slot, ok, failed })
      }
      counts.fill(0)
      endsAt = now + intervalMs
      return closed
    },
  }
}

/**
 * Who is out of line after an interval, the worst first: by success rate below the mean by so many deviations, or by failing mostly.
 *
 * @see gRPC proposal A50, "Success Rate Algorithm", "Failure Percentage Algorithm"
 */
export function outliersOf(tallies: readonly Tally[], { successRate, failureRate }: OutlierLimit): readonly number[] {
  const found = new Set<Tally>()
  if (successRate) {
    const busy = tallies.filter((tally) => callsOf(tally) >= successRate.minimumCalls)
    if (busy.length >= successRate.minimumHosts) {
      const least = leastRate(busy.map(rateOf), successRate.deviations)
      for (const tally of busy) if (rateOf(tally) < least && 1 - rateOf(tally) > successRate.leastFailureRate) found.add(tally)
    }
  }
  if (failureRate) {
    const busy = tallies.filter((tally) => callsOf(tally) >= failureRate.minimumCalls)
    if (busy.length >= failureRate.minimumHosts) for (const tally of busy) if (1 - rateOf(tally) > failureRate.threshold) found.add(tally)
  }
  return [...found].sort((one, two) => rateOf(one) - rateOf(two)).map(({ slot }) => slot)
}

function leastRate(rates: readonly number[], deviations: number): number {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length
  return mean - deviations * Math.sqrt(variance)
}

function callsOf({ ok, failed }: Tally): number {
  return ok + failed
}

function rateOf(tally: Tally): number {
  return tally.ok / callsOf(tally)
}
