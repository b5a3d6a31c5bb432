import type { Transaction } from '@banyan/core'
import { SagaError } from './errors.ts'
import { fingerprintOf, fromJson, toJson } from './json.ts'
import { checkName, checkWhole } from './options.ts'
import { type VersionFileStore, type VersionKey, versionFilePort } from './version-file-store.ts'

export interface VersionFileOptions<Operation> {
  /** What kind of thing it is: `account`. At most 200 characters, as the id. */
  entity: string
  id: string
  /** The place of this operation among those on the entity, a whole number from 1 without gaps, as whoever orders them counts. */
  version: number
  /** What is to be done. JSON. */
  operation: Operation
}

/** What became of an operation. */
export interface VersionFileResult {
  /** The versions that were applied by this call, in order: none when it came too early or again. */
  readonly applied: readonly number[]
  /** The version the entity is at now. */
  readonly version: number
}

/**
 * Applies operations on an entity in their order, though they come in any: one that comes too early is kept and applied when those
 * before it have been, so that operations which do not commute have the same outcome in whatever order they arrive. Each is applied once;
 * `apply` works in `tx`, so all of it commits together.
 *
 * Two operations, of which one takes the other back, need no numbers: `participant` refuses a `do` that comes after its `undo`.
 *
 * @throws {SagaError} `ERR_KEY_REUSED` (status 422) when another operation of this version is kept; `ERR_INPUT_NOT_JSON`
 * @see Frank and Zahle, "Semantic ACID properties in multidatabases", 1998; Richardson, Microservices Patterns, 4.3.2, "Version file"
 */
export async function versionFile<Operation>(
  tx: Transaction,
  options: VersionFileOptions<Operation>,
  apply: (operation: Operation, version: number) => void | Promise<void>,
): Promise<VersionFileResult> {
  const { entity, id, version, operation } = options
  checkName('apply an operation', '"entity"', entity)
  checkName(`apply an operation to ${entity}`, '"id"', id)
  const action = `apply an operation to ${entity} "${id}"`
  checkWhole(action, 'version', version, 1)
  const json = toJson(operation, `version ${version} of ${entity} "${id}"`, 'ERR_INPUT_NOT_JSON')
  if (json === undefined) throw new TypeError(`cannot ${action}: "operation" is missing`)
  const store = tx.store(versionFilePort)
  const key = { entity, id }
  const before = await store.open(tx, key)
  // It was applied before; what it was is not kept.
  if (version <= before) return { applied: [], version: before }
  if (version > before + 1) {
    await keep(tx, store, key, version, json)
    return { applied: [], version: before }
  }
  return applyFrom(tx, store, key, { version, json }, apply)
}

/** The operations on an entity that wait for one before them, in order. At most 1,000. */
export async function waitingOperations<Operation = unknown>(
  tx: Transaction,
  key: VersionKey,
): Promise<{ version: number; operation: Operation; at: number }[]> {
  const kept = await tx.store(versionFilePort).waiting(tx, key, 1_000)
  // Whoever asks names the type of what was kept for this kind of entity.
  return kept.map(({ version, operation, at }) => ({ version, operation: fromJson(operation) as Operation, at }))
}

async function keep(tx: Transaction, store: VersionFileStore, key: VersionKey, version: number, operation: string): Promise<void> {
  const there = await store.keep(tx, key, { version, operation, at: store.world.now() })
  if (!there || fingerprintOf(there.operation) === fingerprintOf(operation)) return
  throw new SagaError(
    'ERR_KEY_REUSED',
    `cannot keep version ${version} of ${key.entity} "${key.id}": another operation of this version waits there; who numbers them must give each number once`,
    { status: 422 },
  )
}

async function applyFrom<Operation>(
  tx: Transaction,
  store: VersionFileStore,
  key: VersionKey,
  first: { version: number; json: string },
  apply: (operation: Operation, version: number) => void | Promise<void>,
): Promise<VersionFileResult> {
  const applied: number[] = []
  let { version } = first
  for (let json: string | undefined = first.json; json !== undefined; json = (await store.take(tx, key, version))?.operation) {
    // It is what a call for this kind of entity was given.
    await apply(fromJson(json) as Operation, version)
    applied.push(version)
    version += 1
  }
  await store.advance(tx, key, version - 1)
  return { applied, version: version - 1 }
}
