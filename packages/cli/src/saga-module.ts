import { explainSaga } from '@banyan/saga'
import { CliError } from './errors.ts'
import { type LoadedModule, loadModule } from './load-module.ts'

/** What the engine knows of a definition. */
export type SagaShape = Parameters<typeof explainSaga>[0]

/** What `explorable()` of @banyan/testing makes: a saga with those who take part. */
export interface ExplorableSaga {
  definition(): Promise<SagaShape>
  explore(options: { faults?: number; replay?: string; maxMoments?: number }): Promise<ExploredSaga>
}

export interface ExploredSaga {
  readonly broken: object | undefined
  /** False: something was not looked at, or something is broken. */
  readonly complete: boolean
  /** What keeps something from being looked at: steps that nothing comes to. */
  readonly notes: readonly string[]
  readonly text: string
}

/** What a module has to offer about sagas. */
export interface SagaModule {
  readonly definitions: readonly SagaShape[]
  readonly explorables: readonly ExplorableSaga[]
}

/**
 * Reads a module that exports sagas, or one that exports what it takes to explore one.
 *
 * @throws {CliError} `ERR_USAGE` for one that cannot be read or exports neither, saying what it does export
 */
export async function loadSagas(file: string): Promise<SagaModule> {
  const module = await loadModule(file)
  const found = await sagasIn(module)
  if (found.definitions.length === 0) throw new CliError('ERR_USAGE', `"${file}" exports no saga: ${whatInstead(Object.entries(module))}`)
  return found
}

/** The sagas that a module exports, and those of what it takes to explore one; each once, however many exports have it. */
export async function sagasIn(module: LoadedModule): Promise<SagaModule> {
  const exports = [...new Set(Object.values(module))]
  const explorables = exports.filter(isExplorable)
  const declared = exports.filter(isDefinition)
  const texts = new Set(declared.map(textOf))
  const definitions = [...declared]
  for (const explored of await Promise.all(explorables.map((one) => one.definition()))) {
    // A definition made of simulated clients is another object than the service's own.
    if (texts.has(textOf(explored))) continue
    texts.add(textOf(explored))
    definitions.push(explored)
  }
  return { definitions, explorables }
}

function textOf(saga: SagaShape): string {
  return explainSaga(saga).text
}

function whatInstead(exports: readonly (readonly [string, unknown])[]): string {
  if (exports.length === 0) return 'it exports nothing'
  const makes = exports.find(([, value]) => typeof value === 'function')?.[0]
  if (makes === undefined)
    return `it exports ${exports.map(([name]) => name).join(', ')}; wanted what saga(...).done() gives, or explorable()`
  return `"${makes}" is a function; if it makes a saga of clients, give it to explorable() of @banyan/testing/explore and export that`
}

function isExplorable(value: unknown): value is ExplorableSaga {
  if (typeof value !== 'object' || value === null || !('explore' in value) || !('definition' in value)) return false
  return typeof value.explore === 'function' && typeof value.definition === 'function'
}

/** By what no plain list of steps has: how a key is made of an input. */
function isDefinition(value: unknown): value is SagaShape {
  if (typeof value !== 'object' || value === null || !('steps' in value) || !('keyOf' in value)) return false
  return Array.isArray(value.steps) && typeof value.keyOf === 'function'
}
