import type { Database, Transaction } from '@banyan/core'
import type { AnySaga, Saga } from './definition.ts'
import { journalOf } from './journal.ts'
import { toJson } from './json.ts'
import { localWorker } from './local-workers.ts'
import { instruments } from './metrics.ts'
import { checkName } from './options.ts'
import { seal } from './payload.ts'
import { standingOf } from './standing.ts'
import { type NewSagaRecord, type SagaStore, sagaStorePort } from './store.ts'
import { currentTrace } from './trace.ts'
import { initialState } from './transition.ts'

export interface StartedSaga {
  /** The saga's id: a new one, or that of the saga that has the key already. */
  readonly id: string
  readonly key: string
  /** False: a saga of this name and key was there before. */
  readonly started: boolean
}

/**
 * Starts a saga: with a transaction if, and only if, that commits; with a database by itself, so that many starts share a commit
 * (not inside a transaction of that database: the saga would start also when that one is rolled back).
 * A worker of this process goes on at once, one elsewhere within its poll. The same key starts once, also when the first saga has
 * ended long ago. The saga's steps continue the active trace.
 *
 * @throws {SagaError} `ERR_INPUT_NOT_JSON`, naming the place in the input
 * @throws `ERR_NESTED_TRANSACTION`, with a database inside a transaction of it
 * @throws {TypeError} when the definition's `key` gives no text of 1 to 200 characters
 */
export async function startSaga<Input>(to: Transaction | Database, definition: Saga<Input>, input: NoInfer<Input>): Promise<StartedSaga> {
  const store = to.store(sagaStorePort)
  const key = definition.keyOf(input)
  checkName(`start saga "${definition.name}"`, 'its key', key)
  const inTransaction = 'afterCommit' in to
  if (!inTransaction) store.assertOutside(`start saga "${definition.name}"`)
  const { record, begin, dismiss } = newSaga(store, definition, input, { key, report: undefined })
  const id = inTransaction ? await store.insert(to, record) : await journalOf(store).start(record)
  if (id !== record.id) {
    dismiss()
    return { id, key, started: false }
  }
  if (inTransaction) to.afterCommit(begin)
  else begin()
  return { id, key, started: true }
}

/** A saga to be, and what is to be done once it is stored, or is not: there is one of its key. `report`: the channel that is told its end. */
export function newSaga(
  store: SagaStore,
  definition: AnySaga,
  input: unknown,
  { key, report }: { key: string; report: string | undefined },
): { record: NewSagaRecord; begin: () => void; dismiss: () => void } {
  const { name, version, codec } = definition
  const local = localWorker(store, { name, version })
  const record: NewSagaRecord = {
    id: store.world.uuid(),
    ...{ name, version, key, report },
    ...standingOf(initialState(definition)),
    input: seal(codec, toJson(input, `the input of saga "${name}"`, 'ERR_INPUT_NOT_JSON') ?? 'null'),
    owner: local?.owner,
    ...currentTrace(),
    createdAt: store.world.now(),
  }
  const begin = () => {
    instruments().started.add(1, { 'banyan.saga': name })
    const rest = { results: '{}', output: undefined, revision: 0, claims: record.owner ? 1 : 0, updatedAt: record.createdAt }
    local?.worker.take({ ...record, ...rest })
  }
  local?.worker.expect(record.id)
  return { record, begin, dismiss: () => local?.worker.dismiss(record.id) }
}
