import type { ReadTransaction, Transaction } from '@banyan/core'
import {
  type DefinitionName,
  isEnough,
  LEASE_SLACK_MS,
  lineOf,
  type NewSagaRecord,
  type SagaAdvance,
  type SagaRecord,
  type SagaStanding,
  type SagaStatus,
  type SagaStore,
} from '@banyan/saga/internal'
import type { Statements } from './connection.ts'
import { unload } from './saga-history.ts'
import { type SqliteDatabase, sqliteTransaction } from './sqlite-database.ts'
import { assertNotInside } from './transaction-scope.ts'

/** The running sagas. SQLite's single writer keeps two claims, and a start and its archiving, from overlapping. */
export function sqliteSagas(database: SqliteDatabase): SagaStore {
  const { world } = database
  const assertOutside = (action: string) => assertNotInside(database, action)
  return { world, writesAtOnce: 1, assertOutside, insert, advance, write: (batch) => write(database, batch), claimable, claim, retire }
}

/** A row of `banyan_sagas`. */
export interface SagaRow {
  id: string
  name: string
  version: number
  key: string
  status: string
  live: number
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
  const { id, name, version, key, state, input, results, revision, claims } = row
  return {
    ...{ id, name, version, key, state, input, results, revision, claims },
    // The column is written from a status alone, and checked.
    status: row.status as SagaStatus,
    parked: row.live === 0 && row.status === 'waiting',
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

/** 1 while a worker should have it. */
export function liveOf({ status, parked }: SagaStanding): 0 | 1 {
  return !parked && (status === 'running' || status === 'undoing' || status === 'waiting') ? 1 : 0
}

const insert: SagaStore['insert'] = async (tx, saga) => sqliteTransaction(tx).atOnce((statements) => add(statements, saga))

const advance: SagaStore['advance'] = async (tx, step) => sqliteTransaction(tx).atOnce((statements) => moved(statements, step))

/** Not one statement over `json_each`: SQLite reads fields out of JSON more slowly than it binds them, 16 us an advance beside 7. */
function write(database: SqliteDatabase, { starts, advances }: Parameters<SagaStore['write']>[0]): ReturnType<SagaStore['write']> {
  return database.atOnce((statements) => ({
    ids: starts.map((saga) => add(statements, saga)),
    moved: advances.map((step) => moved(statements, step)),
  }))
}

/** Unless there is one of this name and key; gives the id that is there then. Without a RETURNING, here and below: it would cost a fourth of it all. */
function add({ sql, change }: Statements, saga: NewSagaRecord): string {
  const { id, name, version, key, status, step = null, state, input, owner, report = null, wakeAt = null, channel = null } = saga
  const { traceparent = null, tracestate = null, createdAt } = saga
  const added = change`
    insert into banyan_sagas (id, name, version, key, status, live, step, state, input, results, owner, epoch, revision, claims,
      wake_at, channel, report, traceparent, tracestate, created_at, updated_at)
    select ${id}, ${name}, ${version}, ${key}, ${status}, ${liveOf(saga)}, ${step}, ${state}, ${input}, '{}', ${owner?.worker ?? null},
      ${owner?.epoch ?? 0}, 0, ${owner ? 1 : 0}, ${wakeAt}, ${channel}, ${report}, ${traceparent}, ${tracestate}, ${createdAt}, ${createdAt}
    where not exists (select 1 from banyan_saga_archive where name = ${name} and key = ${key})
    on conflict (name, key) do nothing`
  if (added === 1) return id
  const [there] = sql<{ id: string }>`
    select id from banyan_sagas where name = ${name} and key = ${key}
    union all select id from banyan_saga_archive where name = ${name} and key = ${key}`
  return there?.id ?? id
}

function moved(statements: Statements, step: SagaAdvance): boolean {
  const isMoved = (staysLive(step) && stay(statements, step)) || turn(statements, step)
  if (isMoved && isEnough(step)) unload(statements, step.id)
  return isMoved
}

/** Whether a live saga is one with its worker afterwards: most advances. */
function staysLive(step: SagaAdvance): boolean {
  const { output, input, version, wakeAt, channel } = step
  return liveOf(step) === 1 && [output, input, version, wakeAt, channel].every((value) => value === undefined)
}

/** No column of a live saga's indexes is named: SQLite would write them anew. */
function stay({ change }: Statements, advanced: SagaAdvance): boolean {
  const { id, owner, revision, status, step = null, state, results = null, entry } = advanced
  const changed = change`
    update banyan_sagas set status = ${status}, step = ${step}, state = ${state}, results = coalesce(${results}, results),
      revision = revision + 1, updated_at = ${entry.at}, history = history || ${lineOf(advanced)}
    where id = ${id} and owner = ${owner.worker} and epoch = ${owner.epoch} and revision = ${revision} and live = 1`
  return changed === 1
}

function turn({ change }: Statements, step: SagaAdvance): boolean {
  const { id, owner, revision, results = null, output = null, input = null, version = null, entry } = step
  const changed = change`
    update banyan_sagas set status = ${step.status}, live = ${liveOf(step)}, step = ${step.step ?? null}, state = ${step.state},
      results = coalesce(${results}, results), output = coalesce(${output}, output), input = coalesce(${input}, input),
      version = coalesce(${version}, version), owner = iif(${step.parked}, null, owner), claims = iif(${step.parked}, 0, claims),
      wake_at = ${step.wakeAt ?? null}, channel = ${step.channel ?? null}, revision = revision + 1, updated_at = ${entry.at},
      history = history || ${lineOf(step)}
    where id = ${id} and owner = ${owner.worker} and epoch = ${owner.epoch} and revision = ${revision}`
  return changed === 1
}

const claimable: SagaStore['claimable'] = async (tx, definitions, now) => {
  const [dead] = await tx.sql`
    select 1 from banyan_saga_workers
    where expires_at > 0 and (expires_at <= ${now} or expires_at > ${now + LEASE_SLACK_MS} + lease_ms) limit 1`
  return dead !== undefined || (await unowned(tx, definitions, now, 1)).length > 0
}

const claim: SagaStore['claim'] = async (tx, { worker, epoch }, definitions, now, limit) => {
  // Fences whoever was silent for too long before anything of theirs is touched.
  await tx.sql`
    update banyan_saga_workers set epoch = epoch + 1, expires_at = 0
    where expires_at > 0 and (expires_at <= ${now} or expires_at > ${now + LEASE_SLACK_MS} + lease_ms)
      and not (id = ${worker} and epoch = ${epoch})`
  const [self] = await tx.sql`select 1 from banyan_saga_workers where id = ${worker} and epoch = ${epoch}`
  if (!self) return []
  const ids = JSON.stringify(await unowned(tx, definitions, now, limit))
  const rows = await tx.sql<SagaRow>`
    update banyan_sagas set owner = ${worker}, epoch = ${epoch}, claims = claims + 1, revision = revision + 1, live = 1, wake_at = null,
      channel = null
    where id in (select value from json_each(${ids})) returning *`
  return rows.map(recordOf).sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Live sagas without an owner, or whose owner has another epoch by now, and parked ones that are due; about the oldest ids first. */
async function unowned(tx: ReadTransaction, definitions: readonly DefinitionName[], now: number, limit: number): Promise<string[]> {
  const known = JSON.stringify(definitions.map(({ name, version }) => `${name}@${version}`))
  // Each kind has its own limit and the order of its index: with very many to take over, none is read more often than once.
  const rows = await tx.sql<{ id: string }>`
    select id from (
      select * from (select s.id from banyan_sagas s indexed by banyan_sagas_live where s.live = 1 and s.owner is null
        and s.name || '@' || s.version in (select value from json_each(${known})) order by s.epoch, s.id limit ${limit})
      union all
      select * from (select s.id from banyan_saga_workers w
        cross join banyan_sagas s indexed by banyan_sagas_live on s.owner = w.id and s.epoch < w.epoch where s.live = 1
        and s.name || '@' || s.version in (select value from json_each(${known})) limit ${limit})
      union all
      select * from (select s.id from banyan_sagas s indexed by banyan_sagas_wake where s.wake_at <= ${now}
        and s.name || '@' || s.version in (select value from json_each(${known})) order by s.wake_at limit ${limit}))
    order by id limit ${limit}`
  return rows.map(({ id }) => id)
}

const retire: SagaStore['retire'] = async (tx: Transaction, before, limit) => {
  const rows = await tx.sql<{ id: string }>`
    select id from banyan_sagas where status in ('completed', 'compensated') and updated_at < ${before} order by updated_at limit ${limit}`
  if (rows.length === 0) return 0
  sqliteTransaction(tx).atOnce((statements) => {
    for (const { id } of rows) unload(statements, id)
  })
  const ids = JSON.stringify(rows.map(({ id }) => id))
  await tx.sql`
    insert into banyan_saga_archive (id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims, report,
      traceparent, tracestate, created_at, updated_at, history)
    select id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims, report, traceparent, tracestate,
      created_at, updated_at,
      (select json_group_array(json_object('step', step, 'action', action, 'outcome', outcome, 'attempt', attempt, 'code', code,
        'message', message, 'status', status, 'worker', worker, 'startedAt', started_at, 'at', at)) from
        (select * from banyan_saga_history h where h.saga = s.id order by revision))
    from banyan_sagas s where id in (select value from json_each(${ids}))`
  await tx.sql`delete from banyan_saga_history where saga in (select value from json_each(${ids}))`
  await tx.sql`delete from banyan_sagas where id in (select value from json_each(${ids}))`
  return rows.length
}
