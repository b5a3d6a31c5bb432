import { firstNamesOf } from './first-names.ts'
import { pastEnded } from './forward.ts'
import { baseName, itemIndex, type SagaShape, type StepShape, stepNamed } from './shape.ts'
import type { Lane, Running, SagaState } from './state.ts'

/**
 * The state that a migration gave, so that the new definition goes on with it, skips nothing and comes to an end: steps that start
 * together with those it is at are begun, too, and one with nothing left to be done is past it. All steps in it are the definition's.
 *
 * @throws {TypeError} when no such state can be made of it, with what is wrong and what is wanted
 */
export function fitted(saga: SagaShape, state: SagaState, results: Readonly<Record<string, unknown>>): SagaState {
  checkKeys(saga, state)
  switch (state.status) {
    case 'running':
      return fittedRunning(saga, state, results)
    case 'undoing':
      return state.left.length === 0 && state.open.length === 0 ? { status: 'compensated', cause: state.cause } : state
    case 'stuck': {
      const resume = fitted(saga, state.resume, results)
      // Else its end has come: nobody has to decide any more.
      return resume.status === 'running' || resume.status === 'undoing' ? { ...state, resume } : resume
    }
    default:
      return state
  }
}

/** No step goes out under the key of another one. */
function checkKeys(saga: SagaShape, state: SagaState): void {
  const names = firstNamesOf(state) ?? {}
  for (const [name, first] of Object.entries(names)) {
    if (Object.hasOwn(names, first) || !saga.steps.some((step) => step.name === first)) continue
    throw new TypeError(`step "${name}" goes on under the key of "${first}", its first name; wanted another name for the new "${first}"`)
  }
}

function fittedRunning(saga: SagaShape, state: Running, results: Readonly<Record<string, unknown>>): SagaState {
  const [lane] = state.lanes
  const step = stepNamed(saga, lane?.at)
  if (!lane || !step) throw new TypeError('it is running at no step; wanted its steps in "lanes"')
  for (const one of state.lanes) checkItems(saga, one)
  checkTogether(saga, state, step)
  return pastEnded(saga, { ...state, lanes: [...state.lanes, ...missing(saga, state, step, results)] })
}

function checkItems(saga: SagaShape, { at, items }: Lane): void {
  const index = itemIndex(at)
  if (index === undefined) return
  if (!stepNamed(saga, at)?.each) throw new TypeError(`it is at "${at}", wanted "${baseName(at)}", which runs once and not for each item`)
  if (items === undefined || !(items > index)) throw new TypeError(`it is at "${at}" of ${items} items, wanted at least ${index + 1}`)
}

function checkTogether(saga: SagaShape, { lanes }: Running, { group }: StepShape): void {
  if (lanes.length === 1) return
  const names = lanes.map(({ at }) => at)
  const together = group !== undefined && names.every((name) => stepNamed(saga, name)?.group === group)
  if (together && new Set(names).size === names.length) return
  const at = names.map((name) => `"${name}"`).join(' and ')
  throw new TypeError(`it is running at ${at}, which do not run at the same time; wanted one lane, or one for each step of one "all"`)
}

/** The steps that start together with this one, and have not been begun. Where nothing will be undone, their results tell. */
function missing(saga: SagaShape, { lanes, touched }: Running, { group }: StepShape, results: Readonly<Record<string, unknown>>): Lane[] {
  if (group === undefined) return []
  const begun = new Set([...lanes.map(({ at }) => at), ...touched, ...Object.keys(results)].map(baseName))
  return saga.steps
    .filter((step) => step.group === group && !begun.has(step.name))
    .map(({ name }) => ({ at: name, failures: 0, doubt: false, pause: OVER }))
}

/** A pause that is over at once: unlike those beside it, no worker can have been in the middle of this step. */
const OVER = { wakeAt: 0, failure: undefined }
