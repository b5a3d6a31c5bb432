import { shown } from '@banyan/core'
import { checkDuration, checkNumber } from './option-checks.ts'

/** How many takes a key may have; plain data, so that a shared store can be told. */
export type RateQuota =
  /** Even: the period's takes come back one by one. `burst` of them may come at once. */
  | { readonly algorithm: 'gcra'; readonly limit: number; readonly periodMs: number; readonly burst: number }
  /** No more than `limit` in any period that ends now, reckoned from the counts of two periods. */
  | { readonly algorithm: 'sliding-window'; readonly limit: number; readonly periodMs: number }

/** The answer to one take. */
export interface RateLimitAnswer {
  readonly allowed: boolean
  /** How many takes would be allowed right after this one. */
  readonly remaining: number
  /** Milliseconds until the key has all its takes again. */
  readonly resetMs: number
  /** Milliseconds until the same take would be allowed; 0 when it was. */
  readonly retryAfterMs: number
  /** Refused because nobody could count: the store of a shared limiter is away. */
  readonly isAway?: true
}

/** What is remembered of a key. `fullAt`: when it has all its takes again, from then on nothing need be remembered. */
export type RateState =
  | { readonly fullAt: number }
  /** `start`: when the period under way began. */
  | { readonly fullAt: number; readonly start: number; readonly current: number; readonly previous: number }

/** Rounding of the clock's fractions must not refuse the last take of a burst: a microsecond. */
const EPSILON_MS = 0.001

/**
 * One take, as a pure function: what a local limiter does, and what a shared store has to do in one atomic step.
 *
 * @param state of the key; `undefined`: nothing is remembered
 * @param now milliseconds on any clock that does not go back; where one does, a key waits as long as after a burst, and no longer
 * @returns the state to remember, also when the take is refused, and the answer
 * @see ITU-T I.371, annex A (GCRA); "How we built rate limiting capable of scaling to millions of domains", Cloudflare, 2017 (two counts)
 */
export function takeFrom(
  quota: RateQuota,
  state: RateState | undefined,
  cost: number,
  now: number,
): { state: RateState; answer: RateLimitAnswer } {
  return quota.algorithm === 'gcra' ? takeEvenly(quota, state, cost, now) : takeSliding(quota, state, cost, now)
}

/** How many takes may come at once. */
export function burstOf(quota: RateQuota): number {
  return quota.algorithm === 'gcra' ? quota.burst : Math.floor(quota.limit)
}

/** @throws {RangeError} for a quota out of its range */
export function checkQuota(quota: RateQuota): void {
  const { algorithm, limit, periodMs } = quota
  if (algorithm !== 'gcra' && algorithm !== 'sliding-window')
    throw new TypeError(`cannot create rate limiter: "algorithm" is "${String(algorithm)}", wanted "gcra" or "sliding-window"`)
  checkNumber('create rate limiter', 'limit', limit, { min: 1 })
  checkDuration('create rate limiter', 'periodMs', periodMs, 1)
  if (algorithm === 'gcra') checkNumber('create rate limiter', 'burst', quota.burst, { min: 1, whole: true })
}

/** @throws {TypeError} for a key that is no text; {RangeError} for a cost that no key could ever pay */
export function checkTake(quota: RateQuota, key: string, cost: number): void {
  if (typeof key !== 'string') throw new TypeError(`cannot take from rate limiter: the key is ${shown(key)}, wanted a text`)
  checkNumber(`take from rate limiter for "${key}"`, 'cost', cost, { min: 1, max: burstOf(quota), whole: true })
}

/**
 * Checks what may come from a limiter or a store of somebody else.
 *
 * @throws {TypeError} when it is no answer to a take
 */
export function checkAnswer(action: string, who: string, answer: unknown): RateLimitAnswer {
  const { allowed, retryAfterMs } = (answer ?? {}) as Partial<RateLimitAnswer>
  if (typeof allowed === 'boolean' && (allowed || (typeof retryAfterMs === 'number' && retryAfterMs >= 0))) return answer as RateLimitAnswer
  const got =
    typeof answer === 'object' && answer !== null ? `allowed: ${shown(allowed)}, retryAfterMs: ${shown(retryAfterMs)}` : shown(answer)
  throw new TypeError(`cannot ${action}: the ${who} answered ${got}, wanted { allowed, remaining, resetMs, retryAfterMs }`)
}

type Gcra = Extract<RateQuota, { algorithm: 'gcra' }>

function takeEvenly({ limit, periodMs, burst }: Gcra, state: RateState | undefined, cost: number, now: number) {
  const intervalMs = periodMs / limit
  const toleranceMs = intervalMs * burst
  // Further ahead than any take goes: the clock was set back, or the quota was another. Nobody is to wait for that.
  const before = Math.min(Math.max(state?.fullAt ?? 0, now), now + toleranceMs + EPSILON_MS)
  const after = before + intervalMs * cost
  const waitMs = after - now - toleranceMs
  const allowed = waitMs <= EPSILON_MS
  const fullAt = allowed ? after : before
  return {
    state: { fullAt },
    answer: {
      allowed,
      remaining: Math.max(0, Math.floor((toleranceMs - (fullAt - now) + EPSILON_MS) / intervalMs)),
      resetMs: fullAt - now,
      retryAfterMs: allowed ? 0 : waitMs,
    },
  }
}

type Sliding = Extract<RateQuota, { algorithm: 'sliding-window' }>

function takeSliding({ limit, periodMs }: Sliding, state: RateState | undefined, cost: number, now: number) {
  const { start, current, previous } = rolled(state, periodMs, now)
  const left = (taken: number) => limit - taken - previous * (1 - (now - start) / periodMs)
  // A billionth, so that shares of a period that do not add up exactly refuse nobody.
  const allowed = left(current + cost) >= -1e-9
  const taken = allowed ? current + cost : current
  const fullAt = taken > 0 ? start + 2 * periodMs : previous > 0 ? start + periodMs : now
  return {
    state: { fullAt, start, current: taken, previous },
    answer: {
      allowed,
      remaining: Math.max(0, Math.floor(left(taken) + 1e-9)),
      resetMs: Math.max(0, fullAt - now),
      retryAfterMs: allowed ? 0 : slideAt(limit - cost, { start, current, previous }, periodMs) - now,
    },
  }
}

/** The two counts as of `now`: a period may have ended, or both. */
function rolled(state: RateState | undefined, periodMs: number, now: number) {
  const start = Math.floor(now / periodMs) * periodMs
  if (!state || !('start' in state)) return { start, current: 0, previous: 0 }
  // Also where the clock was set back since: nobody is to wait until it has come back to where it was.
  if (state.start >= start) return { start, current: state.current, previous: state.previous }
  return { start, current: 0, previous: state.start + periodMs >= start ? state.current : 0 }
}

/** When the weighted count has come down to `room`. */
function slideAt(
  room: number,
  { start, current, previous }: { start: number; current: number; previous: number },
  periodMs: number,
): number {
  if (current <= room) return start + periodMs * (1 - (room - current) / previous)
  return start + periodMs + periodMs * (1 - room / current)
}
