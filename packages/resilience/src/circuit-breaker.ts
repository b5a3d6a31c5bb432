import { systemWorld } from '@banyan/core'
import { openErrors } from './breaker-errors.ts'
import { type BreakerMachine, breakerMachine, type Ticket } from './breaker-machine.ts'
import { type CircuitBreakerChanges, type CircuitBreakerOptions, describeBreaker } from './breaker-options.ts'
import { probeQueue } from './breaker-queue.ts'
import type { BreakerSnapshot } from './breaker-snapshot.ts'
import type { BreakerState, BreakerStateName, Verdict } from './breaker-state.ts'
import { bindWatch, verdictOf, Watched, type WatchedRules } from './breaker-watch.ts'
import type { BreakerCounts } from './breaker-window.ts'
import type { Scope } from './call.ts'
import type { End } from './end.ts'
import type { ResilienceError } from './errors.ts'
import { isHeard, tell } from './events.ts'
import { isFailure, type Settled } from './failure.ts'
import type { Layer, Next, Watch } from './layer.ts'

/** A layer that stops calling a dependency that keeps failing. */
export interface CircuitBreaker extends Layer {
  readonly state: BreakerStateName
  /** What it judges by. */
  readonly counts: BreakerCounts
  /** Rejects every call until `reset`, or until what it returns is disposed of (`using`). */
  forceOpen(why?: string): Disposable
  /** Closes it and forgets what it counted. */
  reset(): void
  /** Lets every call through and counts nothing, until `reset`. */
  disable(): void
  /**
   * Changes the options given, at once and without a pause: state, probes under way and, with the same `window`, what was counted
   * stay. A shorter cool-down holds for one that is open, a longer one from the next opening.
   *
   * @throws {RangeError} for an option out of its range: then nothing has changed
   */
  reconfigure(changes: CircuitBreakerChanges): void
  snapshot(): BreakerSnapshot
  /** @throws {TypeError} for a damaged snapshot, naming what is wrong */
  restore(snapshot: BreakerSnapshot): void
}

/**
 * Stops calling a dependency that keeps failing; after a pause, probes it with a few calls. Outcomes belong to the epoch their
 * call was admitted in: a late answer never moves a later state. It holds a timer only while calls wait for its probes. One breaker
 * may be shared by several policies.
 *
 * @throws {RangeError} for an option out of its range. Calls reject with {@link ResilienceError} `ERR_CIRCUIT_OPEN`, with
 *   `retryAfterMs`, rounded up, as far as it is known: while open the rest of the cool-down, while half-open `coolDownMs`, at most a
 *   second
 * @see Nygard, Release It!, 2nd ed., "Circuit Breaker"
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const { world = systemWorld } = options
  let fails = options.isFailure
  /** The first policy it is part of. */
  let name = ''
  const machine = breakerMachine(options, (from, to) => {
    if (isHeard('circuit-breaker')) tell('circuit-breaker', { policy: name, from: from.kind, to: to.kind, epoch: to.epoch })
  })
  const queue = probeQueue(machine, world)
  const watcher: { watch: Watch | undefined } = { watch: undefined }
  const judge = (settled: Settled): Verdict => verdictOf(settled, fails ?? isFailure)

  function around(policy: string, next: Next): Next {
    name ||= policy
    const openError = openErrors(policy, machine)
    const go = (ticket: Ticket, scope: Scope, end: End): void => next(scope, new Watched(rules, ticket, scope.cancel, end))
    return (scope, end) => {
      if (scope.aborted) return end.bad(scope.reason)
      const ticket = machine.admit(scope.startedAt)
      if (ticket) return go(ticket, scope, end)
      if (!queue.wait(scope, end, (late) => go(late, scope.later(), end), openError)) end.bad(openError(scope.run.asValue, scope.startedAt))
    }
  }

  const layer: CircuitBreaker = {
    get facts() {
      const limits = machine.limits()
      return { kind: 'circuit-breaker', text: describeBreaker(limits), waitMs: limits.maxWaiting > 0 ? limits.probeMaxWaitMs : 0 } as const
    },
    world,
    around,
    watcher,
    gauges: () => STATES.map((state) => ({ name: 'state', state, value: machine.state().kind === state ? 1 : 0 })),
    ...controlsOf(machine, changed),
    get state() {
      return machine.state().kind
    },
    get counts() {
      return machine.counts()
    },
    reconfigure(changes) {
      machine.reconfigure(changes)
      if (changes.isFailure) fails = changes.isFailure
      rebind = bindWatch(machine, judge, { watcher, changed, asksValues: fails !== undefined })
      changed()
    },
  }
  let rebind = bindWatch(machine, judge, { watcher, changed, asksValues: fails !== undefined })
  const rules: WatchedRules = { machine, judge, changed }

  /** After whatever may have moved it. */
  function changed(): void {
    watcher.watch = rebind(machine.calmEpoch())
    queue.wake()
  }
  changed()
  return layer
}

const STATES: readonly BreakerStateName[] = ['closed', 'open', 'half-open', 'forced-open', 'disabled']

/** What people do to a breaker, by hand or at a restart; those who wait are told. */
function controlsOf(machine: BreakerMachine, wake: () => void) {
  function command(event: Parameters<BreakerMachine['command']>[0]): BreakerState {
    const state = machine.command(event)
    wake()
    return state
  }
  return {
    forceOpen(why?: string): Disposable {
      const { epoch } = command({ type: 'force-open', why })
      return {
        [Symbol.dispose]() {
          if (machine.state().epoch === epoch) command({ type: 'reset' })
        },
      }
    },
    reset: () => void command({ type: 'reset' }),
    disable: () => void command({ type: 'disable' }),
    snapshot: machine.snapshot,
    restore(snapshot: BreakerSnapshot): void {
      machine.restore(snapshot)
      wake()
    },
  }
}
