import { systemWorld } from '@banyan/core'
import { breakerLimits, breakerWindow, type CircuitBreakerOptions } from './breaker-options.ts'
import { type BreakerSnapshot, checkSnapshot, stateOf, takeSnapshot } from './breaker-snapshot.ts'
import {
  admits,
  after,
  type BreakerEvent,
  type BreakerLimits,
  type BreakerState,
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
  readonly limits: BreakerLimits
  /** Time may have changed it since the last call. */
  readonly state: BreakerState
  readonly counts: BreakerCounts
  /** How long until the next probe, milliseconds, as far as it can be known. */
  readonly retryAfterMs: number | undefined
  /** Lets a call through, or not: `undefined`. */
  admit(): Ticket | undefined
  /** Says how a call ended. Once a ticket. */
  settle(ticket: Ticket, verdict: Verdict): void
  /** Applies a command and gives back the new state. */
  command(event: Exclude<BreakerEvent, { type: 'settled' | 'admitted' }>): BreakerState
  snapshot(): BreakerSnapshot
  restore(snapshot: BreakerSnapshot): void
}

/** Creates a {@link BreakerMachine} that calls `onChange` after each change of state. */
export function breakerMachine(options: CircuitBreakerOptions, onChange: (from: BreakerState, to: BreakerState) => void): BreakerMachine {
  const { world = systemWorld, slow, forgetAfterMs = 300_000 } = options
  const window = breakerWindow(options)
  const limits = breakerLimits(options)
  let state: BreakerState = { kind: 'closed', epoch: 0 }
  let lastOutcomeAt = world.monotonic()

  function enter(next: BreakerState): BreakerState {
    const from = state
    state = next
    if (next.epoch === from.epoch) return next
    if (next.kind === 'closed') window.clear()
    onChange(from, next)
    return next
  }

  const current = (now: number): BreakerState => enter(passed(state, now, limits))
  const move = (event: BreakerEvent, now: number): BreakerState => enter(after(current(now), event, now, limits))

  function settle({ epoch, startedAt }: Ticket, verdict: Verdict): void {
    const now = world.monotonic()
    const { kind, epoch: currentEpoch } = current(now)
    if (epoch !== currentEpoch) return
    const tooSlow = slow !== undefined && now - startedAt > slow.overMs
    if (kind === 'closed' && verdict !== 'nothing') {
      if (startedAt - lastOutcomeAt > forgetAfterMs) window.clear()
      lastOutcomeAt = now
      window.record(now, verdict === 'failure', tooSlow)
    }
    // A probe that is too slow is no recovery.
    const judged = kind === 'half-open' && tooSlow && verdict === 'success' ? 'failure' : verdict
    move({ type: 'settled', epoch, startedAt, verdict: judged, counts: window.counts(now) }, now)
  }

  return {
    limits,
    get state() {
      return current(world.monotonic())
    },
    get counts() {
      return window.counts(world.monotonic())
    },
    get retryAfterMs() {
      return retryAfter(state, world.monotonic(), limits)
    },
    admit() {
      const now = world.monotonic()
      if (!admits(current(now), limits)) return undefined
      return { epoch: move({ type: 'admitted' }, now).epoch, startedAt: now }
    },
    settle,
    command: (event) => move(event, world.monotonic()),
    snapshot() {
      const now = world.monotonic()
      return takeSnapshot(current(now), window.snapshot(now), world.now(), now)
    },
    restore(snapshot) {
      checkSnapshot(snapshot)
      const now = world.monotonic()
      const elapsedMs = Math.max(0, world.now() - snapshot.at)
      enter(stateOf(snapshot, state.epoch + 1, now, elapsedMs))
      window.restore(snapshot.window, now, elapsedMs)
      lastOutcomeAt = now - elapsedMs
    },
  }
}
