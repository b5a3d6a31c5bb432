import { silentLogger } from '@banyan/core'
import { type NewSagaRecord, type SagaAdvance, type SagaStatus, sagaStorePort, sagaWorkersPort } from '@banyan/saga/internal'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { postgres } from './index.ts'
import type { PostgresDatabase } from './postgres-database.ts'

// What sagas cost the server, as it counts itself.

const A = { worker: 'a', epoch: 1 }
const TRIP = [{ name: 'trip', version: 1 }]
const STANDING = { parked: false, step: 'a', wakeAt: undefined, channel: undefined, state: '"here"' } as const

let place: TestDatabase
let database: PostgresDatabase
beforeEach(async () => {
  place = await testPostgres()
  database = postgres(place.url, { log: silentLogger, maxConnections: 1 })
})
afterEach(async () => {
  await database.close()
  await place.drop()
})

function newSaga(id: string): NewSagaRecord {
  const none = { report: undefined, traceparent: undefined, tracestate: undefined }
  return { id, name: 'trip', version: 1, key: id, input: '1', owner: A, createdAt: 1, status: 'running', ...STANDING, ...none }
}

function moveTo(status: SagaStatus, id: string, revision: number): SagaAdvance {
  const entry = { step: 'a', action: 'do', outcome: 'done', attempt: 1, code: undefined, message: undefined, worker: 'a' } as const
  return { id, owner: A, revision, status, ...STANDING, entry: { ...entry, status, startedAt: 1, at: revision } }
}

/** A start, three steps and an end of many sagas, all of a kind in one write. */
async function live(ids: readonly string[]): Promise<void> {
  const store = database.store(sagaStorePort)
  await store.write({ starts: ids.map(newSaga), advances: [] })
  for (const [revision, status] of (['running', 'running', 'running', 'completed'] as const).entries()) {
    const { moved } = await store.write({ starts: [], advances: ids.map((id) => moveTo(status, id, revision)) })
    expect(moved).toEqual(ids.map(() => true))
  }
}

const idsOf = (prefix: string, length: number) => Array.from({ length }, (_, n) => `${prefix}${String(n).padStart(6, '0')}`)

/** The server's counts of a table. It brings them up to date now and then. */
async function counts(table: string) {
  const [row] = await database.run<{ updates: number; hot: number; scans: number }>(
    `select n_tup_upd as updates, n_tup_hot_upd as hot, seq_scan as scans from pg_stat_user_tables where relname = '${table}'`,
  )
  return row ?? { updates: 0, hot: 0, scans: 0 }
}

it('a step stays in its page and touches no index; only the end does', async () => {
  await live(idsOf('s', 50))
  await vi.waitFor(async () => expect(await counts('banyan_sagas')).toMatchObject({ updates: 200 }), { timeout: 20_000, interval: 100 })
  const { hot } = await counts('banyan_sagas')
  // Some move all the same: a page is tidied only when nobody else looks at it. Were what a step changes in an index, all would.
  expect(hot).toBeGreaterThan(75)
  expect(hot).toBeLessThanOrEqual(150)
})

it('a batch of starts and advances is one commit', async () => {
  const commits = async () => {
    const [row] = await database.run<{ n: number }>('select xact_commit as n from pg_stat_database where datname = current_database()')
    return row?.n ?? 0
  }
  await database.run('select 1')
  // What is counted of a connection is told at its end.
  await database.close()
  database = postgres(place.url, { log: silentLogger, maxConnections: 1 })
  const before = await commits()
  await live(idsOf('s', 30))
  await database.close()
  database = postgres(place.url, { log: silentLogger, maxConnections: 1 })
  await vi.waitFor(async () => expect(await commits()).toBeGreaterThanOrEqual(before + 5), { timeout: 20_000, interval: 100 })
  // Five writes; the two counts themselves and what opens the database each time are few, and not one for each saga.
  expect(await commits()).toBeLessThan(before + 25)
})

it('goes by indexes also with plans that were made while the tables were empty', { timeout: 60_000 }, async () => {
  const store = database.store(sagaStorePort)
  await database.transaction((tx) => tx.store(sagaWorkersPort).enlist(tx, { id: 'a', now: 0, leaseMs: 1_000, force: true }))
  const look = () => database.read((tx) => store.claimable(tx, TRIP, 1))
  const claim = () => database.transaction((tx) => store.claim(tx, A, TRIP, 1, 10))
  for (let round = 0; round < 8; round += 1) {
    await live([`early ${round}`])
    await live([`early ${round}a`, `early ${round}b`])
    expect([await look(), await claim()]).toEqual([false, []])
  }
  await live(idsOf('many', 5_000))
  await vi.waitFor(async () => expect((await counts('banyan_sagas')).updates).toBe(4 * 5_024), { timeout: 20_000, interval: 100 })
  const { scans } = await counts('banyan_sagas')
  await live(idsOf('late', 100))
  await live(['late'])
  await store.write({ starts: [{ ...newSaga('open'), owner: undefined }], advances: [] })
  expect(await look()).toBe(true)
  expect(await claim()).toMatchObject([{ id: 'open' }])
  await vi.waitFor(async () => expect((await counts('banyan_sagas')).updates).toBe(4 * 5_125 + 1), { timeout: 20_000, interval: 100 })
  expect((await counts('banyan_sagas')).scans).toBe(scans)
})
