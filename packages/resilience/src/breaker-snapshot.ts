import type { BreakerState } from './breaker-state.ts'
import type { WindowSnapshot } from './breaker-window.ts'

/** A breaker as JSON: to carry on where another process, or this one before its restart, left off. */
export interface BreakerSnapshot {
  readonly version: 1
  /** When it was taken, milliseconds since 1970. */
  readonly at: number
  readonly state: 'closed' | 'open' | 'forced-open' | 'disabled'
  /** Open: how often in a row. */
  readonly openings?: number
  /** Open: how long still, milliseconds. 0 for one that was half-open: its probes belonged to the other process. */
  readonly remainingMs?: number
  /** Forced open: why. */
  readonly why?: string
  /** How long nothing had been counted by then, milliseconds. Default 0. */
  readonly idleMs?: number
  readonly window: WindowSnapshot
}

/** When a snapshot is taken: `at` on the wall clock, `now` and the last outcome on the monotonic one. */
interface Moment {
  readonly at: number
  readonly now: number
  readonly lastOutcomeAt: number
}

/** Writes down `state` and what was counted. */
export function takeSnapshot(state: BreakerState, window: WindowSnapshot, { at, now, lastOutcomeAt }: Moment): BreakerSnapshot {
  const common = { version: 1, at, idleMs: now - lastOutcomeAt, window } as const
  switch (state.kind) {
    case 'open':
      return { ...common, state: 'open', openings: state.openings, remainingMs: Math.max(0, state.until - now) }
    case 'half-open':
      return { ...common, state: 'open', openings: state.openings, remainingMs: 0 }
    case 'forced-open':
      return state.why === undefined ? { ...common, state: 'forced-open' } : { ...common, state: 'forced-open', why: state.why }
    default:
      return { ...common, state: state.kind }
  }
}

/** The state that a snapshot taken `elapsedMs` ago stands for. */
export function stateOf(snapshot: BreakerSnapshot, epoch: number, monotonic: number, elapsedMs: number): BreakerState {
  switch (snapshot.state) {
    case 'open':
      return { kind: 'open', epoch, openings: snapshot.openings ?? 1, until: monotonic + (snapshot.remainingMs ?? 0) - elapsedMs }
    case 'forced-open':
      return { kind: 'forced-open', epoch, why: snapshot.why }
    default:
      return { kind: snapshot.state, epoch }
  }
}

/**
 * Checks what may come from a file or from another process.
 *
 * @throws {TypeError} naming what is wrong
 */
export function checkSnapshot(snapshot: BreakerSnapshot): void {
  const fail = (what: string) => new TypeError(`cannot restore circuit breaker: ${what}`)
  if (typeof snapshot !== 'object' || snapshot === null) throw fail(`the snapshot is ${String(snapshot)}, wanted an object`)
  const { version, at, state, openings = 1, remainingMs = 0, idleMs = 0, window } = snapshot
  if (version !== 1) throw fail(`"version" is ${String(version)}, wanted 1`)
  if (!['closed', 'open', 'forced-open', 'disabled'].includes(state)) throw fail(`"state" is ${JSON.stringify(state)}`)
  const counted = { 'window.consecutive': window?.consecutive, 'window.sliceMs': window?.sliceMs ?? 0 }
  const numbers = { at, openings, remainingMs, idleMs, ...counted }
  for (const [name, value] of Object.entries(numbers)) {
    if (!isCount(value)) throw fail(`"${name}" is ${String(value)}, wanted a number from 0`)
  }
  const { outcomes = [], slices = [] } = window
  if (!Array.isArray(outcomes) || !outcomes.every(isCount)) throw fail('"window.outcomes" is not a list of numbers')
  if (!Array.isArray(slices) || !slices.every((slice) => [slice?.age, slice?.calls, slice?.failures, slice?.slow].every(isCount)))
    throw fail('"window.slices" is not a list of { age, calls, failures, slow }')
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value)
}
