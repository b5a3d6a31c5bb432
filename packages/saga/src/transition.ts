import { closeOpen, lateEnd, stepUndone, turnRound } from './backward.ts'
import { firstNamesOf, withFirstNames } from './first-names.ts'
import { chosen, initialState, isUnspread, laneDone, laneOf, placeOf, spread, withLane } from './forward.ts'
import { type SagaShape, type StepShape, stepNamed } from './shape.ts'
import { type Failure, type Lane, pausesOf, type Running, type SagaState, type Undoing } from './state.ts'
import type { StepRetry } from './steps.ts'

export { initialState }

/** What happens to a saga. `step`: which one it is about, where several are on; left out, the first. */
export type SagaEvent =
  /** The `do` or the `undo` of the step has worked. */
  | { readonly kind: 'done'; readonly step?: string }
  /** The other side understood and said no. */
  | { readonly kind: 'refused'; readonly refusal: Failure; readonly step?: string }
  /** An attempt failed. `hopeless`: trying again cannot help. `random`: in [0, 1), for the jitter. */
  | {
      readonly kind: 'failed'
      readonly failure: Failure
      readonly hopeless: boolean
      readonly retryAfterMs: number | undefined
      readonly random: number
      readonly step?: string
    }
  /** What the step waits for is not there yet. `until`: when the waiting is over, milliseconds since 1970. */
  | { readonly kind: 'waits'; readonly until: number | undefined; readonly step?: string }
  /** What the step waits for has not come in time. */
  | { readonly kind: 'expired'; readonly step?: string }
  /** A `when` is decided. */
  | { readonly kind: 'chosen'; readonly yes: boolean; readonly step?: string }
  /** It is known how many items there are for the step. */
  | { readonly kind: 'spread'; readonly items: number; readonly step?: string }
  /** What it needs is there, and cannot be read: a person has to see to it. */
  | { readonly kind: 'unreadable'; readonly failure: Failure; readonly step?: string }
  /** The pause is over. `over`: by a clock that does not jump, so what it waits for until a time is over whatever the wall clock says. */
  | { readonly kind: 'due'; readonly step?: string; readonly over?: boolean }
  /** Another worker ran it before; what that one attempted last is unknown. */
  | { readonly kind: 'resumed' }
  /** A person says: try again. */
  | { readonly kind: 'retry' }
  /** A person says: the current step counts as done, or as undone. */
  | { readonly kind: 'skip' }
  /** A person says: go back. Of a stuck one. */
  | { readonly kind: 'undo'; readonly why: Failure }
  /** Somebody wants it undone, or its time is over. Past the pivot nothing comes of it. */
  | { readonly kind: 'cancel'; readonly why: Failure }

/** What may be attempted now. Events tell how it ended. */
export type Action =
  | { readonly kind: 'do' | 'undo'; readonly step: string }
  /** Nothing, until this time or, without one, until a signal comes. */
  | { readonly kind: 'wait'; readonly untilMs: number | undefined; readonly step: string }

export interface Turn {
  readonly state: SagaState
  /** Everything that may be attempted now. */
  readonly actions: readonly Action[]
  /** Somebody should look: it is stuck, or has failed too often where it cannot give up. */
  readonly alert: boolean
}

/**
 * What becomes of a saga after an event, and what is to be done then. Events that do not fit the state change nothing.
 *
 * @see the rules in this package's README, each with its test
 */
export function after(saga: SagaShape, state: SagaState, event: SagaEvent, now: number): Turn {
  // Also where the transition itself came upon a step that is gone. The record of names is kept here, whatever made the next state.
  const settled = withFirstNames(stuckIfUnknown(saga, moved(saga, state, event, now)), firstNamesOf(state))
  return { state: settled, actions: actionsOf(settled), alert: settled !== state && wantsAlert(saga, settled, event) }
}

function moved(saga: SagaShape, state: SagaState, event: SagaEvent, now: number): SagaState {
  // First of all: that an attempt was cut off is not forgotten because a step is gone.
  if (event.kind === 'resumed') return move(saga, state, event, now)
  const known = stuckIfUnknown(saga, state)
  return known === state ? move(saga, state, event, now) : known
}

/**
 * Everything that may be attempted in a state, in the order it is started. When undoing, `do` of a step says that an attempt of it
 * may still be on its way: its end is awaited before anything is undone.
 */
export function actionsOf(state: SagaState): readonly Action[] {
  if (state.status === 'running') return state.lanes.filter(({ ended }) => !ended).map(laneAction)
  if (state.status !== 'undoing') return []
  if (state.open.length > 0) return state.open.map(({ at }) => ({ kind: 'do', step: at }))
  const step = state.left[0]
  if (step === undefined) return []
  return state.pause ? [{ kind: 'wait', step, untilMs: state.pause.wakeAt }] : [{ kind: 'undo', step }]
}

function laneAction({ at, pause }: Lane): Action {
  return pause ? { kind: 'wait', step: at, untilMs: pause.wakeAt } : { kind: 'do', step: at }
}

function move(saga: SagaShape, state: SagaState, event: SagaEvent, now: number): SagaState {
  switch (state.status) {
    case 'running':
      return forward(saga, state, event, now)
    case 'undoing':
      return backward(saga, state, event, now)
    case 'stuck':
      return decided(saga, state.resume, event) ?? state
    default:
      return state
  }
}

function forward(saga: SagaShape, state: Running, event: SagaEvent, now: number): SagaState {
  if (event.kind === 'resumed') return resumed(saga, state)
  if (event.kind === 'cancel') return cancelled(saga, state, event.why)
  const lane = laneOf(state, 'step' in event ? event.step : undefined)
  const step = stepNamed(saga, lane?.at)
  if (!lane || !step) return state
  if (event.kind === 'due') return lane.pause ? withLane(state, lane, due(lane, event.over)) : state
  if (event.kind === 'unreadable') return { status: 'stuck', resume: state, failure: event.failure }
  if (lane.pause) return state
  return attempted(saga, state, lane, step, event, now)
}

function attempted(saga: SagaShape, state: Running, lane: Lane, step: StepShape, event: SagaEvent, now: number): SagaState {
  switch (event.kind) {
    case 'done':
      return isUnspread(lane, step) ? state : laneDone(saga, state, lane, step)
    case 'refused':
      return refused(saga, state, lane, step, event.refusal, now)
    case 'failed':
      return failed(saga, state, lane, step, event, now)
    case 'waits':
      // A child that is waited for has been started.
      return withLane(state, lane, waiting({ ...lane, doubt: step.kind === 'child' }, event.until))
    case 'expired':
      return expired(saga, state, lane, step)
    case 'chosen':
      return step.kind === 'when' ? chosen(saga, state, step, event.yes) : state
    case 'spread':
      return isUnspread(lane, step) ? spread(saga, state, step, event.items) : state
    default:
      return state
  }
}

/** A local step is recorded in its own transaction, as is what waits: not recorded means not done. Of one that is gone nobody knows. */
function resumed(saga: SagaShape, state: Running): SagaState {
  const mayHaveWorked = (lane: Lane) => {
    const step = stepNamed(saga, lane.at)
    return !lane.ended && !lane.pause && (!step || (step.kind === 'remote' && !isUnspread(lane, step)))
  }
  if (!state.lanes.some((lane) => mayHaveWorked(lane) && !lane.doubt)) return state
  return { ...state, lanes: state.lanes.map((lane) => (mayHaveWorked(lane) ? { ...lane, doubt: true } : lane)) }
}

function cancelled(saga: SagaShape, state: Running, why: Failure): SagaState {
  const [lane] = state.lanes
  const step = stepNamed(saga, lane?.at)
  if (!lane || !step || !canTurn(saga, state)) return state
  return turnRound(saga, state, { step: laneOf(state, undefined)?.at ?? lane.at, refused: false, ...why })
}

/** Whether a saga can still go back. A pivot in another system may have happened as soon as it is its turn. */
export function canTurn(saga: SagaShape, state: Running): boolean {
  const place = placeOf(saga, state)
  const [lane] = state.lanes
  return place === 'before' || (place === 'pivot' && stepNamed(saga, lane?.at)?.kind === 'local' && !lane?.ended)
}

function refused(saga: SagaShape, state: Running, lane: Lane, step: StepShape, refusal: Failure, now: number): SagaState {
  // A child that was undone will not come to another end.
  if (step.place === 'after' && step.kind === 'child') return { status: 'stuck', resume: state, failure: late(refusal, lane.at) }
  // Nothing can be undone any more: to the engine this is a failure like any other, and a person will have to look.
  if (step.place === 'after') return failed(saga, state, lane, step, failure(late(refusal, lane.at)), now)
  // The refusal answers this attempt. An earlier one may have gone through.
  if (step.place === 'pivot' && lane.doubt) return { status: 'stuck', resume: state, failure: inDoubt(refusal, step) }
  // A child's end is the end: it has undone what it did.
  const settled: Lane = step.kind === 'child' ? { ...lane, doubt: false } : lane
  return turnRound(saga, withLane(state, lane, settled), { step: lane.at, refused: true, ...refusal }, settled)
}

type Failed = Extract<SagaEvent, { kind: 'failed' }>

function failed(saga: SagaShape, state: Running, lane: Lane, step: StepShape, event: Failed, now: number): SagaState {
  const failures = lane.failures + 1
  const mayHaveWorked = step.kind === 'remote' && !isUnspread(lane, step)
  const tried: Lane = { ...lane, failures, doubt: lane.doubt || mayHaveWorked }
  // Whether a pivot in another system happened is unknown from its first failure on: there is only the way forward.
  if (canTurn(saga, state) && (event.hopeless || failures >= step.retry.attempts))
    return turnRound(saga, withLane(state, lane, tried), { step: lane.at, refused: false, ...event.failure }, tried)
  const pause = { wakeAt: now + pauseMs(step.retry, failures, event), failure: event.failure }
  return withLane(state, lane, { ...tried, pause })
}

function waiting(lane: Lane, until: number | undefined): Lane {
  return { ...lane, ...(until !== undefined && { until }), pause: { wakeAt: until, failure: undefined } }
}

function expired(saga: SagaShape, state: Running, lane: Lane, step: StepShape): SagaState {
  if (step.otherwise !== 'undo' || step.place !== 'before') return laneDone(saga, state, lane, step)
  const message = `nothing came for step "${lane.at}" within ${step.withinMs} ms`
  return turnRound(saga, state, { step: lane.at, refused: false, code: 'ERR_WAIT_EXPIRED', message }, lane)
}

function backward(saga: SagaShape, state: Undoing, event: SagaEvent, now: number): SagaState {
  if (event.kind === 'resumed') return state.open.length > 0 ? closeOpen(saga, state) : state
  if (state.open.length > 0) return openEnded(saga, state, event)
  if (event.kind === 'due') return state.pause && (event.step ?? state.left[0]) === state.left[0] ? unpaused(state) : state
  const name = state.left[0]
  const step = stepNamed(saga, name)
  if (!step || name === undefined || state.pause) return state
  if (event.kind === 'done') return stepUndone(state)
  if (event.kind === 'unreadable') return { status: 'stuck', resume: state, failure: event.failure }
  if (event.kind === 'waits') return { ...state, pause: { wakeAt: event.until, failure: undefined } }
  const failed = event.kind === 'refused' ? failure(late(event.refusal, name)) : event
  if (failed.kind !== 'failed') return state
  const resume = { ...state, failures: state.failures + 1 }
  if (resume.failures >= step.undoRetry.attempts) return { status: 'stuck', resume, failure: failed.failure }
  return { ...resume, pause: { wakeAt: now + pauseMs(step.undoRetry, resume.failures, failed), failure: failed.failure } }
}

function openEnded(saga: SagaShape, state: Undoing, event: SagaEvent): SagaState {
  if (event.kind !== 'done' && event.kind !== 'refused' && event.kind !== 'failed') return state
  const step = event.step ?? state.open[0]?.at ?? ''
  return state.open.some(({ at }) => at === step) ? lateEnd(saga, state, step, event.kind) : state
}

function decided(saga: SagaShape, parked: Running | Undoing, event: SagaEvent): SagaState | undefined {
  if (event.kind === 'retry') return triedAnew(parked)
  if (parked.status === 'undoing') return event.kind === 'skip' ? stepUndone(parked) : undefined
  const lane = laneOf(parked, undefined)
  const step = stepNamed(saga, lane?.at)
  if (!lane || !step) return undefined
  if (event.kind === 'skip') return isUnspread(lane, step) || step.kind === 'when' ? undefined : laneDone(saga, parked, lane, step)
  if ((event.kind !== 'undo' && event.kind !== 'cancel') || step.place === 'after') return undefined
  if (event.kind === 'cancel' && !canTurn(saga, parked)) return undefined
  return turnRound(saga, parked, { step: lane.at, refused: false, ...event.why }, lane)
}

/** A stuck saga with its attempts counted from the start. */
export function triedAnew(parked: Running | Undoing): Running | Undoing {
  if (parked.status === 'undoing') return unpaused({ ...parked, failures: 0 })
  return { ...parked, lanes: parked.lanes.map((lane) => (lane.ended ? lane : unpaused({ ...lane, failures: 0 }))) }
}

function due(lane: Lane, over: boolean = false): Lane {
  return over && lane.until !== undefined ? { ...unpaused(lane), until: 0 } : unpaused(lane)
}

function unpaused<T extends { pause?: unknown }>({ pause: _over, ...rest }: T): Omit<T, 'pause'> {
  return rest
}

function stuckIfUnknown(saga: SagaShape, state: SagaState): SagaState {
  if (state.status !== 'running' && state.status !== 'undoing') return state
  const isUnknown = (name: string) => !stepNamed(saga, name)
  const unknown =
    state.status === 'undoing'
      ? state.left.find(isUnknown)
      : (state.touched.find(isUnknown) ?? state.lanes.find(({ at }) => isUnknown(at))?.at)
  if (unknown === undefined) return state
  const message = `version ${saga.version} of saga "${saga.name}" has no step "${unknown}"; run a version that has it, then retry`
  return { status: 'stuck', resume: state, failure: { code: 'ERR_STEP_UNKNOWN', message } }
}

function wantsAlert(saga: SagaShape, state: SagaState, event: SagaEvent): boolean {
  if (state.status === 'stuck') return true
  if (state.status !== 'running' || (event.kind !== 'failed' && event.kind !== 'refused')) return false
  const lane = laneOf(state, event.step)
  const step = stepNamed(saga, lane?.at)
  return lane !== undefined && step !== undefined && step.place !== 'before' && lane.failures % step.retry.attempts === 0
}

/** Why a saga does not go on, if it waits after a failure. */
export function failureOfState(state: SagaState): Failure | undefined {
  if (state.status === 'stuck') return state.failure
  if (state.status === 'compensated') return { code: state.cause.code, message: state.cause.message }
  const failed = pausesOf(state).find(({ failure }) => failure)?.failure
  return failed ?? (state.status === 'undoing' ? { code: state.cause.code, message: state.cause.message } : undefined)
}

/** Exponential with full jitter, and never sooner than the other side asked for. */
function pauseMs({ baseMs, capMs }: Required<StepRetry>, failures: number, { random, retryAfterMs = 0 }: Failed): number {
  return Math.ceil(Math.max(retryAfterMs, random * Math.min(capMs, baseMs * 2 ** (failures - 1))))
}

/** A failure in the place of a refusal: the whole pause, as an answer that was given will hardly change soon. */
function failure(failed: Failure): Failed {
  return { kind: 'failed', failure: failed, hopeless: false, retryAfterMs: undefined, random: 1 }
}

function late({ code, message }: Failure, step: string): Failure {
  return { code: 'ERR_REFUSED_LATE', message: `step "${step}" can no longer be refused, and was: ${code}, ${message}` }
}

function inDoubt({ code, message }: Failure, { name }: StepShape): Failure {
  const what = `pivot "${name}" was refused (${code}, ${message}) after an attempt whose outcome is unknown`
  return { code: 'ERR_PIVOT_IN_DOUBT', message: `${what}; find out whether it happened, then skip it (it did), undo (it did not) or retry` }
}
