import type { Transaction } from '@banyan/core'
import {
  isEnough,
  LEASE_SLACK_MS,
  type NewSagaRecord,
  type SagaAdvance,
  type SagaBatch,
  type SagaRecord,
  type SagaStatus,
  type SagaStore,
} from '@banyan/saga/internal'
import { type PostgresDatabase, type PostgresReadTransaction, postgresRead, postgresTransaction } from './postgres-database.ts'
import { advanceRow, advanceValues, jsonRows, startRow, startValues } from './saga-rows.ts'
import { assertNotInside } from './transaction-scope.ts'

/** The running sagas. What many of them write together is one statement, with two JSON parameters. */
export function postgresSagas(database: PostgresDatabase): SagaStore {
  return {
    world: database.world,
    writesAtOnce: 2,
    assertOutside: (action) => assertNotInside(database, action),
    insert,
    advance,
    write: (batch) => write(database, batch),
    claimable,
    claim,
    retire: (tx, before, limit) => retire(database, tx, before, limit),
  }
}

/** A row of `banyan_sagas`. */
export interface SagaRow {
  id: string
  name: string
  version: number
  key: string
  status: SagaStatus
  live: boolean
  step: string | null
  state: string
  input: string
  results: string
  output: string | null
  owner: string | null
  epoch: number
  revision: number
  claims: number
  wake_at: number | null
  channel: string | null
  report: string | null
  traceparent: string | null
  tracestate: string | null
  created_at: number
  updated_at: number
}

export function recordOf(row: SagaRow): SagaRecord {
  const { id, name, version, key, status, state, input, results, revision, claims } = row
  return {
    ...{ id, name, version, key, status, state, input, results, revision, claims },
    parked: !row.live && status === 'waiting',
    step: row.step ?? undefined,
    wakeAt: row.wake_at ?? undefined,
    channel: row.channel ?? undefined,
    report: row.report ?? undefined,
    output: row.output ?? undefined,
    owner: row.owner === null ? undefined : { worker: row.owner, epoch: row.epoch },
    traceparent: row.traceparent ?? undefined,
    tracestate: row.tracestate ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

const START_ALONE = 'select banyan_saga_start_alone($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) as id'
const ADVANCE_ALONE = `select banyan_saga_advance_alone($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
  as moved`
const START = 'select banyan_saga_start($1) as ids'
const ADVANCE = 'select banyan_saga_advance($1, $2, $3) as moved'
const WRITE = 'select banyan_saga_start($1) as ids, banyan_saga_advance($2, $3, $4) as moved'
const CLAIM = 'select * from banyan_saga_claim($1, $2, $3, $4, $5, $6)'

type Run = PostgresReadTransaction['run']

const insert: SagaStore['insert'] = async (tx, saga) => startAlone(postgresTransaction(tx).run, saga)

const advance: SagaStore['advance'] = async (tx, step) => advanceAlone(postgresTransaction(tx).run, step)

async function startAlone(run: Run, saga: NewSagaRecord): Promise<string> {
  const [there] = await run<{ id: string | null }>(START_ALONE, startValues(saga))
  return there?.id ?? saga.id
}

async function advanceAlone(run: Run, step: SagaAdvance): Promise<boolean> {
  const [answer] = await run<{ moved: boolean }>(ADVANCE_ALONE, advanceValues(step))
  return answer?.moved === true
}

async function write({ run }: PostgresDatabase, batch: SagaBatch): ReturnType<SagaStore['write']> {
  const { starts, advances } = batch
  if (starts.length + advances.length > 1) return writeMany(run, batch)
  return {
    ids: await Promise.all(starts.map((saga) => startAlone(run, saga))),
    moved: await Promise.all(advances.map((step) => advanceAlone(run, step))),
  }
}

/** `null`: each of them, as it was meant. */
type Answer = { ids?: string[] | null; moved?: number[] | null }

async function writeMany(run: Run, { starts, advances }: SagaBatch): ReturnType<SagaStore['write']> {
  const started = jsonRows(starts, startRow)
  const advanced = [jsonRows(advances, advanceRow), advances.length, advances.some(isEnough)]
  let answers: Answer[] = []
  if (starts.length === 0) answers = advances.length === 0 ? [] : await run<Answer>(ADVANCE, advanced)
  else answers = await (advances.length === 0 ? run<Answer>(START, [started]) : run<Answer>(WRITE, [started, ...advanced]))
  const { ids, moved } = answers[0] ?? {}
  const numbers = moved ? new Set(moved) : undefined
  return { ids: ids ?? starts.map(({ id }) => id), moved: advances.map((_, n) => numbers?.has(n) ?? true) }
}

const claimable: SagaStore['claimable'] = async (tx, definitions, now) => {
  const [found] = await postgresRead(tx).run(
    `select 1 where exists (select 1 from banyan_saga_workers
        where expires_at > 0 and (expires_at <= $2 or expires_at > $2 + $3 + lease_ms))
      or exists (select 1 from banyan_saga_open($1, $2, 1))`,
    [definitionsJson(definitions), now, LEASE_SLACK_MS],
  )
  return found !== undefined
}

const claim: SagaStore['claim'] = async (tx, { worker, epoch }, definitions, now, limit) => {
  const values = [worker, epoch, definitionsJson(definitions), now, LEASE_SLACK_MS, limit]
  const rows = await postgresTransaction(tx).run<SagaRow>(CLAIM, values)
  return rows.map(recordOf).sort((a, b) => (a.id < b.id ? -1 : 1))
}

/**
 * A start of a key that goes to the archive at this moment must not slip between. Its insert waits for the delete here, and then sees the
 * archive, under READ COMMITTED. A SERIALIZABLE one does not see it; but it wrote where `keys` has read, and did not see what was written
 * where it has read: PostgreSQL refuses it, and it runs again. It watches only transactions that are all SERIALIZABLE: so this one always
 * is. One in REPEATABLE READ is watched by nobody, and probes the archive (`banyan_saga_probe`).
 */
async function retire({ log }: PostgresDatabase, tx: Transaction, before: number, limit: number): Promise<number> {
  // Whatever the database's own is. PostgreSQL takes it as the first statement only.
  await postgresTransaction(tx).run('set transaction isolation level serializable')
  // What the trigger asks for that keeps processes of older versions from losing a history. By an index, however small the archive was when
  // it was planned.
  await tx.sql`select set_config('banyan.archives_history', 'yes', true), set_config('enable_seqscan', 'off', true)`
  const [done] = await tx.sql<{ count: number }>`
    with chosen as materialized (
      select id, name, key from banyan_sagas s where ended_at < ${before}
        and (select a.id from banyan_saga_archive a where a.name = s.name and a.key = s.key) is null
      order by ended_at limit ${limit} for update skip locked
    ), keys as materialized (
      select s.id from chosen c cross join lateral (select id from banyan_sagas s where s.name = c.name and s.key = c.key) s
    ), ended as (
      delete from banyan_sagas where id = any(array(select id from keys)) returning *
    ), unloaded as (
      delete from banyan_saga_history where saga = any(array(select id from keys)) returning *
    ), entries as (
      select * from unloaded union all select id, l.* from ended cross join lateral banyan_saga_lines(history) as l
    ), histories as (
      select saga, json_agg(json_build_object('step', step, 'action', action, 'outcome', outcome, 'attempt', attempt, 'code', code,
        'message', message, 'status', status, 'worker', worker, 'startedAt', started_at, 'at', at) order by revision)::text as history
      from entries group by saga
    ), archived as (
      insert into banyan_saga_archive (id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims,
        report, traceparent, tracestate, created_at, updated_at, history)
      select id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims,
        report, traceparent, tracestate, created_at, updated_at, coalesce(h.history, '[]') from ended left join histories h on saga = id
    ) select count(*) as count from ended`
  const count = done?.count ?? 0
  // The last chunk says it, not each: then there is little to look through.
  const left = count < limit ? await leftBehind(tx, before) : []
  if (left.length > 0)
    tx.afterCommit(() => log.warn({ sagas: left }, 'finished sagas are not archived: their keys are in the archive already'))
  return count
}

/** Ten of the sagas whose key another one has taken to the archive: versions before migration 009 may have started such. */
function leftBehind(tx: Transaction, before: number): Promise<{ saga: string; name: string; key: string }[]> {
  return tx.sql`
    select id as saga, name, key from banyan_sagas s where ended_at < ${before}
      and (select a.id from banyan_saga_archive a where a.name = s.name and a.key = s.key) is not null
    order by ended_at limit 10`
}

function definitionsJson(definitions: Parameters<SagaStore['claimable']>[1]): string {
  return JSON.stringify(definitions.map(({ name, version }) => ({ name, version })))
}
