import type { UndoCause } from './context.ts'
import { isUnspread } from './forward.ts'
import { type SagaShape, stepNamed } from './shape.ts'
import type { Lane, Running, SagaState, Undoing } from './state.ts'

/**
 * Turns a saga round. What may have had an effect is to be undone, in reverse order of its start. Lanes whose attempt may still be
 * on its way are open: their end is awaited first.
 *
 * @param settled the lane whose end turns it round, as it is now: it is not on its way any more
 */
export function turnRound(saga: SagaShape, { lanes, touched }: Running, cause: UndoCause, settled?: Lane): SagaState {
  const onTheirWay = lanes.filter((lane) => lane !== settled && mayBeOnItsWay(saga, lane))
  const started = [...touched, ...lanes.filter((lane) => lane.ended || lane.doubt || onTheirWay.includes(lane)).map(({ at }) => at)]
  // A child that has not ended is stopped, also where there is nothing to undo after its end.
  const isOn = ({ at, ended }: Lane) => !ended && stepNamed(saga, at)?.kind === 'child'
  const kept = [...onTheirWay, ...lanes.filter(isOn)].map(({ at }) => at)
  const left = started.filter((name) => kept.includes(name) || isUndoable(saga, name)).reverse()
  const open = onTheirWay.map(({ at, doubt }) => ({ at, doubt }))
  return undoing({ status: 'undoing', left, open, failures: 0, cause })
}

/** A `do` that was still on its way when the saga turned round, and has ended now. */
export function lateEnd(saga: SagaShape, state: Undoing, name: string, end: 'done' | 'refused' | 'failed'): SagaState {
  const lane = state.open.find(({ at }) => at === name)
  const open = state.open.filter((one) => one !== lane)
  // A refusal answers its attempt. An earlier one may have gone through.
  const mayHaveWorked = end !== 'refused' || lane?.doubt === true
  const left = mayHaveWorked && isUndoable(saga, name) ? state.left : state.left.filter((one) => one !== name)
  return undoing({ ...state, left, open })
}

/** The next undo has worked, or counts as such. */
export function stepUndone({ left, open, cause }: Undoing): SagaState {
  return undoing({ status: 'undoing', left: left.slice(1), open, failures: 0, cause })
}

/** Whatever was on its way is no more: its end will never be known. */
export function closeOpen(saga: SagaShape, state: Undoing): SagaState {
  const left = state.left.filter((name) => isUndoable(saga, name) || !state.open.some(({ at }) => at === name))
  return undoing({ ...state, left, open: [] })
}

function undoing(state: Undoing): SagaState {
  return state.left.length === 0 ? { status: 'compensated', cause: state.cause } : state
}

/** Steps without an `undo` are left out, steps that no longer exist are not: they park it. */
function isUndoable(saga: SagaShape, name: string): boolean {
  return stepNamed(saga, name)?.undoable ?? true
}

/** What works in the service's own database has left nothing as long as it is not recorded. */
function mayBeOnItsWay(saga: SagaShape, lane: Lane): boolean {
  const step = stepNamed(saga, lane.at)
  return !lane.ended && !lane.pause && step?.kind === 'remote' && !isUnspread(lane, step)
}
