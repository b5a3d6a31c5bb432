import { systemWorld, type World } from '@banyan/core'
import { checkNumber } from './option-checks.ts'
import { checkQuota, checkTake, type RateLimitAnswer, type RateQuota, type RateState, takeFrom } from './rate-quota.ts'

export interface RateLimiterOptions {
  /** How many takes a key may have per period, from 1; with `gcra` in the long run. */
  limit: number
  /** The period, milliseconds from 1. */
  periodMs: number
  /**
   * How many keys are remembered, from 1; beyond it the key that was asked for longest ago is forgotten and starts fresh. A key
   * takes some 100 bytes. Default 100,000.
   */
  maxKeys?: number
  /** Default: the system's. */
  world?: World
}

export interface GcraOptions extends RateLimiterOptions {
  /** How many takes may come at once, a whole number from 1. Default: `limit`, rounded up. */
  burst?: number
}

/** Counts takes by key. */
export interface RateLimiter {
  /**
   * Asks for `cost` takes of `key`'s share. A refused take costs nothing.
   *
   * @param cost a whole number from 1 to `burst`, or to `limit` where there is no burst. Default 1
   * @throws {RangeError} for another cost; {TypeError} for a key that is no text
   */
  take(key: string, cost?: number): RateLimitAnswer
  /** How many keys are remembered. */
  readonly keys: number
}

/**
 * Creates a rate limiter by the generic cell rate algorithm: one number a key, no timers, and takes that are spread evenly over
 * the period instead of all coming back at its start. Local to this process.
 *
 * @throws {RangeError} for an option out of its range
 * @see ITU-T I.371, "Traffic control and congestion control in B-ISDN", annex A
 */
export function gcra(options: GcraOptions): RateLimiter {
  const { limit, periodMs, burst = Math.ceil(limit), ...rest } = options
  return rateLimiter({ algorithm: 'gcra', limit, periodMs, burst }, rest)
}

/**
 * Creates a rate limiter by a sliding window: no more than `limit` takes in the period that ends now. It keeps two counts a key and
 * weighs the older by how much of it still lies in the window, as if its takes had come evenly. Local to this process.
 *
 * @throws {RangeError} for an option out of its range
 * @see "How we built rate limiting capable of scaling to millions of domains", Cloudflare, 2017
 */
export function slidingWindow(options: RateLimiterOptions): RateLimiter {
  const { limit, periodMs, ...rest } = options
  return rateLimiter({ algorithm: 'sliding-window', limit, periodMs }, rest)
}

/**
 * Creates the local rate limiter of a quota.
 *
 * @throws {RangeError} for an option out of its range
 */
export function rateLimiter(quota: RateQuota, options: Pick<RateLimiterOptions, 'maxKeys' | 'world'> = {}): RateLimiter {
  const { maxKeys = 100_000, world = systemWorld } = options
  checkQuota(quota)
  checkNumber('create rate limiter', 'maxKeys', maxKeys, { min: 1, whole: true })
  /** In the order the keys were last asked for. */
  const states = new Map<string, RateState>()

  /** Drops up to two keys that are full again, so that the map shrinks faster than it grows; then what is too much. */
  function forget(now: number): void {
    let looked = 0
    for (const [key, { fullAt }] of states) {
      looked += 1
      if (states.size <= maxKeys && (looked > 2 || fullAt > now)) return
      states.delete(key)
    }
  }

  return {
    take(key, cost = 1) {
      checkTake(quota, key, cost)
      const now = world.monotonic()
      const { state, answer } = takeFrom(quota, states.get(key), cost, now)
      states.delete(key)
      states.set(key, state)
      forget(now)
      return answer
    },
    get keys() {
      return states.size
    },
  }
}
