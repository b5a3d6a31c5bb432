import type { Transaction } from '@banyan/core'
import type { Saga } from './define.ts'
import { toJson } from './json.ts'
import { localWorker } from './local-workers.ts'
import { instruments } from './metrics.ts'
import { checkName } from './options.ts'
import { type NewSagaRecord, sagaStorePort } from './store.ts'
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
 * Starts a saga if, and only if, the transaction commits; a worker of this process goes on at once, one elsewhere within its
 * poll. The same key starts once, also when the first saga has ended long ago. The saga's steps continue the active trace.
 *
 * @throws {SagaError} `ERR_INPUT_NOT_JSON`, naming the place in the input
 * @throws {TypeError} when the definition's `key` gives no text of 1 to 200 characters
 */
export async function startSaga<Input>(tx: Transaction, definition: Saga<Input>, input: Input): Promise<StartedSaga> {
  const { name, version } = definition
  const key = definition.keyOf(input)
  checkName(`start saga "${name}"`, 'its key', key)
  const store = tx.store(sagaStorePort)
  const local = localWorker(store, { name, version })
  const record: NewSagaRecord = {
    id: store.world.uuid(),
    name,
    version,
    key,
    state: initialState(definition),
    input: toJson(input, `the input of saga "${name}"`, 'ERR_INPUT_NOT_JSON') ?? 'null',
    owner: local?.owner,
    ...currentTrace(),
    createdAt: store.world.now(),
  }
  const id = await store.insert(tx, record)
  if (id !== record.id) return { id, key, started: false }
  tx.afterCommit(() => {
    instruments().started.add(1, { 'banyan.saga': name })
    local?.worker.take({
      ...record,
      results: '{}',
      output: undefined,
      revision: 0,
      claims: record.owner ? 1 : 0,
      updatedAt: record.createdAt,
    })
  })
  return { id, key, started: true }
}
