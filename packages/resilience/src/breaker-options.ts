import type { World } from '@banyan/core'
import type { BreakerLimits } from './breaker-state.ts'
import { type BreakerWindow, consecutiveWindow, countWindow, timeWindow } from './breaker-window.ts'
import type { Settled } from './failure.ts'
import { checkDuration, checkNumber } from './option-checks.ts'

export interface CircuitBreakerOptions {
  /** Opens after so many failures in a row, from 1. Default 5 without a `window`, else off. */
  failures?: number
  /**
   * Judges by shares of the last `calls` calls, or of those in the last `timeMs` milliseconds, kept in `slices` (default 10).
   * Default: none, failures in a row alone count.
   */
  window?: { calls: number } | { timeMs: number; slices?: number }
  /** Fewer calls than this in the window decide nothing, from 1. Default 20, or the window's calls when fewer. */
  minimumCalls?: number
  /** Opens when this share of the calls in the window failed, above 0 to 1. Default 0.5. */
  failureRate?: number
  /** Opens when the share `rate` of the calls in the window took longer than `overMs` milliseconds. Default: off. */
  slow?: { overMs: number; rate: number }
  /** How long it stays open before it probes, milliseconds. Default 30,000. */
  coolDownMs?: number
  /** Each opening in a row lasts `factor` times as long as the one before, up to `maxMs`. Default: all last the same. */
  coolDownGrowth?: { factor: number; maxMs: number }
  /**
   * Half-open: `allowed` calls go through, `needed` good answers close it; it opens again as soon as that many cannot be reached.
   * A probe without an answer after `maxWaitMs` counts as failed. Calls beyond the probes are rejected (`overflow: 'reject'`), or
   * `'wait'` for the probes to decide: up to `maxWaiting` of them, and not longer than a probe may take. Default: 2 needed, as many
   * allowed as needed, 10,000 ms, `'reject'`, 1,000 waiting.
   */
  probes?: { allowed?: number; needed?: number; maxWaitMs?: number; overflow?: 'reject' | 'wait'; maxWaiting?: number }
  /**
   * Whether an outcome, error or value, counts as a failure. Never asked about refusals, cancelled calls and calls that another
   * layer turned away. Default: see {@link isFailure}.
   */
  isFailure?: (settled: Settled) => boolean
  /** What was counted is forgotten when no call was made for so long, milliseconds; in every mode. Default 300,000 (5 minutes). */
  forgetAfterMs?: number
  /** Default: the system's. */
  world?: World
}

/** What may change while a breaker runs. */
export type CircuitBreakerChanges = Omit<CircuitBreakerOptions, 'world'>

/** What a breaker is about to do with its options, for messages. */
export type BreakerAction = 'create circuit breaker' | 'reconfigure circuit breaker'

/**
 * The limits of a breaker, checked.
 *
 * @throws {RangeError} for an option out of its range or one that could never take effect
 */
export function breakerLimits(options: CircuitBreakerOptions, action: BreakerAction): BreakerLimits {
  const { window, failures = window ? Number.POSITIVE_INFINITY : 5, slow, coolDownMs = 30_000, coolDownGrowth, probes = {} } = options
  const { needed = probes.allowed === undefined ? 2 : Math.min(2, probes.allowed), maxWaitMs = 10_000 } = probes
  const { overflow = 'reject', maxWaiting = 1_000 } = probes
  const { allowed = needed } = probes
  const { factor = 1, maxMs = coolDownMs } = coolDownGrowth ?? {}
  if (options.failures !== undefined) checkNumber(action, 'failures', failures, { min: 1, whole: true })
  checkDuration(action, 'coolDownMs', coolDownMs, 1)
  checkNumber(action, 'coolDownGrowth.factor', factor, { min: 1 })
  checkDuration(action, 'coolDownGrowth.maxMs', maxMs, coolDownMs)
  checkNumber(action, 'probes.needed', needed, { min: 1, whole: true })
  checkNumber(action, 'probes.allowed', allowed, { min: needed, max: 1_000, whole: true })
  checkDuration(action, 'probes.maxWaitMs', maxWaitMs, 1)
  if (overflow !== 'reject' && overflow !== 'wait')
    throw new TypeError(`cannot ${action}: "probes.overflow" is "${String(overflow)}", wanted "reject" or "wait"`)
  checkNumber(action, 'probes.maxWaiting', maxWaiting, { min: 1, whole: true })
  checkNumber(action, 'forgetAfterMs', options.forgetAfterMs ?? 300_000, { min: 1 })
  return {
    failuresInARow: failures,
    ...rates(options, action),
    slowRate: slow?.rate ?? Number.POSITIVE_INFINITY,
    coolDownMs,
    coolDownFactor: factor,
    maxCoolDownMs: maxMs,
    probesAllowed: allowed,
    probesNeeded: needed,
    probeMaxWaitMs: maxWaitMs,
    maxWaiting: overflow === 'wait' ? maxWaiting : 0,
  }
}

function rates(
  { window, minimumCalls, failureRate, slow }: CircuitBreakerOptions,
  action: BreakerAction,
): { minimumCalls: number; failureRate: number } {
  if (!window) {
    for (const [name, value] of Object.entries({ minimumCalls, failureRate, slow })) {
      if (value !== undefined) throw new RangeError(`cannot ${action}: "${name}" needs a "window", as in { window: { calls: 100 } }`)
    }
    return { minimumCalls: 1, failureRate: Number.POSITIVE_INFINITY }
  }
  const most = 'calls' in window ? window.calls : Number.MAX_SAFE_INTEGER
  const least = minimumCalls ?? Math.min(20, most)
  checkNumber(action, 'minimumCalls', least, { min: 1, max: most, whole: true })
  // Above 0: with a rate of 0, calls that all went well would open it.
  checkNumber(action, 'failureRate', failureRate ?? 0.5, { min: Number.MIN_VALUE, max: 1 })
  if (slow) {
    checkDuration(action, 'slow.overMs', slow.overMs)
    checkNumber(action, 'slow.rate', slow.rate, { min: Number.MIN_VALUE, max: 1 })
  }
  return { minimumCalls: least, failureRate: failureRate ?? 0.5 }
}

/** The window that the options ask for. */
export function breakerWindow({ window }: CircuitBreakerOptions, action: BreakerAction): BreakerWindow {
  if (!window) return consecutiveWindow()
  if ('calls' in window) {
    checkNumber(action, 'window.calls', window.calls, { min: 1, max: 10_000_000, whole: true })
    return countWindow(window.calls)
  }
  const { timeMs, slices = 10 } = window
  checkDuration(action, 'window.timeMs', timeMs, 1)
  checkNumber(action, 'window.slices', slices, { min: 1, max: 10_000, whole: true })
  return timeWindow(timeMs, slices)
}

/** The breaker in a few words, for `explain()`: `opens after 5 failures in a row, for 30000 ms`. */
export function describeBreaker(limits: BreakerLimits): string {
  const reasons = [
    limits.failuresInARow < Number.POSITIVE_INFINITY ? `after ${limits.failuresInARow} failures in a row` : '',
    limits.failureRate <= 1 ? `at ${percent(limits.failureRate)} failed` : '',
    limits.slowRate <= 1 ? `at ${percent(limits.slowRate)} slow` : '',
  ]
  return `opens ${reasons.filter(Boolean).join(' or ')}, for ${limits.coolDownMs} ms`
}

function percent(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`
}
