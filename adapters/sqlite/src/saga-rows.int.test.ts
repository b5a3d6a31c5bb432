import { statSync } from 'node:fs'
import { type NewSagaRecord, type SagaAdvance, sagaStorePort } from '@banyan/saga/internal'
import { expect, it } from 'vitest'
import { attempt, sagaRowsSuite, started } from '../../../packages/saga/src/test/rows-suite.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { versionsAround } from './test/versions.ts'

const PAGE = 4_096
const FRAME = PAGE + 24
const { file, open, openBefore } = versionsAround('banyan-008-saga-rows')

it.each([
  ['nothing to speak of', 2],
  ['3 KB', 3_000],
])('a step writes one page, and its commit nothing else, with an input of %s', async (_, size) => {
  const database = open()
  const store = database.store(sagaStorePort)
  await store.write({ starts: [started('s1', `"${'x'.repeat(size)}"`)], advances: [] })
  const move = (revision: number) => store.write({ starts: [], advances: [attempt('s1', revision)] })
  await move(0)
  const frames = () => (statSync(`${file()}-wal`).size - 32) / FRAME
  const from = frames()
  await move(1)
  expect(frames() - from).toBe(1)
})

async function startBefore(database: SqliteDatabase, saga: NewSagaRecord): Promise<void> {
  await database.transaction((tx) => tx.store(sagaStorePort).insert(tx, saga))
}

function moveBefore(database: SqliteDatabase, { id, revision, status, step, entry }: SagaAdvance): Promise<void> {
  const { action, outcome, attempt: number, code = null, worker, startedAt, at } = entry
  return database.transaction(async (tx) => {
    await tx.sql`
      update banyan_sagas set status = ${status}, live = ${Number(status === 'running')}, step = ${step ?? null}, revision = revision + 1,
        updated_at = ${at}
      where id = ${id} and revision = ${revision}`
    await tx.sql`
      insert into banyan_saga_history (saga, revision, step, action, outcome, attempt, code, message, status, worker, started_at, at)
      values (${id}, ${revision + 1}, ${entry.step}, ${action}, ${outcome}, ${number}, ${code}, null, ${status}, ${worker}, ${startedAt}, ${at})`
  })
}

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

async function claimBefore(database: SqliteDatabase): Promise<void> {
  await database.transaction((tx) =>
    tx.store(sagaStorePort).claim(tx, { worker: 'orders/1', epoch: 1 }, [{ name: 'trip', version: 1 }], 1, 10),
  )
}

sagaRowsSuite({
  open,
  openBefore,
  before: { start: startBefore, move: moveBefore, retire: retireBefore, claim: claimBefore },
  shown: (message) => message.toWellFormed(),
})
