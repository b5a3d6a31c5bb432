/** How long calls take, but for the slowest. */
export interface LatencyQuantile {
  /** How many are remembered. */
  readonly count: number
  /** The duration that the given share of the calls does not exceed, milliseconds, at most an eighth too long. 0 without calls. */
  readonly valueMs: number
  record(durationMs: number): void
}

/** Eight to each doubling, from 1/64 ms to 2^18 ms (four minutes): what lies beyond is counted in the last. */
const PER_DOUBLING = 8
const LOWEST = -6
const BUCKETS = (18 - LOWEST) * PER_DOUBLING
/** When so many are remembered, all counts are halved, to fractions too: what was lately weighs more, and the few slow ones stay few. */
const MOST = 1_024

/** Creates a {@link LatencyQuantile}: counts in buckets that grow with the duration, in constant memory and without sorting. */
export function latencyQuantile(share: number): LatencyQuantile {
  const buckets = new Float64Array(BUCKETS)
  let count = 0
  let valueMs = 0

  function halve(): void {
    count /= 2
    for (let index = 0; index < BUCKETS; index += 1) buckets[index] = (buckets[index] ?? 0) / 2
  }

  function reckon(): number {
    let seen = 0
    for (let index = 0; index < BUCKETS; index += 1) {
      seen += buckets[index] ?? 0
      if (seen >= share * count) return upperMs(index)
    }
    return upperMs(BUCKETS - 1)
  }

  return {
    get count() {
      return count
    },
    get valueMs() {
      return valueMs
    },
    record(durationMs) {
      const index = bucketOf(durationMs)
      buckets[index] = (buckets[index] ?? 0) + 1
      count += 1
      if (count >= MOST) halve()
      // Going through the buckets for each of many calls would be no use.
      if (count < 64 || count % 16 === 0) valueMs = reckon()
    },
  }
}

function bucketOf(durationMs: number): number {
  const index = Math.ceil((Math.log2(Math.max(durationMs, Number.MIN_VALUE)) - LOWEST) * PER_DOUBLING)
  return Math.min(BUCKETS - 1, Math.max(0, index))
}

function upperMs(index: number): number {
  return 2 ** (index / PER_DOUBLING + LOWEST)
}
