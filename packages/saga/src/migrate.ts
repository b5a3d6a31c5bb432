import { messageOf } from '@banyan/core'
import type { AnySaga, MigratedSaga, StoredSaga } from './definition.ts'
import { SagaError } from './errors.ts'
import { baseName } from './shape.ts'
import type { Lane, Running, SagaState, Undoing } from './state.ts'

/** A saga of an older version as one of this definition. @throws {SagaError} `ERR_SAGA_MIGRATION` */
export function migrated(definition: AnySaga, old: StoredSaga): Required<MigratedSaga> {
  const what = `cannot take saga "${old.id}" of "${definition.name}" from version ${old.version} to ${definition.version}`
  const migrate = definition.migrate[old.version]
  if (!migrate) throw new SagaError('ERR_SAGA_MIGRATION', `${what}: the definition has no "migrate" for version ${old.version}`)
  try {
    return { input: old.input, results: old.results, ...migrate(old) }
  } catch (cause) {
    throw new SagaError('ERR_SAGA_MIGRATION', `${what}: ${messageOf(cause)}`, { cause })
  }
}

/**
 * A saga whose steps have other names in the new version, for `migrate`: `{ 2: (old) => renameSteps(old, { money: 'payment' }) }`.
 * Its results get the new names, too.
 */
export function renameSteps(old: StoredSaga, names: Readonly<Record<string, string>>): MigratedSaga {
  const renamed = (step: string) => {
    const base = baseName(step)
    return (names[base] ?? base) + step.slice(base.length)
  }
  const results = Object.fromEntries(Object.entries(old.results).map(([step, result]) => [renamed(step), result]))
  return { state: renamedState(old.state, renamed), results }
}

function renamedState(state: SagaState, renamed: (step: string) => string): SagaState {
  if (state.status === 'running' || state.status === 'undoing') return renamedWay(state, renamed)
  return state.status === 'stuck' ? { ...state, resume: renamedWay(state.resume, renamed) } : state
}

function renamedWay(way: Running | Undoing, renamed: (step: string) => string): Running | Undoing {
  const lane = <L extends Pick<Lane, 'at'>>(one: L): L => ({ ...one, at: renamed(one.at) })
  return way.status === 'running'
    ? { ...way, lanes: way.lanes.map(lane), touched: way.touched.map(renamed) }
    : { ...way, left: way.left.map(renamed), open: way.open.map(lane) }
}
