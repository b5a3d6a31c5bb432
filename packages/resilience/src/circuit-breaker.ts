import { isRefusal, systemWorld } from '@banyan/core'
import { type BreakerMachine, breakerMachine } from './breaker-machine.ts'
import { type CircuitBreakerOptions, describeBreaker } from './breaker-options.ts'
import type { BreakerSnapshot } from './breaker-snapshot.ts'
import type { BreakerStateName, Verdict } from './breaker-state.ts'
import type { BreakerCounts } from './breaker-window.ts'
import type { Scope } from './call.ts'
import { ResilienceError } from './errors.ts'
import { isHeard, tell } from './events.ts'
import { isFailure, isShed, isTimeout, type Settled } from './failure.ts'
import type { Layer, Next } from './layer.ts'

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
  snapshot(): BreakerSnapshot
  /** @throws {TypeError} for a damaged snapshot, naming what is wrong */
  restore(snapshot: BreakerSnapshot): void
}

/**
 * Stops calling a dependency that keeps failing; after a pause, probes it with a few calls. Outcomes belong to the epoch their
 * call was admitted in: a late answer never moves a later state. It holds no timer. One breaker may be shared by several policies.
 *
 * @throws {RangeError} for an option out of its range. Calls reject with {@link ResilienceError} `ERR_CIRCUIT_OPEN`, with
 *   `retryAfterMs` as far as it is known
 * @see Nygard, Release It!, 2nd ed., "Circuit Breaker"
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const { world = systemWorld, isFailure: fails = isFailure } = options
  /** The first policy it is part of. */
  let name = ''
  const machine = breakerMachine(options, (from, to) => {
    if (isHeard('circuit-breaker')) tell('circuit-breaker', { policy: name, from: from.kind, to: to.kind, epoch: to.epoch })
  })

  function around(policy: string, next: Next): Next {
    name ||= policy
    return (scope) => {
      if (scope.cancel.aborted) return Promise.reject(scope.cancel.reason)
      const ticket = machine.admit()
      if (!ticket) return Promise.reject(circuitOpen(policy, machine))
      return watched(scope, next, fails, (verdict) => machine.settle(ticket, verdict))
    }
  }

  return {
    facts: { kind: 'circuit-breaker', text: describeBreaker(machine.limits) },
    world,
    around,
    get state() {
      return machine.state.kind
    },
    get counts() {
      return machine.counts
    },
    forceOpen(why) {
      const { epoch } = machine.command({ type: 'force-open', why })
      return {
        [Symbol.dispose]() {
          if (machine.state.epoch === epoch) machine.command({ type: 'reset' })
        },
      }
    },
    reset: () => void machine.command({ type: 'reset' }),
    disable: () => void machine.command({ type: 'disable' }),
    snapshot: machine.snapshot,
    restore: machine.restore,
  }
}

/** Runs the rest and says once how it ended: at its end, or at the moment the call is aborted, whatever the function does then. */
function watched(scope: Scope, next: Next, fails: (settled: Settled) => boolean, settle: (verdict: Verdict) => void): Promise<unknown> {
  let open = true
  const once = (verdict: Verdict): void => {
    if (!open) return
    open = false
    settle(verdict)
  }
  const leave = scope.cancel.onAbort((reason) => once(isTimeout(reason) ? 'failure' : 'nothing'))
  const ended = (settled: Settled): void => {
    leave()
    if (!open) return
    try {
      once(judge(settled, fails))
    } catch (error) {
      // The user's own isFailure threw: that is the caller's to see, but the breaker must not wait for this call.
      once('failure')
      throw error
    }
  }
  return next(scope).then(
    (value) => {
      ended({ ok: true, value })
      return value
    },
    (error) => {
      ended({ ok: false, error })
      throw error
    },
  )
}

function judge(settled: Settled, fails: (settled: Settled) => boolean): Verdict {
  if (isRefusal(settled.ok ? settled.value : settled.error)) return 'success'
  if (!settled.ok && isShed(settled.error)) return 'nothing'
  return fails(settled) ? 'failure' : 'success'
}

function circuitOpen(policy: string, { state, retryAfterMs }: BreakerMachine): ResilienceError {
  const hint = retryAfterMs === undefined ? {} : { retryAfterMs }
  return new ResilienceError('ERR_CIRCUIT_OPEN', policy, `cannot call "${policy}": its circuit ${why()}`, hint)

  function why(): string {
    if (state.kind === 'forced-open') return `was opened by hand${state.why ? `: ${state.why}` : ''}`
    return state.kind === 'open'
      ? `is open for another ${Math.ceil(retryAfterMs ?? 0)} ms`
      : 'is half-open and all its probes are under way'
  }
}
