import {
  LEASE_SLACK_MS,
  type NewSagaRecord,
  type SagaAdvance,
  type SagaRecord,
  type SagaStanding,
  type SagaStatus,
  type SagaStore,
} from '@banyan/saga/internal'
import { type PostgresDatabase, postgresRead, postgresTransaction } from './postgres-database.ts'
import { jsonRows } from './saga-rows.ts'

/** The running sagas. What many of them write together is one statement, with two JSON parameters. */
export function postgresSagas(database: PostgresDatabase): SagaStore {
  return { world: database.world, writesAtOnce: 2, insert, advance, write: (batch) => write(database, batch), claimable, claim, retire }
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

/** Whether a worker should have it. */
export function isLive({ status, parked }: SagaStanding): boolean {
  return !parked && (status === 'running' || status === 'undoing' || status === 'waiting')
}

const START = 'select banyan_saga_start($1) as ids'
const ADVANCE = 'select banyan_saga_advance($1) as moved'
const WRITE = 'select banyan_saga_start($1) as ids, banyan_saga_advance($2) as moved'
const CLAIM = 'select * from banyan_saga_claim($1, $2, $3, $4, $5, $6)'

/** `null`: each of them, as it was meant. */
type Answer = { ids?: string[] | null; moved?: number[] | null }

const insert: SagaStore['insert'] = async (tx, saga) => {
  const [answer] = await postgresTransaction(tx).run<Answer>(START, [jsonRows([saga], startRow)])
  return answer?.ids?.[0] ?? saga.id
}

const advance: SagaStore['advance'] = async (tx, step) => {
  const [answer] = await postgresTransaction(tx).run<Answer>(ADVANCE, [jsonRows([step], advanceRow)])
  return answer?.moved === null
}

async function write(database: PostgresDatabase, { starts, advances }: Parameters<SagaStore['write']>[0]) {
  const [started, advanced] = [jsonRows(starts, startRow), jsonRows(advances, advanceRow)]
  let answers: Answer[] = []
  if (starts.length === 0) answers = advances.length === 0 ? [] : await database.run<Answer>(ADVANCE, [advanced])
  else answers = await (advances.length === 0 ? database.run<Answer>(START, [started]) : database.run<Answer>(WRITE, [started, advanced]))
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
 * A start of a key that goes to the archive at this moment must not slip between. Its insert waits for the delete here, and then
 * sees the archive, under READ COMMITTED. A SERIALIZABLE one does not see it; but it wrote where `keys` has read, and did not see
 * what was written where it has read: PostgreSQL refuses it, and it runs again.
 */
const retire: SagaStore['retire'] = async (tx, before, limit) => {
  const [done] = await tx.sql<{ count: number }>`
    with chosen as materialized (
      select id, name, key from banyan_sagas where ended_at < ${before} order by ended_at limit ${limit} for update skip locked
    ), keys as materialized (
      select s.id from chosen c cross join lateral (select id from banyan_sagas s where s.name = c.name and s.key = c.key) s
    ), ended as (
      delete from banyan_sagas where id = any(array(select id from keys)) returning *
    ), entries as (
      delete from banyan_saga_history where saga = any(array(select id from keys)) returning *
    ), histories as (
      select saga, json_agg(json_build_object('step', step, 'action', action, 'outcome', outcome, 'attempt', attempt, 'code', code,
        'message', message, 'status', status, 'worker', worker, 'startedAt', started_at, 'at', at) order by revision)::text as history
      from entries group by saga
    ), archived as (
      insert into banyan_saga_archive (id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims,
        report, traceparent, tracestate, created_at, updated_at, history)
      select id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims,
        report, traceparent, tracestate, created_at, updated_at, coalesce(history, '[]') from ended left join histories on saga = id
    ) select count(*) as count from ended`
  return done?.count ?? 0
}

function definitionsJson(definitions: Parameters<SagaStore['claimable']>[1]): string {
  return JSON.stringify(definitions.map(({ name, version }) => ({ name, version })))
}

function startRow(saga: NewSagaRecord, n: number): object {
  const { id, name, version, key, status, step, state, input, owner, wakeAt, channel, report, traceparent, tracestate, createdAt } = saga
  return {
    ...{ n, id, name, version, key, status, live: isLive(saga), step, state, input, owner: owner?.worker, epoch: owner?.epoch ?? 0 },
    ...{ wake_at: wakeAt, channel, report, traceparent, tracestate, at: createdAt },
  }
}

function advanceRow(move: SagaAdvance, n: number): object {
  const { id, owner, revision, status, parked, step, state, results, output, input, version, wakeAt, channel, entry } = move
  const { step: did, action, outcome, attempt, code, message, worker, startedAt, at } = entry
  return {
    ...{
      n,
      id,
      owner: owner.worker,
      epoch: owner.epoch,
      revision,
      status,
      live: isLive(move),
      parked,
      step,
      state,
      results,
      output,
      input,
    },
    ...{ version, wake_at: wakeAt, channel, did, action, outcome, attempt, code, message, worker, started_at: startedAt, at },
  }
}
