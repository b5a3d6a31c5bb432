import type { Database } from '@banyan/core'
import {
  type DefinitionName,
  type NewSagaRecord,
  type SagaAdvance,
  type SagaHistoryEntry,
  type SagaOwner,
  type SagaRecord,
  type SagaStanding,
  sagaArchivePort,
  sagaStorePort,
  sagaWorkersPort,
} from '@banyan/saga/internal'

export const TRIP: readonly DefinitionName[] = [{ name: 'trip', version: 1 }]

/** Live, at a step. */
export function running(step: string): SagaStanding {
  return { status: 'running', parked: false, step, wakeAt: undefined, channel: undefined, state: `"at ${step}"` }
}

/** In nobody's memory. */
export function parked(more: Partial<SagaStanding> = {}): SagaStanding {
  return { ...running('b'), status: 'waiting', parked: true, ...more }
}

/** With a person, or at its end. */
export function resting(status: 'stuck' | 'completed' | 'compensated'): SagaStanding {
  return { ...running('b'), status, step: status === 'stuck' ? 'b' : undefined }
}

/** A saga at its start that nobody owns. */
export function newSaga(id: string, more: Partial<NewSagaRecord> = {}): NewSagaRecord {
  return {
    id,
    name: 'trip',
    version: 1,
    key: `key of ${id}`,
    ...running('a'),
    input: '{"guests":2}',
    owner: undefined,
    report: undefined,
    traceparent: undefined,
    tracestate: undefined,
    createdAt: 1,
    ...more,
  }
}

export function entryOf({ status }: Pick<SagaStanding, 'status'>): SagaHistoryEntry {
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
  change: SagaStanding & Pick<SagaAdvance, 'results' | 'output' | 'input' | 'version'>,
): Promise<boolean> {
  return database.transaction((tx) => tx.store(sagaStorePort).advance(tx, { id, owner, revision, entry: entryOf(change), ...change }))
}

export function find(database: Database, id: string): Promise<SagaRecord | undefined> {
  return database.read((tx) => database.store(sagaArchivePort).find(tx, id))
}

export function history(database: Database, id: string): Promise<SagaHistoryEntry[]> {
  return database.read((tx) => database.store(sagaArchivePort).history(tx, id))
}

export function enlist(
  database: Database,
  id: string,
  worker: { now: number; leaseMs: number; force: boolean },
): Promise<number | undefined> {
  return database.transaction((tx) => tx.store(sagaWorkersPort).enlist(tx, { id, ...worker }))
}

export function claim(database: Database, owner: SagaOwner, now: number, limit: number = 100): Promise<SagaRecord[]> {
  return database.transaction((tx) => tx.store(sagaStorePort).claim(tx, owner, TRIP, now, limit))
}
