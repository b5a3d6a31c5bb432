/** How endpoints that keep failing are avoided. */
export interface OutlierOptions {
  /** Failures in a row until an endpoint is avoided. Default 3. Lower reacts faster, higher forgives more. */
  failures?: number
  /** How long it is avoided the first time, milliseconds. Doubles each time it comes back and fails. Default 1,000. */
  baseMs?: number
  /** The longest it is avoided, milliseconds. Default 30,000. */
  maxMs?: number
  /** The largest share of the endpoints that may be avoided at one time, 0 to 1. Default 0.5: half of them always get calls. */
  maxShare?: number
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
 * @see gRPC proposal A50, whose ejection time grows likewise
 */
export function after(
  standing: Standing,
  outcome: Outcome,
  now: number,
  mayAvoid: () => boolean,
  limit: Required<OutlierOptions>,
): Standing {
  if (outcome.admitted < standing.until) return standing
  if (outcome.ok) return standing.failures === 0 ? standing : { ...standing, failures: 0 }
  const failures = Math.min(standing.failures + 1, limit.failures)
  if (failures < limit.failures || !mayAvoid()) return { ...standing, failures }
  const times = Math.max(0, standing.times - forgiven(standing, now, limit)) + 1
  const avoidMs = Math.min(limit.maxMs, limit.baseMs * 2 ** Math.min(times - 1, 30))
  return { failures: limit.failures - 1, until: now + avoidMs, times }
}

/** Each `maxMs` that passed without being avoided takes one time off. */
function forgiven(standing: Standing, now: number, limit: Required<OutlierOptions>): number {
  return standing.times === 0 ? 0 : Math.floor((now - standing.until) / limit.maxMs)
}
