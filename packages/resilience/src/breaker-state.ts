import type { BreakerCounts } from './breaker-window.ts'

export type BreakerStateName = BreakerState['kind']

/**
 * The states of a circuit breaker. `epoch` grows with each change from one to another: the outcome of a call says something only
 * about the epoch it was admitted in. Times are on the monotonic clock.
 */
export type BreakerState =
  | { readonly kind: 'closed'; readonly epoch: number }
  /** `openings`: how often it opened in a row without closing in between. */
  | { readonly kind: 'open'; readonly epoch: number; readonly openings: number; readonly until: number }
  /** `flying`: when each probe without an answer was admitted. */
  | {
      readonly kind: 'half-open'
      readonly epoch: number
      readonly openings: number
      readonly flying: readonly number[]
      readonly passed: number
      readonly failed: number
    }
  | { readonly kind: 'forced-open'; readonly epoch: number; readonly why: string | undefined }
  | { readonly kind: 'disabled'; readonly epoch: number }

/** When a breaker opens and how it recovers. */
export interface BreakerLimits {
  readonly failuresInARow: number
  readonly minimumCalls: number
  /** Shares from 0 to 1; `Infinity`: never. */
  readonly failureRate: number
  readonly slowRate: number
  readonly coolDownMs: number
  readonly coolDownFactor: number
  readonly maxCoolDownMs: number
  readonly probesAllowed: number
  readonly probesNeeded: number
  readonly probeMaxWaitMs: number
  /** How many calls may wait for the probes to decide. 0: none. */
  readonly maxWaiting: number
}

/** What a call's end says about the dependency; `nothing` when it was cancelled or never got there. */
export type Verdict = 'success' | 'failure' | 'nothing'

export type BreakerEvent =
  /** A call was let through. */
  | { readonly type: 'admitted' }
  /** A call ended that was let through at `startedAt` in `epoch`; `counts` is the window with this outcome in it. */
  | {
      readonly type: 'settled'
      readonly epoch: number
      readonly startedAt: number
      readonly verdict: Verdict
      readonly counts: BreakerCounts
    }
  | { readonly type: 'force-open'; readonly why: string | undefined }
  | { readonly type: 'disable' }
  /** The limits are new. */
  | { readonly type: 'reconfigured' }
  | { readonly type: 'reset' }

/** What time alone does: a cool-down ends, a probe without an answer counts as failed. */
export function passed(state: BreakerState, now: number, limits: BreakerLimits): BreakerState {
  if (state.kind === 'open' && now >= state.until) {
    return { kind: 'half-open', epoch: state.epoch + 1, openings: state.openings, flying: [], passed: 0, failed: 0 }
  }
  if (state.kind !== 'half-open') return state
  const first = Math.min(...state.flying)
  const overdueAt = first + limits.probeMaxWaitMs
  if (overdueAt > now) return state
  // Decided as of then and not of now: nobody may have called for an hour, and a cool-down ran meanwhile.
  const flying = state.flying.toSpliced(state.flying.indexOf(first), 1)
  return passed(decided({ ...state, flying, failed: state.failed + 1 }, overdueAt, limits), now, limits)
}

/** Whether a call may go through. Ask after {@link passed}. */
export function admits(state: BreakerState, limits: BreakerLimits): boolean {
  if (state.kind === 'half-open') return state.passed + state.failed + state.flying.length < limits.probesAllowed
  return state.kind === 'closed' || state.kind === 'disabled'
}

/** The longest that a refused call is told to wait for probes, milliseconds: they are mostly answered long before they are overdue. */
const MOST_PROBE_WAIT_MS = 1_000

/**
 * When a refused call may come again, milliseconds from now, as far as it can be known. Ask after {@link passed}.
 *
 * Open: the rest of its cool-down. Half-open: nobody knows when the probes will answer, so a cool-down as it is after the first
 * opening, at most a second, and not longer than until the oldest probe counts as failed: a caller who waits for as long as a probe
 * may take sleeps on when the dependency has long been back. Opened by hand: unknown.
 */
export function retryAfter(state: BreakerState, now: number, limits: BreakerLimits): number | undefined {
  if (state.kind === 'open') return state.until - now
  const overdueMs = overdueAfter(state, now, limits)
  return overdueMs === undefined ? undefined : Math.min(overdueMs, limits.coolDownMs, MOST_PROBE_WAIT_MS)
}

/** How long until the oldest probe in flight counts as failed, milliseconds: the state changes by then. Ask after {@link passed}. */
export function overdueAfter(state: BreakerState, now: number, limits: BreakerLimits): number | undefined {
  if (state.kind !== 'half-open' || state.flying.length === 0) return undefined
  return Math.min(...state.flying) + limits.probeMaxWaitMs - now
}

/** The next state. `state` is after {@link passed} for the same `now`. */
export function after(state: BreakerState, event: BreakerEvent, now: number, limits: BreakerLimits): BreakerState {
  switch (event.type) {
    case 'admitted':
      return state.kind === 'half-open' ? { ...state, flying: [...state.flying, now] } : state
    case 'settled':
      // The answer of a call admitted before the last change says nothing about now.
      return event.epoch === state.epoch ? settled(state, event, now, limits) : state
    case 'force-open':
      return { kind: 'forced-open', epoch: state.epoch + 1, why: event.why }
    case 'reconfigured':
      return reconfigured(state, now, limits)
    case 'disable':
      return { kind: 'disabled', epoch: state.epoch + 1 }
    case 'reset':
      return { kind: 'closed', epoch: state.epoch + 1 }
  }
}

function settled(state: BreakerState, event: Extract<BreakerEvent, { type: 'settled' }>, now: number, limits: BreakerLimits): BreakerState {
  const { verdict, startedAt, counts } = event
  if (state.kind === 'closed') return verdict !== 'nothing' && trips(counts, limits) ? opened(state.epoch, 1, now, limits) : state
  if (state.kind !== 'half-open') return state
  const probe = state.flying.indexOf(startedAt)
  // Not among those in flight: it was overdue and has been counted as failed.
  if (probe < 0) return state
  return decided(
    {
      ...state,
      flying: state.flying.toSpliced(probe, 1),
      passed: state.passed + (verdict === 'success' ? 1 : 0),
      failed: state.failed + (verdict === 'failure' ? 1 : 0),
    },
    now,
    limits,
  )
}

/** Enough probes passed: closed. So many failed that enough cannot pass any more: open again, for longer. */
function decided(state: Extract<BreakerState, { kind: 'half-open' }>, now: number, limits: BreakerLimits): BreakerState {
  if (state.passed >= limits.probesNeeded) return { kind: 'closed', epoch: state.epoch + 1 }
  if (state.failed > limits.probesAllowed - limits.probesNeeded) return opened(state.epoch, state.openings + 1, now, limits)
  return state
}

/** A shorter cool-down holds at once, a longer one from the next opening; probes that have answered are judged anew. */
function reconfigured(state: BreakerState, now: number, limits: BreakerLimits): BreakerState {
  if (state.kind === 'half-open') return decided(state, now, limits)
  return state.kind === 'open' ? { ...state, until: Math.min(state.until, now + coolDown(state.openings, limits)) } : state
}

function coolDown(openings: number, limits: BreakerLimits): number {
  return Math.min(limits.maxCoolDownMs, limits.coolDownMs * limits.coolDownFactor ** (openings - 1))
}

function opened(epoch: number, openings: number, now: number, limits: BreakerLimits): BreakerState {
  return { kind: 'open', epoch: epoch + 1, openings, until: now + coolDown(openings, limits) }
}

function trips(counts: BreakerCounts, limits: BreakerLimits): boolean {
  if (counts.consecutive >= limits.failuresInARow) return true
  if (counts.calls === 0 || counts.calls < limits.minimumCalls) return false
  return counts.failures / counts.calls >= limits.failureRate || counts.slow / counts.calls >= limits.slowRate
}
