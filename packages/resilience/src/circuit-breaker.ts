import { isRefusal, systemWorld } from '@banyan/core'
import { type BreakerMachine, breakerMachine, type Ticket } from './breaker-machine.ts'
import { type CircuitBreakerChanges, type CircuitBreakerOptions, describeBreaker } from './breaker-options.ts'
import { probeQueue } from './breaker-queue.ts'
import type { BreakerSnapshot } from './breaker-snapshot.ts'
import type { BreakerState, BreakerStateName, Verdict } from './breaker-state.ts'
import type { BreakerCounts } from './breaker-window.ts'
import type { Scope } from './call.ts'
import type { AbortListener, Cancellation } from './cancellation.ts'
import type { End } from './end.ts'
import { ResilienceError, rejection } from './errors.ts'
import { isHeard, tell } from './events.ts'
import { isFailure, isShed, isTimeout, type Settled } from './failure.ts'
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
 *   `retryAfterMs`, rounded up, as far as it is known
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

  const layer: CircuitBreaker & { watch: Watch | undefined } = {
    get facts() {
      const limits = machine.limits()
      return { kind: 'circuit-breaker', text: describeBreaker(limits), waitMs: limits.maxWaiting > 0 ? limits.probeMaxWaitMs : 0 } as const
    },
    world,
    around,
    watch: undefined,
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
      rebind = bindWatch(machine, judge, { layer, changed, asksValues: fails !== undefined })
      changed()
    },
  }
  let rebind = bindWatch(machine, judge, { layer, changed, asksValues: fails !== undefined })
  const rules: WatchedRules = { machine, judge, changed }

  /** After whatever may have moved it. */
  function changed(): void {
    layer.watch = rebind(machine.calmEpoch())
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

interface WatchOptions {
  /** Who the functions are bound for. */
  readonly layer: { readonly watch: Watch | undefined }
  /** After a failure was told. */
  readonly changed: () => void
  /** Whether an isFailure of the user's is to see values too. */
  readonly asksValues: boolean
}

/**
 * Gives two functions for `promise.then`, bound once for an epoch: while a breaker is calm, an outcome needs nothing of its own call,
 * and a success changes nothing.
 */
function bindWatch(machine: BreakerMachine, judge: (settled: Settled) => Verdict, options: WatchOptions) {
  const { layer, changed, asksValues } = options
  let bound: { readonly epoch: number; readonly watch: Watch } | undefined

  function bind(epoch: number): Watch {
    function settle(settled: Settled): void {
      let verdict: Verdict = 'failure'
      try {
        verdict = judge(settled)
      } finally {
        machine.settleCalm(epoch, verdict)
        changed()
      }
    }
    const watch: Watch = {
      ok(value) {
        if (asksValues || layer.watch !== watch) settle({ ok: true, value })
        return value
      },
      bad(error) {
        settle({ ok: false, error })
        throw error
      },
    }
    return watch
  }

  return (epoch: number | undefined): Watch | undefined => {
    if (epoch === undefined) return undefined
    if (bound?.epoch !== epoch) bound = { epoch, watch: bind(epoch) }
    return bound.watch
  }
}

interface WatchedRules {
  readonly machine: BreakerMachine
  readonly judge: (settled: Settled) => Verdict
  readonly changed: () => void
}

/** Says once how a call ended: at its end, or at the moment it is aborted, whatever the function does then. */
class Watched implements End, AbortListener {
  readonly #rules: WatchedRules
  readonly #ticket: Ticket
  readonly #cancel: Cancellation | undefined
  readonly #end: End
  #open = true

  constructor(rules: WatchedRules, ticket: Ticket, cancel: Cancellation | undefined, end: End) {
    this.#rules = rules
    this.#ticket = ticket
    this.#cancel = cancel
    this.#end = end
    cancel?.listen(this)
  }

  ok(value: unknown): void {
    if (this.#ended({ ok: true, value })) this.#end.ok(value)
  }

  bad(error: unknown): void {
    if (this.#ended({ ok: false, error })) this.#end.bad(error)
  }

  onAbort(reason: unknown): void {
    this.#once(isTimeout(reason) ? 'failure' : 'nothing')
  }

  #once(verdict: Verdict): void {
    if (!this.#open) return
    this.#open = false
    this.#rules.machine.settle(this.#ticket, verdict)
    this.#rules.changed()
  }

  /** False when the end has been told already, of another error. */
  #ended(settled: Settled): boolean {
    this.#cancel?.unlisten(this)
    if (!this.#open) return true
    try {
      this.#once(this.#rules.judge(settled))
      return true
    } catch (error) {
      // The user's own isFailure threw: that is the caller's to see, but the breaker must not wait for this call.
      this.#once('failure')
      this.#end.bad(error)
      return false
    }
  }
}

function verdictOf(settled: Settled, fails: (settled: Settled) => boolean): Verdict {
  if (isRefusal(settled.ok ? settled.value : settled.error)) return 'success'
  if (!settled.ok && isShed(settled.error)) return 'nothing'
  return fails(settled) ? 'failure' : 'success'
}

/**
 * The error of a rejected call. Those that go out as values have no stack, so that within a millisecond all are the same: then it is
 * one, frozen.
 */
function openErrors(policy: string, machine: BreakerMachine): (asValue: boolean, now?: number) => ResilienceError {
  let last: { epoch: number; waitMs: number | undefined; error: ResilienceError } | undefined

  function create(state: BreakerState, retryAfterMs: number | undefined): ResilienceError {
    const hint = retryAfterMs === undefined ? {} : { retryAfterMs }
    return new ResilienceError('ERR_CIRCUIT_OPEN', policy, `cannot call "${policy}": its circuit ${whyOpen(state, retryAfterMs)}`, hint)
  }

  return (asValue, now) => {
    const state = machine.state(now)
    const retryAfterMs = machine.retryAfterMs(now)
    const waitMs = retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs)
    if (!asValue) return create(state, waitMs)
    if (last?.epoch !== state.epoch || last.waitMs !== waitMs) {
      last = { epoch: state.epoch, waitMs, error: Object.freeze(rejection(true, () => create(state, waitMs))) }
    }
    return last.error
  }
}

function whyOpen(state: BreakerState, retryAfterMs: number | undefined): string {
  if (state.kind === 'forced-open') return `was opened by hand${state.why ? `: ${state.why}` : ''}`
  return state.kind === 'open' ? `is open for another ${retryAfterMs ?? 0} ms` : 'is half-open and all its probes are under way'
}
