import type { ReadTransaction } from '@banyan/core'
import {
  entryOf,
  type HistoryRow,
  historyOf,
  type SagaArchive,
  type SagaCount,
  type SagaDecision,
  type SagaHistoryEntry,
} from '@banyan/saga/internal'
import { liveOf, recordOf, type SagaRow } from './saga-store.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

/** The people's side of the sagas. */
export function sqliteSagaArchive({ world }: SqliteDatabase): SagaArchive {
  return { world, list, find, history, decide, decisions, counts }
}

const list: SagaArchive['list'] = async (tx, filter, limit) => {
  const { status = null, finished = null, name = null, version = null, key = null, before = null } = filter
  const running = await tx.sql<SagaRow>`
    select * from banyan_sagas
    where (${before} is null or id < ${before}) and (${status} is null or status = ${status})
      and (${finished} is null or (status in ('completed', 'compensated')) = ${finished})
      and (${name} is null or name = ${name}) and (${version} is null or version = ${version}) and (${key} is null or key = ${key})
    order by id desc limit ${limit}`
  // Only finished ones are in the archive, which may be large.
  const archived =
    finished === false || (status !== null && status !== 'completed' && status !== 'compensated')
      ? []
      : await tx.sql<SagaRow>`
          select *, 0 as live, null as step, null as wake_at, null as channel from banyan_saga_archive
          where (${before} is null or id < ${before}) and (${status} is null or status = ${status})
            and (${name} is null or name = ${name}) and (${version} is null or version = ${version}) and (${key} is null or key = ${key})
          order by id desc limit ${limit}`
  const rows = [...running, ...archived].sort((a, b) => (a.id < b.id ? 1 : -1))
  return rows.slice(0, limit).map(recordOf)
}

const find: SagaArchive['find'] = async (tx, id) => {
  const [row] = await tx.sql<SagaRow>`select * from banyan_sagas where id = ${id}`
  if (row) return recordOf(row)
  const [archived] = await tx.sql<SagaRow>`
    select *, 0 as live, null as step, null as wake_at, null as channel from banyan_saga_archive where id = ${id}`
  return archived && recordOf(archived)
}

const history: SagaArchive['history'] = async (tx, id) => {
  const [saga] = await tx.sql<{ history: string }>`select history from banyan_sagas where id = ${id}`
  return saga ? historyOf(await unloaded(tx, id), saga.history) : archivedHistory(tx, id)
}

function unloaded(tx: ReadTransaction, id: string): Promise<HistoryRow[]> {
  return tx.sql<HistoryRow>`
    select revision, step, action, outcome, attempt, code, message, status, worker, started_at as "startedAt", at
    from banyan_saga_history where saga = ${id}`
}

async function archivedHistory(tx: ReadTransaction, id: string): Promise<SagaHistoryEntry[]> {
  const [archived] = await tx.sql<{ history: string }>`select history from banyan_saga_archive where id = ${id}`
  // Written from rows like these by `retire`.
  return archived ? (JSON.parse(archived.history) as Omit<HistoryRow, 'revision'>[]).map(entryOf) : []
}

const decide: SagaArchive['decide'] = async (tx, change, { saga, action, step, by, why, detail = null, at }) => {
  const { results = null, input = null, keepOwner } = change
  const [decided] = await tx.sql`
    update banyan_sagas set status = ${change.status}, live = ${liveOf(change)}, step = ${change.step ?? null}, state = ${change.state},
      results = coalesce(${results}, results), input = coalesce(${input}, input), owner = iif(${keepOwner}, owner, null),
      claims = iif(${keepOwner}, claims, 0), wake_at = ${change.wakeAt ?? null}, channel = ${change.channel ?? null},
      revision = revision + 1, updated_at = ${at}
    where id = ${change.id} and revision = ${change.revision} returning 1`
  if (!decided) return false
  await tx.sql`
    insert into banyan_saga_audit (saga, action, step, decided_by, why, detail, at)
    values (${saga}, ${action}, ${step}, ${by}, ${why}, ${detail}, ${at})`
  return true
}

const decisions: SagaArchive['decisions'] = async (tx, id, limit) => {
  const rows = await tx.sql<Omit<SagaDecision, 'detail'> & { detail: string | null }>`
    select saga, action, step, decided_by as "by", why, detail, at from banyan_saga_audit
    where ${id ?? null} is null or saga = ${id ?? null} order by id desc limit ${limit}`
  return rows.map(({ detail, ...row }) => ({ ...row, detail: detail ?? undefined }))
}

const counts: SagaArchive['counts'] = (tx, now, status) =>
  status === 'stuck'
    ? tx.sql<SagaCount>`
        select name, version, status, count(*) as count, min(id) as oldest from banyan_sagas
        where status = 'stuck' group by name, version`
    : tx.sql<SagaCount>`
        select name, version, status, count(*) as count, min(id) as oldest from (
          select name, version, status, id from banyan_sagas where live = 1
          union all
          select name, version, status, id from banyan_sagas where wake_at <= ${now}
          union all
          select name, version, status, id from banyan_sagas where status = 'stuck')
        group by name, version, status order by name, version, status`
