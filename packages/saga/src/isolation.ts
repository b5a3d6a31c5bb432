import { type Refusal, refuse, type Transaction } from '@banyan/core'
import { fingerprintOf, toJson } from './json.ts'
import { isYes } from './options.ts'

/**
 * What keeps others from being misled by a step that touches something they share, as sagas are not isolated from each other.
 *
 * - `semantic-lock`: others see that it is locked, by `semanticLock`.
 * - `commutative-update`: it adds and subtracts (`balance = balance + 5`), so that the order of sagas does not matter.
 * - `pessimistic-view`: the step stands where nothing is taken back after it, so that what others see is sure.
 * - `reread-value`: it writes only if what it decided by has not changed, by `rereadValue`.
 * - `version-file`: operations are applied in their order, in whatever order they come, by `versionFile`.
 * - `by-value`: what is at risk decides which saga runs, by `byValue`.
 * - `none`: nothing; `explainSaga` warns.
 *
 * @see Frank and Zahle, "Semantic ACID properties in multidatabases", 1998; Richardson, Microservices Patterns, 4.3.2
 */
export type Isolation = 'semantic-lock' | 'commutative-update' | 'pessimistic-view' | 'reread-value' | 'version-file' | 'by-value' | 'none'

/** The shared entities a step touches, and how each is kept from misleading others: `{ order: 'semantic-lock' }`. */
export type Touches = Readonly<Record<string, Isolation>>

/** All of {@link Isolation}. */
export const ISOLATIONS: readonly Isolation[] = [
  'semantic-lock',
  'commutative-update',
  'pessimistic-view',
  'reread-value',
  'version-file',
  'by-value',
  'none',
]

/** @throws what `fail` makes, for an isolation that is none */
export function checkTouches(fail: (what: string) => Error, touches: Touches = {}): void {
  for (const [entity, isolation] of Object.entries(touches)) {
    if (!ISOLATIONS.includes(isolation)) throw fail(`it touches "${entity}" by "${isolation}", wanted one of ${ISOLATIONS.join(', ')}`)
  }
}

/** What of a step {@link isolationWarnings} looks at. */
export interface TouchingStep {
  readonly name: string
  readonly place: 'before' | 'pivot' | 'after'
  readonly undoable: boolean
  readonly touches?: Touches
}

/** Where a saga may mislead others, or be misled by them, as far as its steps say what they touch. */
export function isolationWarnings(steps: readonly TouchingStep[]): string[] {
  return steps.flatMap((step) =>
    Object.entries(step.touches ?? {}).flatMap(([entity, isolation]) => {
      const what = warningOf(step, isolation)
      return what ? [`step "${step.name}" touches "${entity}" ${what}`] : []
    }),
  )
}

function warningOf({ place, undoable }: TouchingStep, isolation: Isolation): string | undefined {
  if (isolation === 'none') {
    return place === 'before'
      ? 'without isolation: others may read what is taken back later, or write what its undo overwrites'
      : 'without isolation: it may overwrite what another saga has written since this one read it'
  }
  if (isolation === 'pessimistic-view' && place === 'before')
    return 'by a pessimistic view and stands before the pivot, where it may still be taken back: move it past the pivot'
  if (isolation === 'semantic-lock' && place === 'before' && !undoable)
    return 'by a semantic lock and undoes nothing: when the saga is undone, nobody releases it'
  return undefined
}

/**
 * Writes only if what a saga decided by is still so: reads it anew in `tx` and compares, then runs `write` in the same transaction.
 * What others change in between is seen by the database: on SQLite nobody else writes meanwhile, on PostgreSQL the default isolation
 * (`serializable`) runs it again; under `read committed` let `reread` lock the row (`for update`).
 *
 * @returns what `write` gives, or the refusal `changed`: start over with what is there now
 * @throws {SagaError} `ERR_RESULT_NOT_JSON` when one of the values is no JSON
 * @see Richardson, Microservices Patterns, 4.3.2, "Reread value": an optimistic offline lock
 */
export async function rereadValue<Value, T>(
  tx: Transaction,
  options: { what: string; expected: Value; reread: (tx: Transaction) => Value | Promise<Value> },
  write: (current: Value) => T | Promise<T>,
): Promise<T | Refusal<'changed'>> {
  const current = await options.reread(tx)
  if (hashOf(current, options.what) === hashOf(options.expected, options.what)) return write(current)
  return refuse('changed', `${options.what} has changed since it was read`)
}

function hashOf(value: unknown, what: string): string | undefined {
  const json = toJson(value, what, 'ERR_RESULT_NOT_JSON')
  return json === undefined ? undefined : fingerprintOf(json)
}

/** A definition, as far as it takes to choose it. */
interface Choosable {
  readonly name: string
  readonly version: number
  keyOf(input: never): string
}

/** One of several ways to do the same: for the inputs it says yes to; the last one for all others. */
export interface Choice<S extends Choosable> {
  readonly when?: (input: Parameters<S['keyOf']>[0]) => boolean
  readonly saga: S
}

/**
 * Chooses a saga by what is at risk: a quick one for small amounts, one that locks or asks somebody for large ones.
 * `startSaga(tx, pick(order), order)` with `pick = byValue([{ when: (o) => o.totalCents < 10_000, saga: quick }, { saga: careful }])`.
 *
 * Sagas of one key start once a name, so the choices share the name to keep it so: they are versions of one saga.
 *
 * @throws {TypeError} when the last choice has a `when`, another one has none, their names differ, or two of them are one version;
 *   when choosing, for a `when` that gives neither yes nor no
 * @see Richardson, Microservices Patterns, 4.3.2, "By value"
 */
export function byValue<S extends Choosable>(choices: readonly [...Choice<S>[], Choice<S>]): (input: Parameters<S['keyOf']>[0]) => S {
  const fail = (what: string) => new TypeError(`cannot choose by value: ${what}`)
  const last = choices.at(-1)
  if (!last) throw fail('no choices given')
  if (last.when) throw fail(`the last one, "${last.saga.name}", has a "when": some inputs would have no saga`)
  for (const { when, saga } of choices) {
    if (!when && saga !== last.saga) throw fail(`"${saga.name}" version ${saga.version} has no "when" and is not the last`)
    if (saga.name !== last.saga.name)
      throw fail(`"${saga.name}" and "${last.saga.name}" would both start for one key; give them one name and two versions`)
    if (choices.some((other) => other.saga !== saga && other.saga.version === saga.version))
      throw fail(`there are two definitions of version ${saga.version} of "${saga.name}"; workers would run one for both`)
  }
  const isMeant = ({ when, saga: { name, version } }: Choice<S>, input: Parameters<S['keyOf']>[0]) =>
    when !== undefined && isYes(when(input), `cannot choose by value: the "when" of version ${version} of "${name}"`)
  return (input) => (choices.find((choice) => isMeant(choice, input)) ?? last).saga
}
