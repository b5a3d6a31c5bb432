import { systemWorld, type World } from '@banyan/core'
import { checkDuration, checkNumber } from './option-checks.ts'

export interface GcraOptions {
  /** How many takes a key may have per period in the long run, from 1. */
  limit: number
  /** The period, milliseconds from 1. */
  periodMs: number
  /** How many takes may come at once, a whole number from 1. Default: `limit`, rounded up. */
  burst?: number
  /**
   * How many keys are remembered, from 1; beyond it the key that was asked for longest ago is forgotten and starts fresh. A key
   * takes some 100 bytes. Default 100,000.
   */
  maxKeys?: number
  /** Default: the system's. */
  world?: World
}

/** The answer to one take. */
export interface RateLimitAnswer {
  readonly allowed: boolean
  /** How many takes would be allowed right after this one. */
  readonly remaining: number
  /** Milliseconds until the key has its full burst again. */
  readonly resetMs: number
  /** Milliseconds until the same take would be allowed; 0 when it was. */
  readonly retryAfterMs: number
}

/** Counts takes by key. */
export interface RateLimiter {
  /**
   * Asks for `cost` takes of `key`'s share. A refused take costs nothing.
   *
   * @param cost a whole number from 1 to `burst`. Default 1
   * @throws {RangeError} for another cost
   */
  take(key: string, cost?: number): RateLimitAnswer
  /** How many keys are remembered. */
  readonly keys: number
}

/** Rounding of the clock's fractions must not refuse the last take of a burst: a microsecond. */
const EPSILON_MS = 0.001

/**
 * Creates a rate limiter by the generic cell rate algorithm: one number a key, no timers, and takes that are spread evenly over
 * the period instead of all coming back at its start. Local to this process.
 *
 * @throws {RangeError} for an option out of its range
 * @see ITU-T I.371, "Traffic control and congestion control in B-ISDN", annex A
 */
export function gcra(options: GcraOptions): RateLimiter {
  const { limit, periodMs, burst = Math.ceil(limit), maxKeys = 100_000, world = systemWorld } = options
  checkNumber('create rate limiter', 'limit', limit, { min: 1 })
  checkDuration('create rate limiter', 'periodMs', periodMs, 1)
  checkNumber('create rate limiter', 'burst', burst, { min: 1, whole: true })
  checkNumber('create rate limiter', 'maxKeys', maxKeys, { min: 1, whole: true })
  const intervalMs = periodMs / limit
  const toleranceMs = intervalMs * burst
  /** For each key the time at which it has its full burst again, in the order the keys were last asked for. */
  const fullAt = new Map<string, number>()

  function take(key: string, cost = 1): RateLimitAnswer {
    checkNumber(`take from rate limiter for "${key}"`, 'cost', cost, { min: 1, max: burst, whole: true })
    const now = world.monotonic()
    const before = Math.max(fullAt.get(key) ?? 0, now)
    const after = before + intervalMs * cost
    const waitMs = after - now - toleranceMs
    const allowed = waitMs <= EPSILON_MS
    const at = allowed ? after : before
    fullAt.delete(key)
    fullAt.set(key, at)
    forget(now)
    return {
      allowed,
      remaining: Math.max(0, Math.floor((toleranceMs - (at - now) + EPSILON_MS) / intervalMs)),
      resetMs: at - now,
      retryAfterMs: allowed ? 0 : waitMs,
    }
  }

  /** Drops up to two keys that are full again, so that the map shrinks faster than it grows; then what is too much. */
  function forget(now: number): void {
    let looked = 0
    for (const [key, at] of fullAt) {
      looked += 1
      if (fullAt.size <= maxKeys && (looked > 2 || at > now)) return
      fullAt.delete(key)
    }
  }

  return {
    take,
    get keys() {
      return fullAt.size
    },
  }
}
