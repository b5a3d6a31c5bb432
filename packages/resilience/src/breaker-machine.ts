import { systemWorld } from '@banyan/core'
import { breakerLimits, breakerWindow, type CircuitBreakerChanges, type CircuitBreakerOptions } from './breaker-options.ts'
import { type BreakerSnapshot, checkSnapshot, stateOf, takeSnapshot } from './breaker-snapshot.ts'
import {
  admits,
  after,
  type BreakerEvent,
  type BreakerLimits,
  type BreakerState,
  overdueAfter,
  passed,
  retryAfter,
  type Verdict,
} from './breaker-state.ts'
import type { BreakerCounts } from './breaker-window.ts'

/** What a call that was let through carries until its end. */
export interface Ticket {
  readonly epoch: number
  readonly startedAt: number
}

/** A breaker's state and window on a clock; the layer puts it around calls. */
export interface BreakerMachine {
  limits(): BreakerLimits
  /** Time may have changed it since the last call. `now`: on the monotonic clock, for who has just read it, here and below. */
  state(now?: number): BreakerState
  counts(): BreakerCounts
  /** When a refused call may come again, milliseconds from now, as far as it can be known. */
  retryAfterMs(now?: number): number | undefined
  /** How long until the oldest probe in flight counts as failed, milliseconds. */
  overdueAfterMs(now?: number): number | undefined
  /**
   * The epoch while it is closed, judges by failures in a row and has counted none: then a call need not be remembered, as nothing is
   * forgotten or measured by when it began. Else `undefined`.
   */
  calmEpoch(): number | undefined
  /** Lets a call through, or not: `undefined`. */
  admit(now?: number): Ticket | undefined
  /** Says how a call ended. Once a ticket. */
  settle(ticket: Ticket, verdict: Verdict): void
  /** As `settle` does, of a call without a ticket, let through while calm. */
  settleCalm(epoch: number, verdict: Verdict): void
  /** Applies a command and gives back the new state. */
  command(event: Extract<BreakerEvent, { type: 'force-open' | 'disable' | 'reset' }>): BreakerState
  /** @throws {RangeError} for an option out of its range: then nothing has changed */
  reconfigure(changes: CircuitBreakerChanges): void
  snapshot(): BreakerSnapshot
  restore(snapshot: BreakerSnapshot): void
}

/** Creates a {@link BreakerMachine} that calls `onChange` after each change of state. */
export function breakerMachine(options: CircuitBreakerOptions, onChange: (from: BreakerState, to: BreakerState) => void): BreakerMachine {
  const { world = systemWorld } = options
  let rules = rulesOf(options, 'create circuit breaker')
  let state: BreakerState = { kind: 'closed', epoch: 0 }
  let lastOutcomeAt = world.monotonic()

  function enter(next: BreakerState): BreakerState {
    const from = state
    state = next
    if (next.epoch === from.epoch) return next
    if (next.kind === 'closed') rules.window.clear()
    onChange(from, next)
    // Who was told may have moved it on.
    return state
  }

  const current = (now: number): BreakerState => (state.kind === 'closed' ? state : enter(passed(state, now, rules.limits)))
  const snapshotAt = (now: number) => takeSnapshot(current(now), rules.window.snapshot(now), { at: world.now(), now, lastOutcomeAt })
  const move = (event: BreakerEvent, now: number): BreakerState => enter(after(current(now), event, now, rules.limits))

  function settle({ epoch, startedAt }: Ticket, verdict: Verdict): void {
    const now = world.monotonic()
    const { kind, epoch: currentEpoch } = current(now)
    if (epoch !== currentEpoch) return
    const { window, slowMs, forgetAfterMs } = rules
    const tooSlow = now - startedAt > slowMs
    if (kind === 'closed' && verdict !== 'nothing') {
      if (startedAt - lastOutcomeAt > forgetAfterMs) window.clear()
      lastOutcomeAt = now
      window.record(now, verdict === 'failure', tooSlow)
    }
    // A probe that is too slow is no recovery.
    const judged = kind === 'half-open' && tooSlow && verdict === 'success' ? 'failure' : verdict
    move({ type: 'settled', epoch, startedAt, verdict: judged, counts: window.counts(now) }, now)
  }

  function settleCalm(epoch: number, verdict: Verdict): void {
    if (state.epoch !== epoch || verdict === 'nothing') return
    // Not a number: without a start it is neither slow nor after a pause. While it ran, nothing was counted that it could outlast.
    if (verdict === 'failure' || rules.window.kind !== 'consecutive') settle({ epoch, startedAt: Number.NaN }, verdict)
    else rules.window.record(0, false, false)
  }

  function reconfigure(changes: CircuitBreakerChanges): void {
    const now = world.monotonic()
    const next = rulesOf({ ...rules.options, ...changes }, 'reconfigure circuit breaker')
    const isSame = JSON.stringify(next.options.window) === JSON.stringify(rules.options.window)
    if (!isSame) next.window.restore(transferable(rules.window.snapshot(now)), now, 0)
    rules = isSame ? { ...next, window: rules.window } : next
    move({ type: 'reconfigured' }, now)
  }

  function restore(snapshot: BreakerSnapshot): void {
    checkSnapshot(snapshot)
    const now = world.monotonic()
    const elapsedMs = Math.max(0, world.now() - snapshot.at)
    enter(after(stateOf(snapshot, state.epoch + 1, now, elapsedMs), { type: 'reconfigured' }, now, rules.limits))
    rules.window.restore(snapshot.window, now, elapsedMs)
    lastOutcomeAt = now - elapsedMs - (snapshot.idleMs ?? 0)
  }

  return {
    limits: () => rules.limits,
    state: (now = world.monotonic()) => current(now),
    counts: () => ({ ...rules.window.counts(world.monotonic()) }),
    retryAfterMs: (now = world.monotonic()) => retryAfter(state, now, rules.limits),
    overdueAfterMs: (now = world.monotonic()) => overdueAfter(state, now, rules.limits),
    calmEpoch: () => (state.kind === 'closed' && rules.window.isCalm() ? state.epoch : undefined),
    admit(now = world.monotonic()) {
      if (!admits(current(now), rules.limits)) return undefined
      return { epoch: move({ type: 'admitted' }, now).epoch, startedAt: now }
    },
    settle,
    settleCalm,
    command: (event) => move(event, world.monotonic()),
    reconfigure,
    snapshot: () => snapshotAt(world.monotonic()),
    restore,
  }
}

/** What a machine goes by until it is reconfigured. */
function rulesOf(options: CircuitBreakerOptions, action: 'create circuit breaker' | 'reconfigure circuit breaker') {
  return {
    options,
    // First the window's own options: what the limits say of it would mislead.
    window: breakerWindow(options, action),
    limits: breakerLimits(options, action),
    slowMs: options.slow?.overMs ?? Number.POSITIVE_INFINITY,
    forgetAfterMs: options.forgetAfterMs ?? 300_000,
  }
}

/** Of a window of another size: slices of time are of another length there, calls and failures in a row are what they were. */
function transferable({ slices: _slices, ...rest }: BreakerSnapshot['window']): BreakerSnapshot['window'] {
  return rest
}
