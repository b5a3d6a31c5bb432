import { systemWorld, type World } from '@banyan/core'
import { afterSample, type LimitRules, type LimitState } from './adaptive-limit-state.ts'
import type { Scope } from './call.ts'
import type { End } from './end.ts'
import { ResilienceError, rejection } from './errors.ts'
import { isHeard, tell } from './events.ts'
import { isShed, isTimeout, statusOf } from './failure.ts'
import type { Layer, Next } from './layer.ts'
import { checkNumber } from './option-checks.ts'

export interface AdaptiveLimitOptions {
  /**
   * `gradient`: the limit follows the ratio of the usual latency to that of the moment, so it goes down before calls fail. `aimd`: up
   * by one for each limit's worth of good answers, down by a share at a sign of overload; for dependencies whose latency says little.
   * Default `gradient`.
   */
  algorithm?: 'gradient' | 'aimd'
  /** The limit at the start, from `min` to `max`. Default 20, or what of it `min` and `max` allow. */
  initial?: number
  /** The limit is never below, from 1. Default 1. */
  min?: number
  /** The limit is never above. Default 1,000. */
  max?: number
  /** The share of the limit that stays after a sign of overload, above 0 and below 1. Default 0.9. */
  decrease?: number
  /** Gradient: a latency of so many times the usual one is still fine, from 1. Default 1.5. */
  tolerance?: number
  /** Gradient: how much of the way to its aim the limit goes with one answer, above 0 to 1. Default 0.2. */
  smoothing?: number
  /**
   * Which errors are signs of overload. Other errors say nothing of the load. Never asked about calls that another layer turned away.
   * Default: a timeout, and a `status` of 429, 503 or 504.
   */
  isOverload?: (error: unknown) => boolean
  /** Default: the system's. */
  world?: World
}

/** A layer that finds out how many calls may run at once. */
export interface AdaptiveLimit extends Layer {
  /** How many may run, a whole number. */
  readonly limit: number
  /** How many run. */
  readonly active: number
  snapshot(): AdaptiveLimitSnapshot
  /** @throws {TypeError} for a damaged snapshot */
  restore(snapshot: AdaptiveLimitSnapshot): void
}

/** An adaptive limit as JSON. */
export interface AdaptiveLimitSnapshot {
  readonly version: 1
  readonly limit: number
  /** The usual latency, milliseconds; 0: unknown. */
  readonly usualMs: number
}

/**
 * Limits how many calls run at once, by what the dependency can bear: nobody has to guess the limit of a `bulkhead`, and it follows
 * when the dependency gets more instances or slower. Nothing waits: what is too much is turned away at once.
 *
 * @throws {RangeError} for an option out of its range. Calls reject with {@link ResilienceError} `ERR_OVERLOADED`
 * @see Netflix concurrency-limits (Gradient2Limit, AIMDLimit); Jacobson, "Congestion Avoidance and Control", 1988
 */
export function adaptiveLimit(options: AdaptiveLimitOptions = {}): AdaptiveLimit {
  const { algorithm = 'gradient', isOverload = isOverloadSign, world = systemWorld } = options
  const rules = rulesOf(options)
  let state = startOf(algorithm, options, rules)
  let active = 0

  function ended(startedAt: number, ran: number, overloaded: boolean | undefined): void {
    active -= 1
    if (overloaded === undefined) return
    state = afterSample(state, { startedAt, endedAt: world.monotonic(), active: ran, overloaded }, rules)
  }

  function around(policy: string, next: Next): Next {
    return (scope, end) => {
      if (scope.aborted) return end.bad(scope.reason)
      if (active >= Math.floor(state.limit)) return end.bad(overloaded(policy, Math.floor(state.limit), active, scope))
      active += 1
      next(scope, new Limited({ ended, isOverload }, scope, active, end))
    }
  }

  return {
    facts: { kind: 'adaptive-limit', text: `${algorithm}, ${rules.min} to ${rules.max}` },
    world,
    around,
    gauges: () => [
      { name: 'limit', value: Math.floor(state.limit) },
      { name: 'active', value: active },
    ],
    get limit() {
      return Math.floor(state.limit)
    },
    get active() {
      return active
    },
    snapshot: () => ({ version: 1, limit: state.limit, usualMs: state.kind === 'gradient' ? state.usualMs : 0 }),
    restore(snapshot) {
      checkSnapshot(snapshot)
      const { limit, usualMs } = snapshot
      const bounded = Math.min(rules.max, Math.max(rules.min, limit))
      state = startOf(algorithm, { initial: bounded }, rules)
      if (state.kind === 'gradient' && usualMs > 0) state = { ...state, usualMs, samples: 1 }
    },
  }
}

interface LimitedRules {
  readonly ended: (startedAt: number, ran: number, overloaded: boolean | undefined) => void
  readonly isOverload: (error: unknown) => boolean
}

/** A call that runs. */
class Limited implements End {
  readonly #rules: LimitedRules
  readonly #scope: Scope
  readonly #ran: number
  readonly #startedAt: number
  readonly #end: End

  constructor(rules: LimitedRules, scope: Scope, ran: number, end: End) {
    this.#rules = rules
    this.#scope = scope
    this.#ran = ran
    this.#startedAt = scope.startedAt
    this.#end = end
  }

  ok(value: unknown): void {
    const { aborted, reason } = this.#scope
    this.#rules.ended(this.#startedAt, this.#ran, aborted ? this.#lateness(reason) : false)
    this.#end.ok(value)
  }

  bad(error: unknown): void {
    const { aborted, reason } = this.#scope
    if (aborted) {
      this.#rules.ended(this.#startedAt, this.#ran, this.#lateness(reason))
      this.#end.bad(error)
      return
    }
    let sign: boolean | undefined
    try {
      // What another layer turned away never came to the dependency.
      sign = (!isShed(error) && this.#rules.isOverload(error)) || undefined
    } catch (thrown) {
      // The user's own isOverload threw: that is the caller's to see, but the place is free.
      this.#rules.ended(this.#startedAt, this.#ran, undefined)
      this.#end.bad(thrown)
      return
    }
    this.#rules.ended(this.#startedAt, this.#ran, sign)
    this.#end.bad(error)
  }

  /** A call that ran out of time is a sign of overload; one whose caller left says nothing. */
  #lateness(reason: unknown): true | undefined {
    return isTimeout(reason) || undefined
  }
}

function rulesOf(options: AdaptiveLimitOptions): LimitRules {
  const { min = 1, max = 1_000, decrease = 0.9, tolerance = 1.5, smoothing = 0.2 } = options
  const action = 'create adaptive limit'
  checkNumber(action, 'min', min, { min: 1, whole: true })
  checkNumber(action, 'max', max, { min, whole: true })
  checkNumber(action, 'decrease', decrease, { min: 0.01, max: 0.99 })
  checkNumber(action, 'tolerance', tolerance, { min: 1 })
  checkNumber(action, 'smoothing', smoothing, { min: 0.001, max: 1 })
  return { min, max, decrease, tolerance, smoothing }
}

function startOf(algorithm: 'gradient' | 'aimd', options: AdaptiveLimitOptions, { min, max }: LimitRules): LimitState {
  const { initial = Math.min(max, Math.max(min, 20)) } = options
  checkNumber('create adaptive limit', 'initial', initial, { min, max })
  if (algorithm === 'aimd') return { kind: 'aimd', limit: initial, loweredAt: Number.NEGATIVE_INFINITY }
  if (algorithm === 'gradient') return { kind: 'gradient', limit: initial, loweredAt: Number.NEGATIVE_INFINITY, usualMs: 0, samples: 0 }
  throw new TypeError(`cannot create adaptive limit: "algorithm" is "${String(algorithm)}", wanted "gradient" or "aimd"`)
}

function isOverloadSign(error: unknown): boolean {
  if (isTimeout(error)) return true
  const status = statusOf(error)
  return status === 429 || status === 503 || status === 504
}

function overloaded(policy: string, limit: number, active: number, scope: Scope): ResilienceError {
  if (isHeard('adaptive-limit')) tell('adaptive-limit', { policy, limit, active })
  return rejection(scope.run.asValue, () => {
    return new ResilienceError('ERR_OVERLOADED', policy, `cannot call "${policy}": ${active} calls run, and its limit is ${limit} now`)
  })
}

function checkSnapshot(snapshot: AdaptiveLimitSnapshot): void {
  const { version, limit, usualMs } = snapshot ?? {}
  const isNumber = (value: unknown) => typeof value === 'number' && value >= 0 && Number.isFinite(value)
  if (version !== 1 || !isNumber(limit) || !isNumber(usualMs))
    throw new TypeError(`cannot restore adaptive limit: the snapshot is ${JSON.stringify(snapshot)}, wanted { version: 1, limit, usualMs }`)
}
