import { messageOf } from '@banyan/core'
import type { AnySaga, MigratedSaga, StoredSaga } from './definition.ts'
import { SagaError } from './errors.ts'
import { firstNamesOf, newName, renamedFirst, withFirstNames } from './first-names.ts'
import { fitted } from './fitted.ts'
import { toJson } from './json.ts'
import { baseName } from './shape.ts'
import type { FirstNames, Lane, Running, SagaState, Undoing } from './state.ts'
import { wrongMigration } from './state-form.ts'
import { after } from './transition.ts'

/**
 * A saga of an older version as one of this definition. It goes on, or this throws and it is what it was: no step is skipped, and none
 * waits for ever, because two versions do not fit together.
 *
 * @throws {SagaError} `ERR_SAGA_MIGRATION`, with what is wrong; `ERR_STEP_UNKNOWN` when it names a step that the definition does not have
 */
export function migrated(definition: AnySaga, old: StoredSaga): Required<MigratedSaga> {
  const what = `cannot take saga "${old.id}" of "${definition.name}" from version ${old.version} to ${definition.version}`
  const migrate = definition.migrate[old.version]
  if (!migrate) throw new SagaError('ERR_SAGA_MIGRATION', `${what}: the definition has no "migrate" for version ${old.version}`)
  const answer = orFail(what, () => formed(old, migrate(old)))
  // A state that was written anew says nothing of names: they are as they were.
  const names = orFail(what, () => firstNamesOf(answer.state) ?? firstNamesOf(old.state))
  const state = withFirstNames(answer.state, names)
  checkKnown(definition, state)
  const made = orFail(what, () => fitted(definition, state, answer.results))
  return { ...answer, state: withFirstNames(made, names) }
}

/** A program in JavaScript, or one that casts, may give anything: what could not be stored, or not be read again, is refused here. */
function formed(old: StoredSaga, answer: MigratedSaga): Required<MigratedSaga> {
  const wrong = wrongMigration(answer)
  if (wrong) throw new TypeError(wrong)
  // Each is undefined where it is left out, and also where a function gave it as that.
  const { state, input = old.input, results = old.results } = answer
  toJson(state, 'the state', 'ERR_SAGA_MIGRATION')
  return { state, input, results }
}

function orFail<T>(what: string, body: () => T): T {
  try {
    return body()
  } catch (cause) {
    throw new SagaError('ERR_SAGA_MIGRATION', `${what}: ${messageOf(cause)}`, { cause })
  }
}

/** Asks the transition itself, by an event that changes nothing. */
function checkKnown(definition: AnySaga, state: SagaState): void {
  const { state: known } = after(definition, state.status === 'stuck' ? state.resume : state, { kind: 'due', step: '' }, 0)
  if (known.status === 'stuck') throw new SagaError('ERR_STEP_UNKNOWN', known.failure.message)
}

/**
 * A saga whose steps have other names in the new version, for `migrate`: `{ 2: (old) => renameSteps(old, { money: 'payment' }) }`.
 * Its results get the new names, too, and so does all that people see from then on. What other systems know a step by stays as it was,
 * for the saga's life: its key (`c.key`, of `do` and `undo`), its child saga, answers given to it.
 *
 * @throws {TypeError} when two steps that the saga has to do with would have one name
 */
export function renameSteps(old: StoredSaga, names: Readonly<Record<string, string>>): MigratedSaga {
  const renamed = (step: string) => newName(names, step)
  const used = new Set([...stepsIn(old.state), ...Object.keys(old.results)].map(baseName))
  checkApart(used, renamed)
  const results = Object.fromEntries(Object.entries(old.results).map(([step, result]) => [renamed(step), result]))
  return { state: renamedState(old.state, renamed, renamedFirst(firstNamesOf(old.state), names, used)), results }
}

function stepsIn(state: SagaState): readonly string[] {
  if (state.status === 'stuck') return stepsIn(state.resume)
  if (state.status === 'running') return [...state.touched, ...state.lanes.map(({ at }) => at)]
  return state.status === 'undoing' ? state.left : []
}

/** What two steps have done would be one step's. */
function checkApart(used: Iterable<string>, renamed: (step: string) => string): void {
  const taken = new Map<string, string>()
  for (const step of used) {
    const name = renamed(step)
    const other = taken.get(name)
    if (other !== undefined)
      throw new TypeError(`steps "${other}" and "${step}" would both be "${name}"; wanted another name for one of them`)
    taken.set(name, step)
  }
}

function renamedState(state: SagaState, renamed: (step: string) => string, firstNames: FirstNames): SagaState {
  if (state.status === 'running' || state.status === 'undoing') return renamedWay(state, renamed, firstNames)
  return state.status === 'stuck' ? { ...state, resume: renamedWay(state.resume, renamed, firstNames) } : state
}

function renamedWay(way: Running | Undoing, renamed: (step: string) => string, firstNames: FirstNames): Running | Undoing {
  const lane = <L extends Pick<Lane, 'at'>>(one: L): L => ({ ...one, at: renamed(one.at) })
  if (way.status === 'running') return { ...way, firstNames, lanes: way.lanes.map(lane), touched: way.touched.map(renamed) }
  const cause = { ...way.cause, step: renamed(way.cause.step) }
  return { ...way, firstNames, cause, left: way.left.map(renamed), open: way.open.map(lane) }
}
