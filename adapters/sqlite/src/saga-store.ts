import type { ReadTransaction } from '@banyan/core'
import { type DefinitionName, type SagaRecord, type SagaState, type SagaStore, stepOfState } from '@banyan/saga/internal'
import type { SqliteDatabase } from './sqlite-database.ts'

/** The running sagas. SQLite's single writer keeps two claims from overlapping. */
export function sqliteSagas({ world }: SqliteDatabase): SagaStore {
  return { world, insert, advance, enlist, renew, define, claimable, claim }
}

/** A row of `banyan_sagas`. */
export interface SagaRow {
  id: string
  name: string
  version: number
  key: string
  state: string
  input: string
  results: string
  output: string | null
  owner: string | null
  epoch: number
  revision: number
  claims: number
  traceparent: string | null
  tracestate: string | null
  created_at: number
  updated_at: number
}

export function recordOf(row: SagaRow): SagaRecord {
  const { id, name, version, key, input, results, revision, claims } = row
  return {
    ...{ id, name, version, key, input, results, revision, claims },
    // Written from a state by `advance`, `insert` or `decide`.
    state: JSON.parse(row.state) as SagaState,
    output: row.output ?? undefined,
    owner: row.owner === null ? undefined : { worker: row.owner, epoch: row.epoch },
    traceparent: row.traceparent ?? undefined,
    tracestate: row.tracestate ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** 1 while a worker should have it. */
export function liveOf({ status }: SagaState): 0 | 1 {
  return status === 'running' || status === 'undoing' || status === 'waiting' ? 1 : 0
}

const insert: SagaStore['insert'] = async (tx, saga) => {
  const { id, name, version, key, state, input, owner, traceparent = null, tracestate = null, createdAt } = saga
  const [added] = await tx.sql`
    insert into banyan_sagas (id, name, version, key, status, live, step, state, input, results, owner, epoch, revision, claims,
      traceparent, tracestate, created_at, updated_at)
    values (${id}, ${name}, ${version}, ${key}, ${state.status}, ${liveOf(state)}, ${stepOfState(state) ?? null},
      ${JSON.stringify(state)}, ${input}, '{}', ${owner?.worker ?? null}, ${owner?.epoch ?? 0}, 0, ${owner ? 1 : 0},
      ${traceparent}, ${tracestate}, ${createdAt}, ${createdAt})
    on conflict (name, key) do nothing returning 1`
  if (added) return id
  const [there] = await tx.sql<{ id: string }>`select id from banyan_sagas where name = ${name} and key = ${key}`
  return there?.id ?? id
}

const advance: SagaStore['advance'] = async (tx, { id, owner, revision, state, results = null, output = null, entry }) => {
  const [moved] = await tx.sql`
    update banyan_sagas set status = ${state.status}, live = ${liveOf(state)}, step = ${stepOfState(state) ?? null},
      state = ${JSON.stringify(state)}, results = coalesce(${results}, results), output = coalesce(${output}, output),
      revision = revision + 1, updated_at = ${entry.at}
    where id = ${id} and owner = ${owner.worker} and epoch = ${owner.epoch} and revision = ${revision} returning 1`
  if (!moved) return false
  await tx.sql`
    insert into banyan_saga_history (saga, step, action, outcome, attempt, code, message, status, worker, started_at, at)
    values (${id}, ${entry.step}, ${entry.action}, ${entry.outcome}, ${entry.attempt}, ${entry.code ?? null}, ${entry.message ?? null},
      ${entry.status}, ${entry.worker}, ${entry.startedAt}, ${entry.at})`
  return true
}

const enlist: SagaStore['enlist'] = async (tx, { id, expiresAt, now, force }) => {
  const [row] = await tx.sql<{ epoch: number }>`
    insert into banyan_saga_workers (id, epoch, expires_at) values (${id}, 1, ${expiresAt})
    on conflict (id) do update set epoch = epoch + 1, expires_at = excluded.expires_at
      where ${force} or banyan_saga_workers.expires_at <= ${now}
    returning epoch`
  return row?.epoch
}

const renew: SagaStore['renew'] = async (tx, { worker, epoch }, expiresAt) => {
  const back = expiresAt === 0
  // Given back, the epoch moves on: that alone puts all the worker's sagas up for claiming.
  const [row] = await tx.sql`
    update banyan_saga_workers set expires_at = ${expiresAt}, epoch = epoch + ${back ? 1 : 0}
    where id = ${worker} and epoch = ${epoch} returning 1`
  return row !== undefined
}

const define: SagaStore['define'] = async (tx, shape) => {
  await tx.sql`
    insert into banyan_saga_definitions (name, version, shape) values (${shape.name}, ${shape.version}, ${JSON.stringify(shape)})
    on conflict (name, version) do update set shape = excluded.shape`
}

const claimable: SagaStore['claimable'] = async (tx, definitions, now) => {
  const [dead] = await tx.sql`select 1 from banyan_saga_workers where expires_at > 0 and expires_at <= ${now} limit 1`
  return dead !== undefined || (await unowned(tx, definitions, 1)).length > 0
}

const claim: SagaStore['claim'] = async (tx, { worker, epoch }, definitions, now, limit) => {
  // Fences whoever was silent for too long before anything of theirs is touched.
  await tx.sql`
    update banyan_saga_workers set epoch = epoch + 1, expires_at = 0
    where expires_at > 0 and expires_at <= ${now} and not (id = ${worker} and epoch = ${epoch})`
  const [self] = await tx.sql`select 1 from banyan_saga_workers where id = ${worker} and epoch = ${epoch}`
  if (!self) return []
  const ids = JSON.stringify(await unowned(tx, definitions, limit))
  const rows = await tx.sql<SagaRow>`
    update banyan_sagas set owner = ${worker}, epoch = ${epoch}, claims = claims + 1, revision = revision + 1
    where id in (select value from json_each(${ids})) returning *`
  return rows.map(recordOf).sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Live sagas without an owner, or whose owner has another epoch by now; the oldest ids first. */
async function unowned(tx: ReadTransaction, definitions: readonly DefinitionName[], limit: number): Promise<string[]> {
  const known = JSON.stringify(definitions.map(({ name, version }) => `${name}@${version}`))
  const rows = await tx.sql<{ id: string }>`
    select id from (
      select s.id, s.name, s.version from banyan_sagas s where s.live = 1 and s.owner is null
      union all
      select s.id, s.name, s.version from banyan_saga_workers w
        cross join banyan_sagas s indexed by banyan_sagas_live on s.owner = w.id and s.epoch < w.epoch where s.live = 1)
    where name || '@' || version in (select value from json_each(${known}))
    order by id limit ${limit}`
  return rows.map(({ id }) => id)
}
