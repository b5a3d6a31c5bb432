/** Why a message is in trouble. `failed` may get better by trying again; the others do not. */
export type FailureReason = 'failed' | 'invalid' | 'version-unknown' | 'undecodable' | 'refused'

/** What went wrong, the last time, and since when. */
export interface Failure {
  readonly reason: FailureReason
  /** The code of the error, where it has one. */
  readonly code: string | undefined
  readonly message: string
  readonly stack: string | undefined
  /** When it failed first, milliseconds since 1970. */
  readonly firstAt: number
  /** When it failed last, milliseconds since 1970. */
  readonly lastAt: number
}

/** How a message in the key queue stands. Only the first of a key is ever `due` or `dead`; the rest wait behind it. */
export type Parking =
  | { readonly kind: 'waiting' }
  /** To be run at `dueAt`, after `attempts` failures. */
  | { readonly kind: 'due'; readonly attempts: number; readonly dueAt: number; readonly failure: Failure | undefined }
  /** A dead letter: nothing happens until somebody decides. */
  | { readonly kind: 'dead'; readonly attempts: number; readonly failure: Failure }

export type ParkingEvent =
  /** It was run and failed; `random` in [0, 1) spreads the next attempt. */
  | { readonly kind: 'failed'; readonly error: FailedAttempt; readonly random: number }
  /** It was run and failed, for `times` in a row now, and that says nothing about the message. It counts as no attempt. */
  | { readonly kind: 'postponed'; readonly times: number; readonly random: number }
  /** The message before it is done, or there is none. */
  | { readonly kind: 'head' }
  /** Somebody decided to run it again, with all its attempts. */
  | { readonly kind: 'redriven' }

/** One failed attempt. */
export type FailedAttempt = Pick<Failure, 'reason' | 'code' | 'message' | 'stack'>

/** How often, and when, a message that failed is run again. */
export interface RetrySchedule {
  /** Runs in all, the first one included, a whole number from 1. Default 6. */
  attempts: number
  /** The longest pause after the first failure, milliseconds; it doubles with each. Default 100. */
  baseMs: number
  /** The longest pause at all, milliseconds. Default 30,000. */
  capMs: number
}

/** Six runs within about three seconds on average. */
export const DEFAULT_RETRY: RetrySchedule = { attempts: 6, baseMs: 100, capMs: 30_000 }

/** How a message stands that has not been run yet and has nothing before it. */
export function firstInLine(now: number): Parking {
  return { kind: 'due', attempts: 0, dueAt: now, failure: undefined }
}

/** How a message stands after `event`; the very same object when the event does not apply. */
export function after(parking: Parking, event: ParkingEvent, now: number, retry: RetrySchedule): Parking {
  switch (event.kind) {
    case 'head':
      return parking.kind === 'waiting' ? firstInLine(now) : parking
    case 'redriven':
      return parking.kind === 'dead' ? { kind: 'due', attempts: 0, dueAt: now, failure: parking.failure } : parking
    case 'failed': {
      if (parking.kind !== 'due') return parking
      const attempts = parking.attempts + 1
      const failure = { ...event.error, firstAt: parking.failure?.firstAt ?? now, lastAt: now }
      if (event.error.reason !== 'failed' || attempts >= retry.attempts) return { kind: 'dead', attempts, failure }
      return { kind: 'due', attempts, dueAt: now + pauseMs(attempts, event.random, retry), failure }
    }
    case 'postponed': {
      if (parking.kind !== 'due') return parking
      return { ...parking, dueAt: now + pauseMs(parking.attempts + event.times, event.random, patient(retry)) }
    }
  }
}

/** There is no end to it, so it has pauses also where a schedule has none. */
function patient(retry: RetrySchedule): RetrySchedule {
  return { ...retry, baseMs: Math.max(100, retry.baseMs), capMs: Math.max(1_000, retry.capMs) }
}

/**
 * Full jitter: anything between nothing and the doubled pause, so that many keys that failed together do not come back together.
 *
 * @see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
 */
function pauseMs(attempts: number, random: number, { baseMs, capMs }: RetrySchedule): number {
  return Math.round(random * Math.min(capMs, baseMs * 2 ** (attempts - 1)))
}
