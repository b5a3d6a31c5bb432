import type { BreakerMachine } from './breaker-machine.ts'
import type { BreakerState } from './breaker-state.ts'
import { ResilienceError, rejection } from './errors.ts'

/**
 * The error of a rejected call. Those that go out as values have no stack, so that within a millisecond all are the same: then it is
 * one, frozen.
 */
export function openErrors(policy: string, machine: BreakerMachine): (asValue: boolean, now?: number) => ResilienceError {
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
