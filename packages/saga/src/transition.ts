import type { UndoCause } from './context.ts'
import type { SagaShape, StepShape } from './shape.ts'
import type { Failure, Running, SagaState, Undoing } from './state.ts'
import type { StepRetry } from './steps.ts'

export type SagaEvent =
  /** The `do` or the `undo` of the current step has worked. */
  | { readonly kind: 'done' }
  /** The other side understood and said no. */
  | { readonly kind: 'refused'; readonly refusal: Failure }
  /** An attempt failed. `hopeless`: trying again cannot help. `random`: in [0, 1), for the jitter. */
  | {
      readonly kind: 'failed'
      readonly failure: Failure
      readonly hopeless: boolean
      readonly retryAfterMs: number | undefined
      readonly random: number
    }
  /** The pause is over. */
  | { readonly kind: 'due' }
  /** Another worker ran it before; what that one attempted last is unknown. */
  | { readonly kind: 'resumed' }
  /** A person says: try again. */
  | { readonly kind: 'retry' }
  /** A person says: the current step counts as done, or as undone. */
  | { readonly kind: 'skip' }
  /** A person says: go back. */
  | { readonly kind: 'undo'; readonly why: Failure }

/** What is to be done in a state. */
export type Action =
  | { readonly kind: 'do' | 'undo'; readonly step: string }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'nothing' }

export interface Turn {
  readonly state: SagaState
  readonly action: Action
  /** Somebody should look: it is stuck, or has failed too often where it cannot give up. */
  readonly alert: boolean
}

/** The state of a saga that has not begun. */
export function initialState({ steps }: SagaShape): SagaState {
  return steps[0] ? running(steps[0].name, []) : { status: 'completed' }
}

/**
 * What becomes of a saga after an event, and what is to be done then. Events that do not fit the state change nothing.
 *
 * @see the rules in this package's README, each with its test
 */
export function after(saga: SagaShape, state: SagaState, event: SagaEvent, now: number): Turn {
  const known = parkedIfUnknown(saga, state)
  const next = known === state ? move(saga, state, event, now) : known
  // Not past the pivot alone: also where the transition itself came upon a step that is gone.
  const settled = parkedIfUnknown(saga, next)
  return { state: settled, action: actionOf(settled), alert: settled !== state && wantsAlert(saga, settled) }
}

/** What is to be done in a state. */
export function actionOf(state: SagaState): Action {
  switch (state.status) {
    case 'running':
      return { kind: 'do', step: state.at }
    case 'undoing':
      return state.left[0] === undefined ? { kind: 'nothing' } : { kind: 'undo', step: state.left[0] }
    case 'waiting':
      return { kind: 'wait', untilMs: state.wakeAt }
    default:
      return { kind: 'nothing' }
  }
}

function move(saga: SagaShape, state: SagaState, event: SagaEvent, now: number): SagaState {
  switch (state.status) {
    case 'running':
      return forward(saga, state, event, now)
    case 'undoing':
      return backward(saga, state, event, now)
    case 'waiting':
      return event.kind === 'due' ? state.resume : state
    case 'stuck':
      return decided(saga, state.resume, event) ?? state
    default:
      return state
  }
}

function forward(saga: SagaShape, state: Running, event: SagaEvent, now: number): SagaState {
  const step = stepNamed(saga, state.at)
  if (!step) return state
  switch (event.kind) {
    case 'done':
      return stepDone(saga, state, step)
    case 'refused':
      return refused(saga, state, step, event.refusal, now)
    case 'failed':
      return failed(saga, state, step, event, now)
    case 'resumed':
      // A local step is recorded in its own transaction: not recorded means not done.
      return step.kind === 'remote' ? { ...state, doubt: true } : state
    default:
      return state
  }
}

function stepDone(saga: SagaShape, { touched }: Running, step: StepShape): SagaState {
  const next = saga.steps[saga.steps.indexOf(step) + 1]
  if (!next) return { status: 'completed' }
  return running(next.name, step.place === 'before' ? [...touched, step.name] : [])
}

function refused(saga: SagaShape, state: Running, step: StepShape, refusal: Failure, now: number): SagaState {
  // Nothing can be undone any more: to the engine this is a failure like any other, and a person will have to look.
  if (step.place === 'after') return failed(saga, state, step, failure(late(refusal, step)), now)
  // The refusal answers this attempt. An earlier one may have gone through.
  if (step.place === 'pivot' && state.doubt) return { status: 'stuck', resume: state, failure: inDoubt(refusal, step) }
  return undoing(saga, state, { step: step.name, refused: true, ...refusal })
}

type Failed = Extract<SagaEvent, { kind: 'failed' }>

function failed(saga: SagaShape, state: Running, step: StepShape, event: Failed, now: number): SagaState {
  const resume = { ...state, failures: state.failures + 1, doubt: state.doubt || step.kind === 'remote' }
  // Whether a pivot in another system happened is unknown from its first failure on: there is only the way forward.
  const mayGiveUp = step.place === 'before' || (step.place === 'pivot' && step.kind === 'local')
  if (mayGiveUp && (event.hopeless || resume.failures >= step.retry.attempts))
    return undoing(saga, resume, { step: step.name, refused: false, ...event.failure })
  return { status: 'waiting', resume, wakeAt: now + pauseMs(step.retry, resume.failures, event), failure: event.failure }
}

function backward(saga: SagaShape, state: Undoing, event: SagaEvent, now: number): SagaState {
  const step = stepNamed(saga, state.left[0])
  if (!step) return state
  if (event.kind === 'done') return stepUndone(state)
  const failed = event.kind === 'refused' ? failure(late(event.refusal, step)) : event
  if (failed.kind !== 'failed') return state
  const resume = { ...state, failures: state.failures + 1 }
  if (resume.failures >= step.undoRetry.attempts) return { status: 'stuck', resume, failure: failed.failure }
  return { status: 'waiting', resume, wakeAt: now + pauseMs(step.undoRetry, resume.failures, failed), failure: failed.failure }
}

function stepUndone({ left, cause }: Undoing): SagaState {
  const rest = left.slice(1)
  return rest.length === 0 ? { status: 'compensated', cause } : { status: 'undoing', left: rest, failures: 0, cause }
}

function decided(saga: SagaShape, parked: Running | Undoing, event: SagaEvent): SagaState | undefined {
  if (event.kind === 'retry') return { ...parked, failures: 0 }
  if (parked.status === 'undoing') return event.kind === 'skip' ? stepUndone(parked) : undefined
  const step = stepNamed(saga, parked.at)
  if (event.kind === 'skip') return step && stepDone(saga, parked, step)
  if (event.kind !== 'undo' || step?.place === 'after') return undefined
  return undoing(saga, parked, { step: parked.at, refused: false, ...event.why })
}

/** Turns a saga round. Steps without an `undo` are left out, steps that no longer exist are not: they park it. */
function undoing(saga: SagaShape, { at, doubt, touched }: Running, cause: UndoCause): SagaState {
  const started = doubt ? [...touched, at] : touched
  const left = started.filter((name) => stepNamed(saga, name)?.undoable ?? true).reverse()
  return left.length === 0 ? { status: 'compensated', cause } : { status: 'undoing', left, failures: 0, cause }
}

function parkedIfUnknown(saga: SagaShape, state: SagaState): SagaState {
  if (state.status === 'completed' || state.status === 'compensated' || state.status === 'stuck') return state
  const resume = state.status === 'waiting' ? state.resume : state
  const named = resume.status === 'running' ? [...resume.touched, resume.at] : resume.left
  const unknown = named.find((name) => !stepNamed(saga, name))
  if (unknown === undefined) return state
  const message = `version ${saga.version} of saga "${saga.name}" has no step "${unknown}"; run a version that has it, then retry`
  return { status: 'stuck', resume, failure: { code: 'ERR_STEP_UNKNOWN', message } }
}

function wantsAlert(saga: SagaShape, state: SagaState): boolean {
  if (state.status === 'stuck') return true
  if (state.status !== 'waiting' || state.resume.status !== 'running') return false
  const { at, failures } = state.resume
  const step = stepNamed(saga, at)
  return step !== undefined && step.place !== 'before' && failures % step.retry.attempts === 0
}

/** Exponential with full jitter, and never sooner than the other side asked for. */
function pauseMs({ baseMs, capMs }: Required<StepRetry>, failures: number, { random, retryAfterMs = 0 }: Failed): number {
  return Math.ceil(Math.max(retryAfterMs, random * Math.min(capMs, baseMs * 2 ** (failures - 1))))
}

function running(at: string, touched: readonly string[]): Running {
  return { status: 'running', at, failures: 0, doubt: false, touched }
}

function stepNamed({ steps }: SagaShape, name: string | undefined): StepShape | undefined {
  return steps.find((step) => step.name === name)
}

/** A failure in the place of a refusal: the whole pause, as an answer that was given will hardly change soon. */
function failure(failed: Failure): Failed {
  return { kind: 'failed', failure: failed, hopeless: false, retryAfterMs: undefined, random: 1 }
}

function late({ code, message }: Failure, { name }: StepShape): Failure {
  return { code: 'ERR_REFUSED_LATE', message: `step "${name}" can no longer be refused, and was: ${code}, ${message}` }
}

function inDoubt({ code, message }: Failure, { name }: StepShape): Failure {
  const what = `pivot "${name}" was refused (${code}, ${message}) after an attempt whose outcome is unknown`
  return { code: 'ERR_PIVOT_IN_DOUBT', message: `${what}; find out whether it happened, then skip it (it did), undo (it did not) or retry` }
}
