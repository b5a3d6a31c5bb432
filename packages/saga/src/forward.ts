import { itemIndex, type SagaShape, type StepShape, stepNamed } from './shape.ts'
import type { Lane, Running, SagaState } from './state.ts'

/** The state of a saga that has not begun. */
export function initialState(saga: SagaShape): SagaState {
  return enter(saga, saga.steps[0], [])
}

/** A lane that is done, and where the saga is then. */
export function laneDone(saga: SagaShape, state: Running, lane: Lane, step: StepShape): SagaState {
  const next = itemAfter(lane)
  if (next) return { ...state, lanes: [next], touched: touchedWith(state, step, [lane.at]) }
  const lanes = state.lanes.map((one): Lane => (one === lane ? endedLane(one) : one))
  if (lanes.some(({ ended }) => !ended)) return { ...state, lanes }
  const touched = touchedWith(
    state,
    step,
    lanes.map(({ at }) => at),
  )
  return enter(saga, stepAfter(saga, step), touched)
}

/** A lane that is done. Of how many items its one is the last, a migration wants to know. */
export function endedLane({ at, items }: Lane): Lane {
  return { at, failures: 0, doubt: false, ended: true, ...(items !== undefined && { items }) }
}

/** A running saga all of whose lanes are ended is past them. The same one, where a lane is open. */
export function pastEnded(saga: SagaShape, state: SagaState): SagaState {
  if (state.status !== 'running' || state.lanes.some(({ ended }) => !ended)) return state
  const [lane] = state.lanes
  const step = stepNamed(saga, lane?.at)
  return lane && step ? laneDone(saga, state, lane, step) : state
}

/** A `when` that is decided: into its steps, or past them. */
export function chosen(saga: SagaShape, state: Running, step: StepShape, yes: boolean): SagaState {
  const from = saga.steps.indexOf(step) + 1
  const next = saga.steps.find(({ inside }, index) => index >= from && (yes || !inside?.includes(step.name)))
  return enter(saga, next, state.touched)
}

/** A step whose items are known: the first one, or past it. */
export function spread(saga: SagaShape, state: Running, step: StepShape, items: number): SagaState {
  if (items === 0) return enter(saga, stepAfter(saga, step), state.touched)
  return { ...state, lanes: [{ at: `${step.name}[0]`, failures: 0, doubt: false, items }] }
}

/** Whether a lane stands before its first item. */
export function isUnspread({ at }: Pick<Lane, 'at'>, { each }: StepShape): boolean {
  return each === true && itemIndex(at) === undefined
}

function enter(saga: SagaShape, step: StepShape | undefined, touched: readonly string[]): SagaState {
  if (!step) return { status: 'completed' }
  const together = step.group === undefined ? [step] : saga.steps.filter(({ group }) => group === step.group)
  return { status: 'running', lanes: together.map(({ name }) => ({ at: name, failures: 0, doubt: false })), touched }
}

function itemAfter({ at, items }: Lane): Lane | undefined {
  const index = itemIndex(at)
  if (index === undefined || items === undefined || index + 1 >= items) return undefined
  return { at: `${at.slice(0, at.lastIndexOf('['))}[${index + 1}]`, failures: 0, doubt: false, items }
}

/** The step after this one and all that started with it. */
function stepAfter(saga: SagaShape, step: StepShape): StepShape | undefined {
  const index = saga.steps.indexOf(step)
  return saga.steps.find(({ group }, other) => other > index && (step.group === undefined || group !== step.group))
}

function touchedWith({ touched }: Running, { place }: StepShape, names: readonly string[]): readonly string[] {
  // From the pivot on nothing will be undone.
  return place === 'before' ? [...touched, ...names] : []
}

/** The lane an event is about: the one it names, else the first that is open. */
export function laneOf(state: Running, name: string | undefined): Lane | undefined {
  return state.lanes.find(({ at, ended }) => !ended && (name === undefined || at === name))
}

/** The state with a lane in the place of another. */
export function withLane(state: Running, lane: Lane, instead: Lane): Running {
  return { ...state, lanes: state.lanes.map((one) => (one === lane ? instead : one)) }
}

/** The place of a saga: all its lanes have the same. */
export function placeOf(saga: SagaShape, { lanes }: Running): StepShape['place'] | undefined {
  return stepNamed(saga, lanes[0]?.at)?.place
}
