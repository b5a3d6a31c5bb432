import type { DefinitionName, SagaOwner, SagaRecord, SagaStore } from './store.ts'

/** A worker of this process, as `startSaga` sees it: it gets new sagas handed over, without a look at the database. */
export interface LocalWorker {
  /** Who a new saga belongs to; `undefined` while it takes none. */
  owner(definition: DefinitionName): SagaOwner | undefined
  /** Takes a saga whose start has been committed. One that was started for an earlier life of the worker is left for claiming. */
  take(record: SagaRecord): void
}

/** By store: each database has one store object. */
const workers = new WeakMap<SagaStore, Set<LocalWorker>>()

/** Makes a worker known; the function given back takes it out. */
export function addLocalWorker(store: SagaStore, worker: LocalWorker): () => void {
  const known = workers.get(store) ?? new Set()
  workers.set(store, known.add(worker))
  return () => void known.delete(worker)
}

/** A worker of this process that runs the definition now. */
export function localWorker(store: SagaStore, definition: DefinitionName): { worker: LocalWorker; owner: SagaOwner } | undefined {
  for (const worker of workers.get(store) ?? []) {
    const owner = worker.owner(definition)
    if (owner) return { worker, owner }
  }
  return undefined
}
