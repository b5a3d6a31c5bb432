import type { Database } from '@banyan/core'
import {
  type DefinitionName,
  type NewSagaRecord,
  type SagaAdvance,
  type SagaHistoryEntry,
  type SagaOwner,
  type SagaRecord,
  type SagaState,
  sagaStorePort,
} from '@banyan/saga/internal'

export const TRIP: readonly DefinitionName[] = [{ name: 'trip', version: 1 }]

export function running(at: string): Extract<SagaState, { status: 'running' }> {
  return { status: 'running', at, failures: 0, doubt: false, touched: [] }
}

/** A saga at its start that nobody owns. */
export function newSaga(id: string, more: Partial<NewSagaRecord> = {}): NewSagaRecord {
  return {
    id,
    name: 'trip',
    version: 1,
    key: `key of ${id}`,
    state: running('a'),
    input: '{"guests":2}',
    owner: undefined,
    traceparent: undefined,
    tracestate: undefined,
    createdAt: 1,
    ...more,
  }
}

export function entryOf({ status }: SagaState): Omit<SagaHistoryEntry, 'saga'> {
  return {
    ...{ step: 'a', action: 'do', outcome: 'failed', attempt: 2, code: 'ERR_X', message: 'it broke' },
    ...{ status, worker: 'a', startedAt: 4, at: 5 },
  }
}

export function insert(database: Database, saga: NewSagaRecord): Promise<string> {
  return database.transaction((tx) => tx.store(sagaStorePort).insert(tx, saga))
}

export function advance(
  database: Database,
  id: string,
  owner: SagaOwner,
  revision: number,
  change: Pick<SagaAdvance, 'state' | 'results' | 'output'>,
): Promise<boolean> {
  return database.transaction((tx) => tx.store(sagaStorePort).advance(tx, { id, owner, revision, entry: entryOf(change.state), ...change }))
}

export function enlist(
  database: Database,
  id: string,
  worker: { now: number; expiresAt: number; force: boolean },
): Promise<number | undefined> {
  return database.transaction((tx) => tx.store(sagaStorePort).enlist(tx, { id, ...worker }))
}

export function claim(database: Database, owner: SagaOwner, now: number, limit: number = 100): Promise<SagaRecord[]> {
  return database.transaction((tx) => tx.store(sagaStorePort).claim(tx, owner, TRIP, now, limit))
}
