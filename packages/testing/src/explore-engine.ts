import { type AnySaga, actionOf, after, initialState, type SagaEvent, type SagaState, type SagaStep } from '@banyan/saga/internal'
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
  /** What may be done now, in order; more than one in parallel lanes. */
  actions(state: SagaState): readonly StepAction[]
  /** The state after an attempt has ended. A pause before the next attempt is over at once: the schedule says what comes in between. */
  settle(state: SagaState, action: StepAction, event: SagaEvent): Settled
  /** The state in the hands of another life of the worker. */
  resumed(state: SagaState): SagaState
  step(name: string): SagaStep
  /** How many attempts of the action have failed. */
  failures(state: SagaState, action: StepAction): number
}

export function engineOf(saga: AnySaga, now: number): Engine {
  const due = (state: SagaState): SagaState =>
    state.status === 'waiting' ? after(saga, state, { kind: 'due' }, Math.max(now, state.wakeAt)).state : state
  const step = (name: string): SagaStep => {
    const found = saga.steps.find((one) => one.name === name)
    if (found) return found
    throw new TypeError(`cannot explore saga "${saga.name}": its state names the unknown step "${name}"`)
  }
  return {
    begin: () => after(saga, initialState(saga), { kind: 'due' }, now).state,
    actions(state) {
      const action = actionOf(state)
      return action.kind === 'do' || action.kind === 'undo' ? [action] : []
    },
    settle(state, _action, event) {
      const turn = after(saga, state, event, now)
      return { state: due(turn.state), alert: turn.alert }
    },
    resumed: (state) => after(saga, state, { kind: 'resumed' }, now).state,
    step,
    failures: (state) => (state.status === 'running' || state.status === 'undoing' ? state.failures : 0),
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
