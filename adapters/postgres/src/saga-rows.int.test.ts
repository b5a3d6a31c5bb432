import { silentLogger } from '@banyan/core'
import type { NewSagaRecord, SagaAdvance } from '@banyan/saga/internal'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import { afterEach, beforeEach } from 'vitest'
import { sagaRowsSuite } from '../../../packages/saga/src/test/rows-suite.ts'
import { openDatabase } from './database.ts'
import { postgres } from './index.ts'
import { banyanMigrations } from './migrations.ts'
import type { PostgresDatabase } from './postgres-database.ts'

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

// One connection, so that what one call leaves on it the next one meets.
const OPTIONS = { log: silentLogger, maxConnections: 1 }

function openBefore(): PostgresDatabase {
  const before = banyanMigrations.findIndex(({ id }) => id === 'banyan-008-saga-rows')
  return kept(openDatabase(place.url, OPTIONS, { migrations: banyanMigrations.slice(0, before), stores: [] }))
}

async function startBefore(database: PostgresDatabase, saga: NewSagaRecord): Promise<void> {
  const { id, name, version, key, status, step, state, input, owner, createdAt: at } = saga
  const row = { n: 0, id, name, version, key, status, live: true, step, state, input, owner: owner?.worker, epoch: owner?.epoch, at }
  await database.run('select banyan_saga_start($1) as ids', [JSON.stringify([row])])
}

async function moveBefore(database: PostgresDatabase, { id, owner, revision, status, step, state, entry }: SagaAdvance): Promise<void> {
  const { step: did, startedAt, ...rest } = entry
  const row = { n: 0, ...rest, id, owner: owner.worker, epoch: owner.epoch, revision, status, live: status === 'running', parked: false }
  const text = JSON.stringify([{ ...row, step, state, did, started_at: startedAt }])
  const [answer] = await database.run<{ moved: unknown }>('select banyan_saga_advance($1) as moved', [text])
  if (answer?.moved !== null) throw new Error(`saga "${id}" did not move`)
}

async function retireBefore(database: PostgresDatabase, id: string): Promise<void> {
  try {
    await moveToArchive(database, id)
  } catch (error) {
    // The server refuses first and rolls back then: the next answer on this connection comes when the row is free.
    await database.run('select 1')
    throw error
  }
}

async function moveToArchive(database: PostgresDatabase, id: string): Promise<void> {
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

async function claimBefore(database: PostgresDatabase): Promise<void> {
  await database.transaction((tx) => tx.sql`select * from banyan_saga_claim('orders/1', 1, '[{"name":"trip","version":1}]', 1, 1, 10)`)
}

sagaRowsSuite({
  open: () => kept(postgres(place.url, OPTIONS)),
  openBefore,
  before: { start: startBefore, move: moveBefore, retire: retireBefore, claim: claimBefore },
  // What PostgreSQL has no place for.
  shown: (message) => message.replaceAll('\0', '\ufffd').toWellFormed(),
})
