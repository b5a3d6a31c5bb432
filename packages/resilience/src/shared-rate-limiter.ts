import { systemWorld, type World } from '@banyan/core'
import { deadlinesOf } from './deadlines.ts'
import { isHeard, tell } from './events.ts'
import { checkDuration } from './option-checks.ts'
import { rateLimiter } from './rate-limiter.ts'
import { burstOf, checkAnswer, checkQuota, checkTake, type RateLimitAnswer, type RateQuota } from './rate-quota.ts'

/** A place where several processes count together; an adapter makes one of Redis or another store. */
export interface RateLimitStore {
  /**
   * One take, atomically: reads what is remembered of `key`, does as {@link takeFrom} does on the store's own clock, and remembers
   * the state until its `fullAt`.
   *
   * @param patienceMs how long the caller waits: a store that has said nothing for longer may reject at once
   */
  take(key: string, cost: number, quota: RateQuota, patienceMs?: number): Promise<RateLimitAnswer>
}

export interface SharedRateLimiterOptions {
  store: RateLimitStore
  quota: RateQuota
  /**
   * When the store fails or does not answer in time. `local`: this process counts for itself until the store is back; `allow`: every
   * take is allowed; `refuse`: none is, `retryAfterMs` later perhaps. Default `local`: a store that is down neither opens the gates nor
   * closes them.
   */
  whenAway?: 'local' | 'allow' | 'refuse'
  /** How long the store may take to answer, milliseconds from 1. Default 100. */
  timeoutMs?: number
  /** Default: the system's. */
  world?: World
}

/** Counts takes by key together with other processes. The answers are those of a local limiter. */
export interface SharedRateLimiter {
  /** @throws {RangeError} for a cost that is no whole number from 1 to what may come at once; {TypeError} for a key that is no text */
  take(key: string, cost?: number): Promise<RateLimitAnswer>
}

/** How soon to try again while the store is away and takes are refused. */
const AWAY_RETRY_MS = 1_000

/**
 * Creates a rate limiter whose counts are in a store. It never fails for the store's sake: see `whenAway`. Each failure is told on the
 * channel `banyan:resilience:rate-limit-store`.
 *
 * @throws {RangeError} for an option out of its range
 */
export function sharedRateLimiter(options: SharedRateLimiterOptions): SharedRateLimiter {
  const { store, quota, whenAway = 'local', timeoutMs = 100, world = systemWorld } = options
  checkQuota(quota)
  checkDuration('create rate limiter', 'timeoutMs', timeoutMs, 1)
  if (!['local', 'allow', 'refuse'].includes(whenAway))
    throw new TypeError(`cannot create rate limiter: "whenAway" is "${whenAway}", wanted "local", "allow" or "refuse"`)
  const local = rateLimiter(quota, { world })

  function instead(key: string, cost: number, error: unknown): RateLimitAnswer {
    if (isHeard('rate-limit-store')) tell('rate-limit-store', { key, error })
    if (whenAway === 'local') return local.take(key, cost)
    return whenAway === 'allow'
      ? { allowed: true, remaining: burstOf(quota), resetMs: 0, retryAfterMs: 0 }
      : { allowed: false, remaining: 0, resetMs: AWAY_RETRY_MS, retryAfterMs: AWAY_RETRY_MS, isAway: true }
  }

  return {
    async take(key, cost = 1) {
      checkTake(quota, key, cost)
      try {
        return checkAnswer('take from rate limiter', 'store', await within(world, timeoutMs, store.take(key, cost, quota, timeoutMs)))
      } catch (error) {
        return instead(key, cost, error)
      }
    },
  }
}

/** A deadline that is so late was held up by this process, milliseconds: the answer may lie in its socket. */
const LATE_MS = 5

/** What `work` gives, or a rejection after `timeoutMs`; as long again where this process itself had no time to read the answer. */
function within<T>(world: World, timeoutMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const deadlines = deadlinesOf(world)
    const deadline = {
      at: world.monotonic() + timeoutMs,
      place: -1,
      isExtended: false,
      expire() {
        const now = world.monotonic()
        if (deadline.isExtended || now - deadline.at < LATE_MS)
          return reject(new Error(`the store of a rate limiter did not answer within ${timeoutMs} ms`))
        deadline.isExtended = true
        deadline.at = now + timeoutMs
        deadlines.add(deadline)
      },
    }
    deadlines.add(deadline)
    work.then(resolve, reject).finally(() => deadlines.remove(deadline))
  })
}
