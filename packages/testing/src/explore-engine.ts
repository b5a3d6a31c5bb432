import {
  type AnySaga,
  actionsOf,
  after,
  initialState,
  isUnspread,
  itemsName,
  type SagaEvent,
  type SagaState,
  type SagaStep,
  stepNamed,
} from '@banyan/saga/internal'
import { type StepAction, sameAction } from './explore-moment.ts'

/** What became of a saga's state. */
export interface Settled {
  readonly state: SagaState
  /** A person is called. */
  readonly alert: boolean
}

/** The engine's own transition, as a worker drives it. */
export interface Engine {
  begin(): SagaState
  /** What may be attempted now, in the order it is started; more than one where steps run side by side. */
  actions(state: SagaState): readonly StepAction[]
  /** The state after an attempt has ended. A pause before the next attempt is over at once: the schedule says what comes in between. */
  settle(state: SagaState, action: StepAction, event: SagaEvent): Settled
  /** The state in the hands of another life of the worker. */
  resumed(state: SagaState): SagaState
  /** The state after somebody has cancelled the saga, or its time was over; `undefined`: it cannot be cancelled any more. */
  cancelled(state: SagaState, why: { code: string; message: string }): SagaState | undefined
  /** The step of a name; that of `seats` for `seats[2]`. */
  step(name: string): SagaStep
  /** How many attempts of the action have failed. */
  failures(state: SagaState, action: StepAction): number
  /** Whether the step runs once for each of some items, and it is not known yet how many. */
  isUnspread(step: string): boolean
  /** The name under which what an event gave is stored. */
  resultName(step: string, event: SagaEvent): string
  /** How long all of it may take, milliseconds; `undefined`: for ever. */
  readonly deadlineMs: number | undefined
}

export function engineOf(saga: AnySaga, now: number): Engine {
  const step = (name: string): SagaStep => {
    // The shape's steps are those of the definition.
    const found = saga.steps.find((one) => one === stepNamed(saga, name))
    if (found) return found
    throw new TypeError(`cannot explore saga "${saga.name}": its state names the unknown step "${name}"`)
  }
  /** Ends the pauses that follow failures. */
  const unpaused = (state: SagaState): SagaState => {
    let next = state
    for (const action of actionsOf(state)) {
      if (action.kind === 'wait') next = after(saga, next, { kind: 'due', step: action.step }, Number.MAX_SAFE_INTEGER).state
    }
    return next
  }
  return {
    begin: () => after(saga, initialState(saga), { kind: 'due', step: '' }, now).state,
    actions: (state) => actionsOf(state).flatMap((action) => (action.kind === 'wait' ? [] : [{ kind: action.kind, step: action.step }])),
    settle(state, action, event) {
      const turn = after(saga, state, { ...event, step: action.step } as SagaEvent, now)
      return { state: unpaused(turn.state), alert: turn.alert }
    },
    resumed: (state) => unpaused(after(saga, state, { kind: 'resumed' }, now).state),
    cancelled(state, why) {
      const next = after(saga, state, { kind: 'cancel', why }, now).state
      return next === state ? undefined : next
    },
    step,
    failures: (state, action) => {
      if (state.status === 'undoing') return state.failures
      return (state.status === 'running' && state.lanes.find(({ at }) => at === action.step)?.failures) || 0
    },
    isUnspread: (name) => isUnspread({ at: name }, step(name)),
    resultName: (name, event) => (event.kind === 'spread' ? itemsName(name) : name),
    deadlineMs: saga.deadlineMs,
  }
}

/** A step that is to be tried more often is never given up, as far as schedules go. */
const MOST_ATTEMPTS = 1_000

/**
 * The state after an attempt keeps failing until the engine gives up on it; `undefined` when it never does, or no one attempt
 * fails.
 */
export function givenUp(engine: Engine, state: SagaState, action: StepAction, event: SagaEvent): (Settled & { times: number }) | undefined {
  const { retry, undoRetry } = engine.step(action.step)
  const most = action.kind === 'do' ? retry.attempts : undoRetry.attempts
  if (most > MOST_ATTEMPTS) return undefined
  let now = state
  for (let times = 1; times <= most; times += 1) {
    const settled = engine.settle(now, action, event)
    if (!engine.actions(settled.state).some((next) => sameAction(next, action))) return { ...settled, times }
    now = settled.state
  }
  return undefined
}
