import {
  type SagaArchive,
  type SagaCount,
  type SagaDecision,
  type SagaHistoryEntry,
  type SagaShape,
  stepOfState,
} from '@banyan/saga/internal'
import { liveOf, recordOf, type SagaRow } from './saga-store.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

/** The people's side of the sagas. */
export function sqliteSagaArchive({ world }: SqliteDatabase): SagaArchive {
  return { world, list, find, history, decide, decisions, shape, counts }
}

const list: SagaArchive['list'] = async (tx, filter, limit) => {
  const { status = null, finished = null, name = null, version = null, key = null, before = null } = filter
  const rows = await tx.sql<SagaRow>`
    select * from banyan_sagas
    where (${before} is null or id < ${before}) and (${status} is null or status = ${status})
      and (${finished} is null or (status in ('completed', 'compensated')) = ${finished})
      and (${name} is null or name = ${name}) and (${version} is null or version = ${version}) and (${key} is null or key = ${key})
    order by id desc limit ${limit}`
  return rows.map(recordOf)
}

const find: SagaArchive['find'] = async (tx, id) => {
  const [row] = await tx.sql<SagaRow>`select * from banyan_sagas where id = ${id}`
  return row && recordOf(row)
}

type HistoryRow = Omit<SagaHistoryEntry, 'code' | 'message'> & { code: string | null; message: string | null }

const history: SagaArchive['history'] = async (tx, id) => {
  const rows = await tx.sql<HistoryRow>`
    select saga, step, action, outcome, attempt, code, message, status, worker, started_at as "startedAt", at
    from banyan_saga_history where saga = ${id} order by id`
  return rows.map(({ code, message, ...row }) => ({ ...row, code: code ?? undefined, message: message ?? undefined }))
}

const decide: SagaArchive['decide'] = async (tx, id, state, { action, step, by, why, at }) => {
  const [decided] = await tx.sql`
    update banyan_sagas set status = ${state.status}, live = ${liveOf(state)}, step = ${stepOfState(state) ?? null},
      state = ${JSON.stringify(state)}, owner = null, revision = revision + 1, updated_at = ${at}
    where id = ${id} and status = 'stuck' returning 1`
  if (!decided) return false
  await tx.sql`
    insert into banyan_saga_audit (saga, action, step, decided_by, why, at) values (${id}, ${action}, ${step}, ${by}, ${why}, ${at})`
  return true
}

const decisions: SagaArchive['decisions'] = (tx, id, limit) => tx.sql<SagaDecision>`
  select saga, action, step, decided_by as "by", why, at from banyan_saga_audit
  where ${id ?? null} is null or saga = ${id ?? null} order by id desc limit ${limit}`

const shape: SagaArchive['shape'] = async (tx, { name, version }) => {
  const [row] = await tx.sql<{ shape: string }>`select shape from banyan_saga_definitions where name = ${name} and version = ${version}`
  // Written from a shape by `define`.
  return row && (JSON.parse(row.shape) as SagaShape)
}

const counts: SagaArchive['counts'] = (tx, status) =>
  status === 'stuck'
    ? tx.sql<SagaCount>`
        select name, version, status, count(*) as count, min(id) as oldest from banyan_sagas
        where status = 'stuck' group by name, version`
    : tx.sql<SagaCount>`
        select name, version, status, count(*) as count, min(id) as oldest from (
          select name, version, status, id from banyan_sagas where live = 1
          union all
          select name, version, status, id from banyan_sagas where status = 'stuck')
        group by name, version, status order by name, version, status`
