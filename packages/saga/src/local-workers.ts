import type { DefinitionName, SagaOwner, SagaRecord, SagaStore } from './store.ts'

/** A worker of this process, as others see it: it gets new sagas handed over, without a look at the database. */
export interface LocalWorker {
  /** Who a new saga belongs to; `undefined` while it takes none. */
  owner(definition: DefinitionName): SagaOwner | undefined
  /** A saga of the worker is being stored. It looks for it itself when it hears nothing more of it. */
  expect(id: string): void
  /** Such a saga was not stored after all. */
  dismiss(id: string): void
  /** Takes a saga whose start has been committed. One that was started for an earlier life of the worker is left for claiming. */
  take(record: SagaRecord): void
  /** Looks for sagas at once: there are some that have been woken. */
  look(): void
  /** Somebody has decided about a saga: if it is here and nothing of it is in flight, it is read anew before it goes on. */
  decided(id: string): void
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

/** Lets the workers of this process look at once; those elsewhere do within their poll. */
export function wakeLocalWorkers(store: SagaStore): void {
  for (const worker of workers.get(store) ?? []) worker.look()
}

/** Tells the workers of this process that somebody has decided about a saga; those elsewhere learn of it when they write. */
export function tellLocalWorkers(store: SagaStore, id: string): void {
  for (const worker of workers.get(store) ?? []) {
    worker.decided(id)
    worker.look()
  }
}
