import { silentLogger } from '@banyan/core'
import {
  type NewSagaRecord,
  type SagaAdvance,
  type SagaStanding,
  sagaArchivePort,
  sagaStorePort,
  sagaWorkersPort,
} from '@banyan/saga/internal'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase } from './database.ts'
import { postgres } from './index.ts'
import { banyanMigrations } from './migrations.ts'
import type { PostgresDatabase } from './postgres-database.ts'

// How a saga's history lies in the database, and that nothing of it is lost between the ways of two versions.

const ME = { worker: 'orders/0', epoch: 1 }

let place: TestDatabase
let opened: PostgresDatabase[]
beforeEach(async () => {
  place = await testPostgres()
  opened = []
})
afterEach(async () => {
  await Promise.all(opened.map((one) => one.close()))
  await place.drop()
})

function kept(database: PostgresDatabase): PostgresDatabase {
  opened.push(database)
  return database
}

const open = () => kept(postgres(place.url, { log: silentLogger, maxConnections: 2 }))

/** As a process of the version before does. */
function openBefore(): PostgresDatabase {
  const before = banyanMigrations.slice(
    0,
    banyanMigrations.findIndex(({ id }) => id === 'banyan-008-saga-rows'),
  )
  return kept(openDatabase(place.url, { log: silentLogger }, { migrations: before, stores: [] }))
}

function standing(status: 'running' | 'completed'): SagaStanding {
  return { status, parked: false, step: status === 'running' ? 'b' : undefined, wakeAt: undefined, channel: undefined, state: '{}' }
}

function started(id: string): NewSagaRecord {
  const none = { report: undefined, traceparent: undefined, tracestate: undefined }
  return { id, name: 'trip', version: 1, key: id, ...standing('running'), input: '{}', owner: ME, ...none, createdAt: 1 }
}

function attempt(
  id: string,
  revision: number,
  { status = 'running', message }: { status?: 'running' | 'completed'; message?: string } = {},
): SagaAdvance {
  const entry = { step: 'a', action: 'do', outcome: 'failed', attempt: revision + 1, code: 'ERR_X', message, status } as const
  return { ...standing(status), id, owner: ME, revision, entry: { ...entry, worker: ME.worker, startedAt: 4, at: 5 } }
}

const start = (database: PostgresDatabase, ...ids: string[]) =>
  database.store(sagaStorePort).write({ starts: ids.map(started), advances: [] })
const move = async (database: PostgresDatabase, ...advances: SagaAdvance[]) =>
  (await database.store(sagaStorePort).write({ starts: [], advances })).moved
const retire = (database: PostgresDatabase) => database.transaction((tx) => tx.store(sagaStorePort).retire(tx, 6, 10))
const history = (database: PostgresDatabase, id: string) => database.read((tx) => database.store(sagaArchivePort).history(tx, id))
const attempts = async (database: PostgresDatabase, id: string) => (await history(database, id)).map((entry) => entry.attempt)

async function sizesInRows(database: PostgresDatabase): Promise<number[]> {
  const rows = await database.run<{ size: number }>('select length(history) as size from banyan_sagas order by id')
  return rows.map(({ size }) => size)
}

/** A start, in the words of the version before. */
async function startBefore(database: PostgresDatabase, id: string): Promise<void> {
  const { name, version, key, status, step, state, input } = started(id)
  const row = { n: 0, id, name, version, key, status, live: true, step, state, input, owner: ME.worker, epoch: ME.epoch, at: 1 }
  await database.run('select banyan_saga_start($1) as ids', [JSON.stringify([row])])
}

/** An attempt, in the words of the version before. */
async function moveBefore(database: PostgresDatabase, id: string, revision: number, status = 'running'): Promise<boolean> {
  const { worker, epoch } = ME
  const row = { n: 0, id, owner: worker, epoch, revision, status, live: status === 'running', parked: false, step: 'b', state: '{}' }
  const entry = { did: 'a', action: 'do', outcome: 'failed', attempt: revision + 1, code: 'ERR_X', worker, started_at: 4, at: 5 }
  const [answer] = await database.run<{ moved: unknown }>('select banyan_saga_advance($1) as moved', [
    JSON.stringify([{ ...row, ...entry }]),
  ])
  return answer?.moved === null
}

/** Archiving, in the words of the version before. */
async function retireBefore(database: PostgresDatabase, id: string): Promise<void> {
  await database.run(
    `with ended as (delete from banyan_sagas where id = $1 returning *),
      entries as (delete from banyan_saga_history where saga = $1 returning *)
      insert into banyan_saga_archive (id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims,
        report, traceparent, tracestate, created_at, updated_at, history)
      select id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims, report, traceparent, tracestate,
        created_at, updated_at, '[]' from ended`,
    [id],
  )
}

describe.each([
  ['by itself', ['s1']],
  ['in a batch', ['s1', 's2', 's3']],
] as const)('a step %s', (_, ids) => {
  it('does not write a long history again: what is beyond some lines has left the row', async () => {
    const database = open()
    await start(database, ...ids)
    for (let revision = 0; revision < 100; revision += 1) {
      expect(await move(database, ...ids.map((id) => attempt(id, revision)))).toEqual(ids.map(() => true))
      for (const size of await sizesInRows(database)) expect(size).toBeLessThan(2_000)
    }
    for (const id of ids) expect(await attempts(database, id)).toEqual(Array.from({ length: 100 }, (_, n) => n + 1))
  })

  it('nor that of a saga which is parked and taken up again and again', async () => {
    const database = open()
    await database.transaction((tx) => tx.store(sagaWorkersPort).enlist(tx, { id: ME.worker, now: 0, leaseMs: 1_000, force: false }))
    await start(database, ...ids)
    for (let revision = 0; revision < 100; revision += 2) {
      await move(database, ...ids.map((id) => ({ ...attempt(id, revision), status: 'waiting', parked: true, wakeAt: 1 }) as const))
      await database.transaction((tx) => tx.store(sagaStorePort).claim(tx, ME, [{ name: 'trip', version: 1 }], 1, 10))
      for (const size of await sizesInRows(database)) expect(size).toBeLessThan(2_000)
    }
    for (const id of ids) expect(await attempts(database, id)).toEqual(Array.from({ length: 50 }, (_, n) => 2 * n + 1))
  })

  it('keeps every character of a message that PostgreSQL can store, in the row, in the table and in the archive', async () => {
    const database = open()
    const message = 'a\u0000b \ud800 "c" \\ \\u0000 \u{1f333}\n,[],'
    await start(database, ...ids)
    for (let revision = 0; revision < 20; revision += 1) await move(database, ...ids.map((id) => attempt(id, revision, { message })))
    await move(database, ...ids.map((id) => attempt(id, 20, { message, status: 'completed' })))
    const messages = async () => {
      const all = await Promise.all(ids.map((id) => history(database, id)))
      return [...new Set(all.flat().map((entry) => entry.message))]
    }
    const shown = 'a\ufffdb \ufffd "c" \\ \\u0000 \u{1f333}\n,[],'
    expect(await messages()).toEqual([shown])
    expect(await retire(database)).toBe(ids.length)
    expect(await messages()).toEqual([shown])
    expect(await attempts(database, 's1')).toHaveLength(21)
  })
})

it('of a batch those are said to have moved that it moved, and no others', async () => {
  const database = open()
  await start(database, 's1', 's2', 's3')
  await move(database, attempt('s1', 0), attempt('s2', 0))
  // The first has been written before, as where an answer was lost; the last is not there.
  const again = [attempt('s1', 0), attempt('s3', 0), attempt('s2', 1), attempt('s4', 0)]
  expect(await move(database, ...again)).toEqual([false, true, true, false])
  expect(await move(database, attempt('s1', 0), attempt('s4', 0))).toEqual([false, false])
  expect([await attempts(database, 's1'), await attempts(database, 's2'), await attempts(database, 's3')]).toEqual([[1], [1, 2], [1]])
  // Also where it unloads.
  for (let revision = 1; revision < 15; revision += 1) await move(database, attempt('s1', revision))
  expect(await move(database, attempt('s1', 15), attempt('s3', 0), attempt('s2', 2))).toEqual([true, false, true])
  const [first, second] = await sizesInRows(database)
  expect([first, second]).toEqual([0, expect.any(Number)])
  expect(second).toBeGreaterThan(0)
  expect(await attempts(database, 's1')).toEqual(Array.from({ length: 16 }, (_, n) => n + 1))
})

describe('a database of the version before', () => {
  it('is opened with its sagas, their history and the archive, and they go on', async () => {
    const old = openBefore()
    for (const id of ['s1', 's2', 's3']) await startBefore(old, id)
    await moveBefore(old, 's1', 0)
    await moveBefore(old, 's2', 0, 'completed')
    await moveBefore(old, 's3', 0, 'completed')
    await retireBefore(old, 's3')
    const database = open()
    expect(await move(database, attempt('s1', 1))).toEqual([true])
    expect([await attempts(database, 's1'), await attempts(database, 's2'), await attempts(database, 's3')]).toEqual([[1, 2], [1], []])
    expect(await retire(database)).toBe(1)
    expect(await attempts(database, 's2')).toEqual([1])
    const { ids } = await database.store(sagaStorePort).write({ starts: [started('s4'), { ...started('s5'), key: 's3' }], advances: [] })
    expect(ids).toEqual(['s4', 's3'])
  })

  it('serves a process that still runs that version, in turns with this one', async () => {
    const old = openBefore()
    await startBefore(old, 's1')
    expect(await moveBefore(old, 's1', 0)).toBe(true)
    const database = open()
    expect(await move(database, attempt('s1', 1))).toEqual([true])
    expect(await moveBefore(old, 's1', 2)).toBe(true)
    expect(await move(database, attempt('s1', 3, { status: 'completed' }))).toEqual([true])
    expect(await attempts(database, 's1')).toEqual([1, 2, 3, 4])
    // It would lose what it does not know of: it is refused, and this version archives it all.
    await expect(retireBefore(old, 's1')).rejects.toThrow('a process of a newer version archives it')
    expect(await retire(database)).toBe(1)
    expect(await attempts(database, 's1')).toEqual([1, 2, 3, 4])
    // The leave it took was its own transaction's.
    await startBefore(old, 's2')
    await move(database, attempt('s2', 0, { status: 'completed' }))
    await expect(retireBefore(database, 's2')).rejects.toThrow('a process of a newer version archives it')
  })
})
