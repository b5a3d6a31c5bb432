/** How many calls an adaptive limit lets run, and why. Times are on the monotonic clock. */
export type LimitState =
  | { readonly kind: 'aimd'; readonly limit: number; readonly loweredAt: number }
  /** `usualMs`: the smoothed latency of `samples` answers; 0 before the first. */
  | { readonly kind: 'gradient'; readonly limit: number; readonly loweredAt: number; readonly usualMs: number; readonly samples: number }

/** The end of a call, as far as it says something of the load. */
export interface LimitSample {
  readonly startedAt: number
  readonly endedAt: number
  /** How many ran when it began, itself included. */
  readonly active: number
  /** It was turned away by the other side, or ran out of time. */
  readonly overloaded: boolean
}

/** What bounds a limit and how it moves. */
export interface LimitRules {
  readonly min: number
  readonly max: number
  /** The share that stays after a sign of overload. */
  readonly decrease: number
  /** Gradient: so many times the usual latency is still fine. */
  readonly tolerance: number
  /** Gradient: how much of the way to its aim the limit goes at once. */
  readonly smoothing: number
}

/** Answers until the usual latency is a smoothed one and no longer the mean. */
const WARM_UP = 10
/** How many answers the usual latency remembers. */
const MEMORY = 600

/**
 * The next state. Both kinds go down at a sign of overload, once for all calls that were under way by then: the rest of them say
 * nothing new. Neither grows while less than half of the limit is used: what was never tried is not known to be good.
 */
export function afterSample(state: LimitState, sample: LimitSample, rules: LimitRules): LimitState {
  if (sample.overloaded) {
    if (sample.startedAt < state.loweredAt) return state
    return { ...state, limit: bounded(state.limit * rules.decrease, rules), loweredAt: sample.endedAt }
  }
  const isUsed = sample.active * 2 >= state.limit
  if (state.kind === 'gradient') return afterAnswer(state, sample, isUsed, rules)
  // One more for each limit's worth of answers, as TCP adds one segment a round trip.
  return isUsed ? { ...state, limit: bounded(state.limit + 1 / state.limit, rules) } : state
}

/** By how the latency stands to the usual one: below it there is room for a queue, above it the limit shrinks with the ratio. */
function afterAnswer(
  state: Extract<LimitState, { kind: 'gradient' }>,
  { startedAt, endedAt }: LimitSample,
  isUsed: boolean,
  rules: LimitRules,
): LimitState {
  const latencyMs = Math.max(endedAt - startedAt, Number.EPSILON)
  const samples = Math.min(state.samples + 1, MEMORY)
  const weight = samples <= WARM_UP ? 1 / samples : 2 / (MEMORY + 1)
  const smoothed = state.usualMs + (latencyMs - state.usualMs) * weight
  // After a long time of load the usual has grown too: it comes down faster than it went up.
  const usualMs = smoothed > 2 * latencyMs ? smoothed * 0.95 : smoothed
  if (!isUsed) return { ...state, usualMs, samples }
  const gradient = Math.max(0.5, Math.min(1, (rules.tolerance * usualMs) / latencyMs))
  const aim = state.limit * gradient + Math.sqrt(state.limit)
  const limit = bounded(state.limit + (aim - state.limit) * rules.smoothing, rules)
  return { ...state, usualMs, samples, limit }
}

function bounded(limit: number, { min, max }: LimitRules): number {
  return Math.min(max, Math.max(min, limit))
}
