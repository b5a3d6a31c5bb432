import type { Database, Transaction } from '@banyan/core'
import type { Saga } from './define.ts'
import { journalOf } from './journal.ts'
import { toJson } from './json.ts'
import { localWorker } from './local-workers.ts'
import { instruments } from './metrics.ts'
import { checkName } from './options.ts'
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
 * Starts a saga: with a transaction if, and only if, that commits; with a database by itself, so that many starts share a commit.
 * A worker of this process goes on at once, one elsewhere within its poll. The same key starts once, also when the first saga has
 * ended long ago. The saga's steps continue the active trace.
 *
 * @throws {SagaError} `ERR_INPUT_NOT_JSON`, naming the place in the input
 * @throws {TypeError} when the definition's `key` gives no text of 1 to 200 characters
 */
export async function startSaga<Input>(to: Transaction | Database, definition: Saga<Input>, input: Input): Promise<StartedSaga> {
  const store = to.store(sagaStorePort)
  const { record, begin } = newSaga(store, definition, input)
  const { key } = record
  const inTransaction = 'afterCommit' in to
  const id = inTransaction ? await store.insert(to, record) : await journalOf(store).start(record)
  if (id !== record.id) return { id, key, started: false }
  if (inTransaction) to.afterCommit(begin)
  else begin()
  return { id, key, started: true }
}

/** A saga to be, and what is to be done when it is stored. */
function newSaga<Input>(store: SagaStore, definition: Saga<Input>, input: Input): { record: NewSagaRecord; begin: () => void } {
  const { name, version } = definition
  const key = definition.keyOf(input)
  checkName(`start saga "${name}"`, 'its key', key)
  const local = localWorker(store, { name, version })
  const record: NewSagaRecord = {
    id: store.world.uuid(),
    name,
    version,
    key,
    ...standingOf(initialState(definition)),
    input: toJson(input, `the input of saga "${name}"`, 'ERR_INPUT_NOT_JSON') ?? 'null',
    owner: local?.owner,
    report: undefined,
    ...currentTrace(),
    createdAt: store.world.now(),
  }
  const begin = () => {
    instruments().started.add(1, { 'banyan.saga': name })
    const rest = { results: '{}', output: undefined, revision: 0, claims: record.owner ? 1 : 0, updatedAt: record.createdAt }
    local?.worker.take({ ...record, ...rest })
  }
  return { record, begin }
}
