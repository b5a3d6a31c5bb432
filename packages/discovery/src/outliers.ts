import { assertRange } from './errors.ts'

/** How endpoints that fail more than others are avoided. */
export interface OutlierOptions {
  /** Failures in a row until an endpoint is avoided. Default 3. Lower reacts faster, higher forgives more. */
  failures?: number
  /** How long it is avoided the first time, milliseconds. Doubles each time it comes back and fails. Default 1,000. */
  baseMs?: number
  /** The longest it is avoided, milliseconds. Default 30,000. */
  maxMs?: number
  /**
   * The largest share of the endpoints that may be avoided at one time, 0 to 1. Default 0.1. Of two or more endpoints one may always be
   * avoided, unless this is 0, which turns it all off.
   */
  maxShare?: number
  /**
   * With less than this share left to choose from, 0 to 1, all are used: many failing at once is no outlier. Default 0.5. With none left
   * all are used whatever this is: somebody must be called.
   */
  panicShare?: number
  /** How often success rates are compared, milliseconds, from 100. Default 10,000. */
  intervalMs?: number
  /** Avoids an endpoint that succeeds clearly less often than the others. `false` turns it off. */
  successRate?: SuccessRateOptions | false
  /** Avoids an endpoint that fails mostly, whatever the others do. `false` turns it off. */
  failureRate?: FailureRateOptions | false
}

/** When an endpoint's success rate is out of line. Endpoints with fewer calls are not looked at. */
export interface SuccessRateOptions {
  /** How many standard deviations below the mean, from 0. Default 1.9. It takes 5 endpoints to find a single one out of line. */
  deviations?: number
  /** Endpoints with enough calls there must be to compare, from 1. Default 5. */
  minimumHosts?: number
  /** Calls of an endpoint in an interval to be judged, from 1. Default 100. */
  minimumCalls?: number
  /**
   * Whoever fails no more than this is never out of line, 0 to 1. Default 0.05: where all others succeed always, one failed call
   * of a thousand is many deviations away. 0: as in A50.
   */
  leastFailureRate?: number
}

/** When an endpoint fails too often. */
export interface FailureRateOptions {
  /** Above this it is avoided, 0 to 1. Default 0.85. */
  threshold?: number
  /** Endpoints with enough calls there must be, from 1. Default 5. */
  minimumHosts?: number
  /** Calls of an endpoint in an interval to be judged, from 1. Default 50. */
  minimumCalls?: number
}

/** {@link OutlierOptions} with all defaults filled in. */
export type OutlierLimit = Required<Omit<OutlierOptions, 'successRate' | 'failureRate'>> & {
  readonly successRate: Required<SuccessRateOptions> | false
  readonly failureRate: Required<FailureRateOptions> | false
}

/** What is known of one endpoint's failures. Times are those of `World.monotonic`. */
export interface Standing {
  /** Failures in a row. */
  readonly failures: number
  /** Avoided before this time. */
  readonly until: number
  /** How often it was avoided lately; makes the next time longer. */
  readonly times: number
}

/** What the call says of the endpoint: `admitted` is when it was sent. */
export interface Outcome {
  readonly ok: boolean
  readonly admitted: number
}

/** Where an endpoint stands of which nothing is known. */
export const fresh: Standing = { failures: 0, until: Number.NEGATIVE_INFINITY, times: 0 }

/** Whether the endpoint is avoided at `now`. */
export function isAvoided(standing: Standing, now: number): boolean {
  return now < standing.until
}

/**
 * Where the endpoint stands after the outcome of a call. A call that was sent before the endpoint came back says nothing about now. After
 * coming back one failure is enough to be avoided again.
 *
 * @param mayAvoid whether the share of avoided endpoints leaves room for one more
 * @see Envoy, "Outlier detection", consecutive errors; gRPC proposal A50, whose ejection time grows likewise
 */
export function after(standing: Standing, outcome: Outcome, now: number, mayAvoid: () => boolean, limit: OutlierLimit): Standing {
  if (outcome.admitted < standing.until) return standing
  if (outcome.ok) return standing.failures === 0 ? standing : { ...standing, failures: 0 }
  const failures = Math.min(standing.failures + 1, limit.failures)
  if (failures < limit.failures || !mayAvoid()) return { ...standing, failures }
  return avoided(standing, now, limit)
}

/** Where the endpoint stands when it is avoided from `now` on: longer each time, and each `maxMs` without takes one time off. */
export function avoided(standing: Standing, now: number, { failures, baseMs, maxMs }: OutlierLimit): Standing {
  const forgiven = standing.times === 0 ? 0 : Math.floor((now - standing.until) / maxMs)
  const times = Math.max(0, standing.times - forgiven) + 1
  return { failures: failures - 1, until: now + Math.min(maxMs, baseMs * 2 ** Math.min(times - 1, 30)), times }
}

/** How many of `count` endpoints may be avoided at one time. */
export function mostAvoided(count: number, { maxShare }: OutlierLimit): number {
  return count < 2 || maxShare === 0 ? 0 : Math.max(1, Math.floor(count * maxShare))
}

/** Whether so many are avoided that all must be used: when none is left, always. */
export function isPanic(count: number, avoidedCount: number, { panicShare }: OutlierLimit): boolean {
  return avoidedCount >= count || count - avoidedCount < count * panicShare
}

/** @throws {RangeError} for an option out of range */
export function outlierLimit(action: string, options: OutlierOptions = {}): OutlierLimit {
  const { failures = 3, baseMs = 1_000, maxMs = 30_000, maxShare = 0.1, panicShare = 0.5, intervalMs = 10_000 } = options
  assertRange(action, 'outliers.failures', failures, 1, 1_000_000)
  assertRange(action, 'outliers.baseMs', baseMs, 1, 3_600_000)
  assertRange(action, 'outliers.maxMs', maxMs, baseMs, 3_600_000)
  assertRange(action, 'outliers.maxShare', maxShare, 0, 1)
  assertRange(action, 'outliers.panicShare', panicShare, 0, 1)
  assertRange(action, 'outliers.intervalMs', intervalMs, 100, 3_600_000)
  const successRate = successRateOf(action, options.successRate)
  return { failures, baseMs, maxMs, maxShare, panicShare, intervalMs, successRate, failureRate: failureRateOf(action, options.failureRate) }
}

function successRateOf(action: string, options: SuccessRateOptions | false = {}): Required<SuccessRateOptions> | false {
  if (options === false) return false
  const { deviations = 1.9, minimumHosts = 5, minimumCalls = 100, leastFailureRate = 0.05 } = options
  assertRange(action, 'outliers.successRate.deviations', deviations, 0, 1_000)
  assertRange(action, 'outliers.successRate.minimumHosts', minimumHosts, 1, 1_000_000)
  assertRange(action, 'outliers.successRate.minimumCalls', minimumCalls, 1, 1_000_000_000)
  assertRange(action, 'outliers.successRate.leastFailureRate', leastFailureRate, 0, 1)
  return { deviations, minimumHosts, minimumCalls, leastFailureRate }
}

function failureRateOf(action: string, options: FailureRateOptions | false = {}): Required<FailureRateOptions> | false {
  if (options === false) return false
  const { threshold = 0.85, minimumHosts = 5, minimumCalls = 50 } = options
  assertRange(action, 'outliers.failureRate.threshold', threshold, 0, 1)
  assertRange(action, 'outliers.failureRate.minimumHosts', minimumHosts, 1, 1_000_000)
  assertRange(action, 'outliers.failureRate.minimumCalls', minimumCalls, 1, 1_000_000_000)
  return { threshold, minimumHosts, minimumCalls }
}
