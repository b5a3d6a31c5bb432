import type { ReadTransaction } from '@banyan/core'
import {
  entryOf,
  type HistoryRow,
  historyOf,
  type SagaArchive,
  type SagaCount,
  type SagaDecision,
  type SagaFilter,
} from '@banyan/saga/internal'
import { type PostgresDatabase, postgresRead } from './postgres-database.ts'
import { isLive } from './saga-rows.ts'
import { recordOf, type SagaRow } from './saga-store.ts'
import type { PostgresValue } from './values.ts'

/** The people's side of the sagas. */
export function postgresSagaArchive({ world }: PostgresDatabase): SagaArchive {
  return { world, list, find, history, decide, decisions, counts }
}

const RUNNING = 'select * from banyan_sagas'
const ARCHIVED = 'select *, false as live, null as step, null::bigint as wake_at, null as channel from banyan_saga_archive'

const list: SagaArchive['list'] = async (tx, filter, limit) => {
  const running = await listFrom(tx, RUNNING, filter, limit)
  // Only finished ones are in the archive, which may be large.
  const { status, finished } = filter
  const unfinished = finished === false || (status !== undefined && status !== 'completed' && status !== 'compensated')
  const archived = unfinished ? [] : await listFrom(tx, ARCHIVED, filter, limit)
  const rows = [...running, ...archived].sort((a, b) => (a.id < b.id ? 1 : -1))
  return rows.slice(0, limit).map(recordOf)
}

/** Only the conditions that are asked for: with a way round each of them ("or it is null") no index would be used. */
function listFrom(tx: ReadTransaction, from: string, filter: SagaFilter, limit: number): Promise<SagaRow[]> {
  const { status, finished, name, version, key, before } = filter
  const values: PostgresValue[] = []
  const conditions = ['true']
  const add = (condition: string, value: PostgresValue | undefined) => {
    if (value !== undefined) conditions.push(`${condition} $${values.push(value)}`)
  }
  add('id <', before)
  add('status =', status)
  add('name =', name)
  add('version =', version)
  add('key =', key)
  if (finished !== undefined) conditions.push(`status ${finished ? 'in' : 'not in'} ('completed', 'compensated')`)
  const text = `${from} where ${conditions.join(' and ')} order by id desc limit $${values.push(limit)}`
  return postgresRead(tx).run<SagaRow>(text, values)
}

const find: SagaArchive['find'] = async (tx, id) => {
  // Only a transaction that may write has hooks, and may lock.
  const lock = 'beforeCommit' in tx ? ' for update' : ''
  const [row] = await postgresRead(tx).run<SagaRow>(`${RUNNING} where id = $1${lock}`, [id])
  const [archived] = row ? [row] : await postgresRead(tx).run<SagaRow>(`${ARCHIVED} where id = $1`, [id])
  return archived && recordOf(archived)
}

/** JSON, but for the lines in a row. */
interface Histories {
  readonly unloaded: string | null
  readonly inRow: string | null
  readonly archived: string | null
}

/** In one statement: between two of them a history could leave its row. */
const history: SagaArchive['history'] = async (tx, id) => {
  const [found] = await tx.sql<Histories>`
    select
      (select json_agg(json_build_object('revision', revision, 'step', step, 'action', action, 'outcome', outcome, 'attempt', attempt,
        'code', code, 'message', message, 'status', status, 'worker', worker, 'startedAt', started_at, 'at', at) order by revision)::text
        from banyan_saga_history where saga = ${id}) as unloaded,
      (select history from banyan_sagas where id = ${id}) as "inRow",
      (select history from banyan_saga_archive where id = ${id}) as archived`
  const { unloaded, inRow, archived } = found ?? { unloaded: null, inRow: null, archived: null }
  // Both are written from such rows, the archive's by `retire`.
  if (archived !== null) return (JSON.parse(archived) as Omit<HistoryRow, 'revision'>[]).map(entryOf)
  return historyOf(JSON.parse(unloaded ?? '[]') as HistoryRow[], inRow ?? '')
}

const decide: SagaArchive['decide'] = async (tx, change, { saga, action, step, by, why, detail = null, at }) => {
  const { id, status, state, revision, results = null, input = null, keepOwner, wakeAt = null, channel = null } = change
  const [decided] = await tx.sql`
    update banyan_sagas set status = ${status}, live = ${isLive(change)}, step = ${change.step ?? null}, state = ${state},
      results = coalesce(${results}, results), input = coalesce(${input}, input), owner = case when ${keepOwner} then owner end,
      epoch = case when ${keepOwner} then epoch else 0 end, claims = case when ${keepOwner} then claims else 0 end,
      wake_at = ${wakeAt}, channel = ${channel}, revision = revision + 1, updated_at = ${at},
      ended_at = ${status === 'completed' || status === 'compensated' ? at : null}
    where id = ${id} and revision = ${revision} returning 1`
  if (!decided) return false
  await tx.sql`
    insert into banyan_saga_audit (saga, action, step, decided_by, why, detail, at)
    values (${saga}, ${action}, ${step}, ${by}, ${why}, ${detail}, ${at})`
  return true
}

const decisions: SagaArchive['decisions'] = async (tx, id, limit) => {
  const COLUMNS = 'select saga, action, step, decided_by as "by", why, detail, at from banyan_saga_audit'
  type Row = Omit<SagaDecision, 'detail'> & { detail: string | null }
  const rows =
    id === undefined
      ? await postgresRead(tx).run<Row>(`${COLUMNS} order by id desc limit $1`, [limit])
      : await postgresRead(tx).run<Row>(`${COLUMNS} where saga = $1 order by id desc limit $2`, [id, limit])
  return rows.map(({ detail, ...row }) => ({ ...row, detail: detail ?? undefined }))
}

const counts: SagaArchive['counts'] = (tx, now, status) =>
  status === 'stuck'
    ? tx.sql<SagaCount>`
        select name, version, status, count(*) as count, min(id) as oldest from banyan_sagas
        where status = 'stuck' group by name, version, status order by name, version`
    : tx.sql<SagaCount>`
        select name, version, status, count(*) as count, min(id) as oldest from (
          select name, version, status, id from banyan_sagas where live
          union all
          select name, version, status, id from banyan_sagas where wake_at <= ${now}
          union all
          select name, version, status, id from banyan_sagas where status = 'stuck') open
        group by name, version, status order by name, version, status`
