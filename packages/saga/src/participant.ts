import { isRefusal, type Refusal, refuse, type Transaction } from '@banyan/core'
import { SagaError } from './errors.ts'
import { fingerprintOf, fromJson, toJson } from './json.ts'
import { checkName, checkWhole } from './options.ts'
import { type ParticipantRecord, participantPort } from './participant-store.ts'

interface Options {
  /** The `c.key` of a saga's step, or an `Idempotency-Key` with the caller's name before it. Unique in this service, at most 255 characters. */
  key: string
  /** What is done under the key. A `do` of another operation under the same key is an error. */
  operation: string
  /**
   * How long the keys of this operation are remembered after their last use, milliseconds from 1,000: give all calls of the operation the
   * same. A key is of the operation that it came with first. Default 30 days.
   */
  retentionMs?: number
}

export interface DoOptions extends Options {
  kind: 'do'
  /** What is asked for. The same key with another content is an error; the order of properties does not matter. Default: not checked. */
  fingerprint?: unknown
}

export interface UndoOptions extends Options {
  kind: 'undo'
}

/** How a key stands. */
export interface ParticipantState {
  readonly operation: string
  /** `done`, `refused`: how `do` ended. `undone`: then undone. `cancelled`: undone before any `do` came, which is refused from now on. */
  readonly state: ParticipantRecord['state']
  /** What the last body gave back. */
  readonly result: unknown
  /** Its last use, or up to a tenth of `retentionMs` before it, milliseconds since 1970. */
  readonly at: number
}

const DAY_MS = 24 * 60 * 60 * 1_000

/** So that any `c.key` fits: 36 characters of a saga's id, a colon, 200 of a step's name, and 18 of an item's number, `[9007199254740991]`. */
const LONGEST_KEY = 36 + 1 + 200 + 18

/**
 * Does something once per key, however often it is asked, in whatever order `do` and `undo` arrive.
 *
 * A repeated `do` gets the stored result, a refusal too, and `body` does not run. `undo` after `do` runs its body once, with the
 * result of `do`. `undo` of what was never done, or was refused, runs nothing and leaves a tombstone; a `do` that comes after an
 * `undo` is refused with `cancelled`. What `body` writes with `tx` and the key commit together; when `body` throws, so does this,
 * and the key stays unused once the transaction is rolled back.
 *
 * Keys are forgotten `retentionMs` after their last use, or up to a tenth of it sooner, a few with each new key of the same operation: the
 * table holds the keys of that time. Choose it longer than any saga lives.
 *
 * @throws {SagaError} `ERR_KEY_REUSED` (status 422) for a `do` with another operation or fingerprint; `ERR_RESULT_NOT_JSON`
 * @see Seata's TCC fence ("empty rollback", "suspension"); draft-ietf-httpapi-idempotency-key-header
 */
export function participant<T>(tx: Transaction, options: DoOptions, body: () => T | Promise<T>): Promise<T | Refusal<'cancelled'>>
export function participant<T, Done = unknown>(
  tx: Transaction,
  options: UndoOptions,
  body: (done: Done) => T | Promise<T>,
): Promise<T | undefined>
export async function participant(tx: Transaction, options: DoOptions | UndoOptions, body: (done: never) => unknown): Promise<unknown> {
  const { key, operation, retentionMs = 30 * DAY_MS } = options
  checkName('guard a participant', '"key"', key, LONGEST_KEY)
  checkName(`guard participant key "${key}"`, '"operation"', operation)
  checkWhole(`guard participant key "${key}"`, 'retentionMs', retentionMs, 1_000)
  // The body's types are those of the overload that was called; what `do` gave back came from a body of the same pair.
  if (options.kind === 'do') return doOnce(tx, { ...options, retentionMs }, body as () => unknown)
  return undoOnce(tx, { ...options, retentionMs }, body as (done: unknown) => unknown)
}

/** How a key stands, for handlers that must look before they call another system. Nothing: `undefined`. */
export async function participantState(tx: Transaction, key: string): Promise<ParticipantState | undefined> {
  const found = await tx.store(participantPort).find(tx, key)
  return found && { operation: found.operation, state: found.state, result: fromJson(found.result), at: found.at }
}

/** Whose keys are kept for a known time. */
type Kept<Given> = Given & { readonly retentionMs: number }

async function doOnce(
  tx: Transaction,
  { key, operation, fingerprint, retentionMs }: Kept<DoOptions>,
  body: () => unknown,
): Promise<unknown> {
  const store = tx.store(participantPort)
  const content = toJson(fingerprint, `the fingerprint of key "${key}"`, 'ERR_INPUT_NOT_JSON')
  const hash = content === undefined ? undefined : fingerprintOf(content)
  const before = await store.begin(tx, { key, operation, state: 'done', fingerprint: hash, result: undefined, at: store.world.now() })
  if (before) {
    await used(tx, before, retentionMs)
    if (before.state === 'cancelled' || before.state === 'undone') return refuse('cancelled', `"${key}" was undone before`)
    checkReuse(before, operation, hash)
    return fromJson(before.result)
  }
  await forgetSome(tx, operation, retentionMs)
  const result = await body()
  const state = isRefusal(result) ? 'refused' : 'done'
  await store.finish(tx, key, { state, result: resultJson(key, result), at: store.world.now() })
  return result
}

async function undoOnce(
  tx: Transaction,
  { key, operation, retentionMs }: Kept<UndoOptions>,
  body: (done: unknown) => unknown,
): Promise<unknown> {
  const store = tx.store(participantPort)
  const now = store.world.now()
  const before = await store.begin(tx, { key, operation, state: 'cancelled', fingerprint: undefined, result: undefined, at: now })
  if (!before) {
    await forgetSome(tx, operation, retentionMs)
    return undefined
  }
  if (before.state === 'undone' || before.state === 'cancelled') {
    await used(tx, before, retentionMs)
    return fromJson(before.result)
  }
  const result = before.state === 'done' ? await body(fromJson(before.result)) : undefined
  await store.finish(tx, key, { state: 'undone', result: resultJson(key, result), at: store.world.now() })
  return result
}

/** Two for one that comes: the table stays as large as its keys are many, and a repetition, of which many may come at once, reads and no more. */
async function forgetSome(tx: Transaction, operation: string, retentionMs: number): Promise<void> {
  const store = tx.store(participantPort)
  await store.forget(tx, operation, store.world.now() - retentionMs, 2)
}

/**
 * A repetition is a use, too: whoever still asks must not find the key forgotten. Noted when a tenth of the time has passed since it was last:
 * callers that repeat as they hear nothing come in storms, and must not be in each other's way by writes.
 */
async function used(tx: Transaction, { key, state, result, at }: ParticipantRecord, retentionMs: number): Promise<void> {
  const store = tx.store(participantPort)
  const now = store.world.now()
  if (now - at >= retentionMs / 10) await store.finish(tx, key, { state, result, at: now })
}

function resultJson(key: string, result: unknown): string | undefined {
  return toJson(result, `the result of key "${key}"`, 'ERR_RESULT_NOT_JSON')
}

function checkReuse(before: ParticipantRecord, operation: string, hash: string | undefined): void {
  const fail = (what: string) =>
    new SagaError('ERR_KEY_REUSED', `cannot use key "${before.key}" again: it was used ${what}; take a new key`, { status: 422 })
  if (before.operation !== operation) throw fail(`for "${before.operation}", not for "${operation}"`)
  if (before.fingerprint !== hash) throw fail('with another content')
}
