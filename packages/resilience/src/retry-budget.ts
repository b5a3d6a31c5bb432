import { systemWorld, type World } from '@banyan/core'
import { checkDuration, checkNumber } from './option-checks.ts'

export interface RetryBudgetOptions {
  /** How many retries a call earns, 0 to 10. Default 0.2: with everything failing, traffic grows by a fifth and no more. */
  ratio?: number
  /** How many retries a second are free, so that callers with little traffic can retry too, from 0. Default 10. */
  minPerSecond?: number
  /** Calls and retries older than this are forgotten, milliseconds from 10. Default 10,000. */
  windowMs?: number
  /** Default: the system's. */
  world?: World
}

/** A share of retries that several policies may have in common. */
export interface RetryBudget {
  /** How many retries it would allow now. */
  readonly balance: number
  /** A call begins, at `now` on the monotonic clock for who has just read it. Layers that have it in common say so once a call. */
  deposit(now?: number): void
  /** A retry is wanted: true when there is one left, and takes it. */
  withdraw(): boolean
}

const BUCKETS = 10

/**
 * Creates a retry budget: in any window, retries <= `ratio` * calls + `minPerSecond` * seconds. It keeps a dependency that is
 * down from being buried under retries. Counted in ten slices of the window; no timers.
 *
 * @throws {RangeError} for an option out of its range
 * @see Google, Site Reliability Engineering, "Handling Overload" (per-client retry budget); Finagle's `RetryBudget`
 */
export function retryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const { ratio = 0.2, minPerSecond = 10, windowMs = 10_000, world = systemWorld } = options
  checkNumber('create retry budget', 'ratio', ratio, { min: 0, max: 10 })
  checkNumber('create retry budget', 'minPerSecond', minPerSecond, { min: 0 })
  checkDuration('create retry budget', 'windowMs', windowMs, BUCKETS)
  const reserve = (minPerSecond * windowMs) / 1_000
  const calls = slicedCount(windowMs)
  const retries = slicedCount(windowMs)

  // A thousandth of rounding: 0.2 * 5 calls is one retry, not 0.999.
  function balance(now: number): number {
    return Math.max(0, Math.floor(ratio * calls.total(now) + reserve - retries.total(now) + 0.001))
  }

  return {
    get balance() {
      return balance(world.monotonic())
    },
    deposit: (now = world.monotonic()) => calls.add(now),
    withdraw() {
      const now = world.monotonic()
      if (balance(now) < 1) return false
      retries.add(now)
      return true
    },
  }
}

/** How many times something happened in the last `windowMs`, in slices. */
function slicedCount(windowMs: number) {
  const sliceMs = windowMs / BUCKETS
  const counts = new Float64Array(BUCKETS)
  let latest = 0
  let total = 0

  function forget(now: number): void {
    const slice = Math.floor(now / sliceMs)
    const gone = Math.min(BUCKETS, slice - latest)
    for (let step = 1; step <= gone; step += 1) {
      const index = (latest + step) % BUCKETS
      total -= counts[index] ?? 0
      counts[index] = 0
    }
    if (slice > latest) latest = slice
  }

  return {
    add(now: number) {
      forget(now)
      const index = latest % BUCKETS
      counts[index] = (counts[index] ?? 0) + 1
      total += 1
    },
    total(now: number) {
      forget(now)
      return total
    },
  }
}
