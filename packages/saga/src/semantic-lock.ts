import { type Database, type ReadTransaction, type Refusal, refuse, type Transaction } from '@banyan/core'
import { SagaError } from './errors.ts'
import { fromJson, toJson } from './json.ts'
import { checkName, checkWhole } from './options.ts'
import { type SemanticLockRecord, semanticLockPort } from './semantic-lock-store.ts'

/** What is locked, and by which saga. */
export interface LockOptions {
  /** What kind of thing it is: `order`. At most 200 characters, as all of these. */
  entity: string
  id: string
  /** The saga's id: `c.id`. Whoever calls from another service sends it along. */
  saga: string
}

export interface SemanticLockOptions<Stash> extends LockOptions {
  /** What the lock remembers, so that the undo can put it back: the values before this saga changed them. JSON. */
  stash?: Stash
  /**
   * What happens when another saga holds it. `refuse`: the step is refused with `locked`, and the saga is undone. `retry`: an error whose
   * `retryAfterMs` lets the step's policy try again, in another service's saga, too, when its handler answers with it; two sagas that wait
   * for each other so end after its attempts. Default `refuse`.
   */
  whenLocked?: 'refuse' | 'retry'
}

/** A lock that a saga holds. */
export interface SemanticLock<Stash = unknown> {
  readonly entity: string
  readonly id: string
  readonly saga: string
  /** What the first call left, whatever later ones brought: a repetition may have read what the saga itself has changed. */
  readonly stash: Stash | undefined
  /** Since when, milliseconds since 1970. */
  readonly at: number
}

/**
 * Locks an entity for a saga until {@link releaseLock}: other sagas that ask are refused, and readers can see by {@link lockOf} that
 * what they read may yet be taken back. The lock is a row that commits with `tx`; it outlives processes, and nothing but a release ends
 * it. The saga that holds it may ask again.
 *
 * In a `local` step as it is; in a participant of another service's saga inside `participant`, whose tombstone keeps a late `do` from
 * locking what was released before.
 *
 * @returns the lock, or the refusal `locked`
 * @throws {SagaError} `ERR_LOCKED` (status 409, with `retryAfterMs`) with `whenLocked: 'retry'`; `ERR_RESULT_NOT_JSON` for the stash
 * @see Frank and Zahle, "Semantic ACID properties in multidatabases", 1998; Richardson, Microservices Patterns, 4.3.2
 */
export async function semanticLock<Stash = undefined>(
  tx: Transaction,
  options: SemanticLockOptions<Stash>,
): Promise<SemanticLock<Stash> | Refusal<'locked'>> {
  const { entity, id, saga, whenLocked = 'refuse' } = options
  checkLock('lock', options)
  const stash = toJson(options.stash, `the stash of ${entity} "${id}"`, 'ERR_RESULT_NOT_JSON')
  const store = tx.store(semanticLockPort)
  const wanted = { entity, id, holder: saga, stash, at: store.world.now() }
  const there = (await store.take(tx, wanted)) ?? wanted
  // What the first call of this saga stashed was of the same type: it is the same step that asks again.
  if (there.holder === saga) return lockFrom(there) as SemanticLock<Stash>
  const held = `${entity} "${id}" is locked by saga "${there.holder}" since ${new Date(there.at).toISOString()}`
  if (whenLocked === 'refuse') return refuse('locked', held)
  throw new SagaError('ERR_LOCKED', `cannot lock: ${held}; it is tried again`, { status: 409, retryAfterMs: 100 })
}

/**
 * Ends a lock: in the `undo` of the step that took it, with the stash to put back, and in the step that ends the saga's way forward.
 * When this saga does not hold it (any more), nothing happens.
 *
 * @returns what was stashed; `undefined` when nothing was, or the saga held no lock
 */
export async function releaseLock<Stash = unknown>(tx: Transaction, options: LockOptions): Promise<Stash | undefined> {
  checkLock('release', options)
  const dropped = await tx.store(semanticLockPort).drop(tx, options.entity, options.id, options.saga)
  // Whoever releases names the type of what the same saga stashed.
  return fromJson(dropped?.stash) as Stash | undefined
}

/** Who has locked an entity, so that readers may wait, warn, or show it; `undefined`: nobody. */
export async function lockOf(tx: Transaction, entity: string, id: string): Promise<SemanticLock | undefined> {
  const found = await tx.store(semanticLockPort).find(tx, entity, id)
  return found && lockFrom(found)
}

/** The locks of a service, the oldest first: of one saga, of one kind of entity, or all. 1 to 1,000, default 100. */
export async function semanticLocks(
  database: Database,
  { limit = 100, entity, saga }: { entity?: string; saga?: string; limit?: number } = {},
): Promise<SemanticLock[]> {
  checkWhole('list locks', 'limit', limit, 1, 1_000)
  const filter = { ...(entity ? { entity } : {}), ...(saga ? { holder: saga } : {}) }
  const found = await database.read((tx: ReadTransaction) => database.store(semanticLockPort).list(tx, filter, limit))
  return found.map(lockFrom)
}

function lockFrom({ entity, id, holder, stash, at }: SemanticLockRecord): SemanticLock {
  return { entity, id, saga: holder, stash: fromJson(stash), at }
}

function checkLock(action: string, { entity, id, saga }: LockOptions): void {
  checkName(action, '"entity"', entity)
  checkName(`${action} ${entity}`, '"id"', id)
  checkName(`${action} ${entity} "${id}"`, '"saga"', saga)
}
