import { checkDuration, checkNumber } from './option-checks.ts'

export interface ExponentialOptions {
  /** The wait before the first retry, before jitter, milliseconds from 1. Default 100. */
  baseMs?: number
  /** No wait is longer than this, milliseconds, at least `baseMs`. Default 5,000. */
  capMs?: number
  /** What each wait is multiplied by, from 1. Default 2. Not used with `decorrelated`. */
  factor?: number
  /**
   * How much is left to chance, so that callers who failed together do not come back together. `none`: the wait itself;
   * `equal`: between half of it and all of it; `full`: between nothing and all of it; `decorrelated`: between `baseMs` and three
   * times the wait before. Default `full`.
   */
  jitter?: 'none' | 'full' | 'equal' | 'decorrelated'
}

/** How long to wait between attempts. */
export interface Backoff {
  /**
   * The wait before retry number `retry`, milliseconds.
   *
   * @param retry 1 for the first
   * @param random gives numbers in [0, 1): `world.random`
   * @param previousMs the wait before the last retry; matters to `decorrelated` only
   */
  delayMs(retry: number, random: () => number, previousMs?: number): number
  /** The longest that `delayMs` can be for this retry. */
  maxMs(retry: number): number
}

/**
 * Creates a backoff that grows from wait to wait.
 *
 * @throws {RangeError} for an option out of its range
 * @see Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
 */
export function exponential(options: ExponentialOptions = {}): Backoff {
  const { baseMs = 100, capMs = 5_000, factor = 2, jitter = 'full' } = options
  checkDuration('create backoff', 'baseMs', baseMs, 1)
  checkDuration('create backoff', 'capMs', capMs, baseMs)
  checkNumber('create backoff', 'factor', factor, { min: 1 })
  if (!JITTERS.includes(jitter)) throw new TypeError(`cannot create backoff: "jitter" is "${jitter}", wanted one of ${JITTERS.join(', ')}`)
  const grown = (retry: number, by: number) => Math.min(capMs, baseMs * by ** (retry - 1))

  return {
    delayMs(retry, random, previousMs = baseMs) {
      if (jitter === 'decorrelated') {
        const most = Math.max(baseMs, previousMs * 3)
        return Math.min(capMs, baseMs + random() * (most - baseMs))
      }
      const whole = grown(retry, factor)
      if (jitter === 'none') return whole
      if (jitter === 'equal') return whole / 2 + random() * (whole / 2)
      return random() * whole
    },
    maxMs: (retry) => (jitter === 'decorrelated' ? Math.min(capMs, grown(retry, 3) * 3) : grown(retry, factor)),
  }
}

const JITTERS: readonly string[] = ['none', 'full', 'equal', 'decorrelated']
