import { statSync } from 'node:fs'
import {
  type NewSagaRecord,
  type SagaAdvance,
  type SagaStanding,
  sagaArchivePort,
  sagaStorePort,
  sagaWorkersPort,
} from '@banyan/saga/internal'
import { describe, expect, it } from 'vitest'
import type { SqliteDatabase } from './sqlite-database.ts'
import { versionsAround } from './test/versions.ts'

// How sagas lie in the file: what a step writes, and that nothing is lost between the ways of two versions.

const ME = { worker: 'orders/0', epoch: 1 }
const PAGE = 4_096
const FRAME = PAGE + 24
const { file, open, openBefore } = versionsAround('banyan-008-saga-rows')

function standing(status: 'running' | 'completed'): SagaStanding {
  return { status, parked: false, step: status === 'running' ? 'b' : undefined, wakeAt: undefined, channel: undefined, state: '{}' }
}

function started(id: string, input = '{}'): NewSagaRecord {
  const none = { report: undefined, traceparent: undefined, tracestate: undefined }
  return { id, name: 'trip', version: 1, key: id, ...standing('running'), input, owner: ME, ...none, createdAt: 1 }
}

function attempt(
  id: string,
  revision: number,
  { status = 'running', message }: { status?: 'running' | 'completed'; message?: string } = {},
): SagaAdvance {
  const entry = { step: 'a', action: 'do', outcome: 'failed', attempt: revision + 1, code: 'ERR_X', message, status } as const
  return { ...standing(status), id, owner: ME, revision, entry: { ...entry, worker: ME.worker, startedAt: 4, at: 5 } }
}

const start = (database: SqliteDatabase, saga: NewSagaRecord) => database.transaction((tx) => tx.store(sagaStorePort).insert(tx, saga))
const move = (database: SqliteDatabase, step: SagaAdvance) => database.transaction((tx) => tx.store(sagaStorePort).advance(tx, step))
const retire = (database: SqliteDatabase) => database.transaction((tx) => tx.store(sagaStorePort).retire(tx, 6, 10))
const find = (database: SqliteDatabase, id: string) => database.read((tx) => database.store(sagaArchivePort).find(tx, id))
const history = (database: SqliteDatabase, id: string) => database.read((tx) => database.store(sagaArchivePort).history(tx, id))
const attempts = async (database: SqliteDatabase, id: string) => (await history(database, id)).map((entry) => entry.attempt)

async function sizeInRow(database: SqliteDatabase): Promise<number | undefined> {
  const [row] = await database.read((tx) => tx.sql<{ size: number }>`select length(history) as size from banyan_sagas`)
  return row?.size
}

/** An attempt, in the words of the version before. */
function moveBefore(database: SqliteDatabase, id: string, revision: number): Promise<void> {
  return database.transaction(async (tx) => {
    await tx.sql`update banyan_sagas set revision = revision + 1, updated_at = 5 where id = ${id} and revision = ${revision}`
    await tx.sql`
      insert into banyan_saga_history (saga, revision, step, action, outcome, attempt, code, message, status, worker, started_at, at)
      values (${id}, ${revision + 1}, 'a', 'do', 'failed', ${revision + 1}, 'ERR_X', null, 'running', ${ME.worker}, 4, 5)`
  })
}

/** Archiving, in the words of the version before. */
function retireBefore(database: SqliteDatabase, id: string): Promise<void> {
  return database.transaction(async (tx) => {
    await tx.sql`
      insert into banyan_saga_archive (id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims, report,
        traceparent, tracestate, created_at, updated_at, history)
      select id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims, report, traceparent, tracestate,
        created_at, updated_at, '[]'
      from banyan_sagas where id = ${id}`
    await tx.sql`delete from banyan_saga_history where saga = ${id}`
    await tx.sql`delete from banyan_sagas where id = ${id}`
  })
}

describe('a step', () => {
  it.each([
    ['nothing to speak of', 2],
    ['3 KB', 3_000],
  ])('writes one page, and its commit nothing else, with an input of %s', async (_, size) => {
    const database = open()
    await start(database, started('s1', `"${'x'.repeat(size)}"`))
    await move(database, attempt('s1', 0))
    const frames = () => (statSync(`${file()}-wal`).size - 32) / FRAME
    const from = frames()
    await move(database, attempt('s1', 1))
    expect(frames() - from).toBe(1)
  })

  it('does not write a long history again: what is beyond some lines has left the row', async () => {
    const database = open()
    await start(database, started('s1'))
    for (let revision = 0; revision < 200; revision += 1) {
      await move(database, attempt('s1', revision))
      expect(await sizeInRow(database)).toBeLessThan(2_000)
    }
    expect(await attempts(database, 's1')).toEqual(Array.from({ length: 200 }, (_, n) => n + 1))
  })

  it('nor that of a saga which is parked and taken up again and again', async () => {
    const database = open()
    await database.transaction((tx) => tx.store(sagaWorkersPort).enlist(tx, { id: ME.worker, now: 0, leaseMs: 1_000, force: false }))
    await start(database, started('s1'))
    for (let revision = 0; revision < 200; revision += 2) {
      await move(database, { ...attempt('s1', revision), status: 'waiting', parked: true, wakeAt: 1 })
      await database.transaction((tx) => tx.store(sagaStorePort).claim(tx, ME, [{ name: 'trip', version: 1 }], 1, 1))
      expect(await sizeInRow(database)).toBeLessThan(2_000)
    }
    expect(await attempts(database, 's1')).toEqual(Array.from({ length: 100 }, (_, n) => 2 * n + 1))
  })

  it('keeps every character of a message, in the row, in the table and in the archive', async () => {
    const database = open()
    const message = 'a\u0000b "c" \\ \u{1f333}\n,[],'
    await start(database, started('s1'))
    for (let revision = 0; revision < 20; revision += 1) await move(database, attempt('s1', revision, { message }))
    await move(database, attempt('s1', 20, { message, status: 'completed' }))
    const messages = async () => [...new Set((await history(database, 's1')).map((entry) => entry.message))]
    expect(await messages()).toEqual([message])
    expect(await retire(database)).toBe(1)
    expect(await messages()).toEqual([message])
  })
})

describe('a file of the version before', () => {
  it('is opened with its sagas, their history and the archive, and they go on', async () => {
    const old = openBefore()
    for (const id of ['s1', 's2', 's3']) await start(old, started(id, '{"guests":2}'))
    await moveBefore(old, 's1', 0)
    await moveBefore(old, 's2', 0)
    await old.transaction((tx) => tx.sql`update banyan_sagas set status = 'completed', live = 0, step = null where id in ('s2', 's3')`)
    await retireBefore(old, 's3')
    const rows = [await find(old, 's1'), await find(old, 's2'), await find(old, 's3')]
    await old.close()
    const database = open()
    expect([await find(database, 's1'), await find(database, 's2'), await find(database, 's3')]).toEqual(rows)
    expect(await move(database, attempt('s1', 1))).toBe(true)
    expect([await attempts(database, 's1'), await attempts(database, 's2'), await attempts(database, 's3')]).toEqual([[1, 2], [1], []])
    expect(await retire(database)).toBe(1)
    expect([await attempts(database, 's2'), await find(database, 's2')]).toEqual([[1], rows[1]])
    expect(await start(database, started('s4', '{}'))).toBe('s4')
    expect(await start(database, { ...started('s5'), key: 's3' })).toBe('s3')
  })

  it('serves a process that still runs that version, in turns with this one', async () => {
    const old = openBefore()
    await start(old, started('s1'))
    await moveBefore(old, 's1', 0)
    const database = open()
    await move(database, attempt('s1', 1))
    await moveBefore(old, 's1', 2)
    await move(database, attempt('s1', 3, { status: 'completed' }))
    expect(await attempts(database, 's1')).toEqual([1, 2, 3, 4])
    // It would lose what it does not know of: it is refused, and this version archives it all.
    await expect(retireBefore(old, 's1')).rejects.toThrow('a process of a newer version archives it')
    expect(await retire(database)).toBe(1)
    expect(await attempts(database, 's1')).toEqual([1, 2, 3, 4])
  })
})
