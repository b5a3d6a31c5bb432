import { createHash } from 'node:crypto'
import type { ReadTransaction, Transaction } from '@banyan/core'
import {
  type FlowArchive,
  type FlowDecision,
  type FlowKey,
  type FlowRecord,
  type FlowRow,
  type FlowStore,
  flowColumnsOf,
  flowRecordOf,
} from '@banyan/saga/internal'
import { type PostgresDatabase, postgresRead } from './postgres-database.ts'
import { storable } from './storable.ts'

/** The first of the two numbers of this store's advisory locks; nothing else uses it. */
const LOCKS = 1_003
/** How many characters of a correlation id are stored: an entry of the index has 2,704 bytes. */
const LONGEST = 500

/** The flows that are watched. */
export function postgresFlows({ world }: PostgresDatabase): FlowStore {
  return { world, load, save, due, forget }
}

/** The people's side of them. */
export function postgresFlowArchive(): FlowArchive {
  return { list, find, note, decisions }
}

const load: FlowStore['load'] = async (tx, key) => {
  // A row that is not there yet cannot be locked, so its name is. A statement of its own: under READ COMMITTED the next one then sees
  // what the holder before has written.
  await tx.sql`select pg_advisory_xact_lock(${LOCKS}::integer, hashtext(${`${key.flow} ${indexable(key.correlationId)}`}))`
  if (key.correlationId.length > LONGEST) await shorten(tx, key)
  return find(tx, key)
}

/** An older version stored a long correlation id as it was. Where one of this version has the flow already, that one goes on. */
async function shorten(tx: Transaction, { flow, correlationId }: FlowKey): Promise<void> {
  await tx.sql`
    with long as (delete from banyan_flows where flow = ${flow} and correlation_id = ${storable(correlationId)} returning *)
    insert into banyan_flows (flow, correlation_id, version, status, flags, state, wake_at, created_at, updated_at)
    select flow, ${indexable(correlationId)}, version, status, flags, state, wake_at, created_at, updated_at from long
    on conflict do nothing`
}

const find = async (tx: ReadTransaction, { flow, correlationId }: FlowKey): Promise<FlowRecord | undefined> => {
  const [row] = await tx.sql<FlowRow>`
    select flow, correlation_id, version, state, created_at, updated_at from banyan_flows
    where flow = ${flow} and correlation_id in (${indexable(correlationId)}, ${storable(correlationId)})`
  return row && flowRecordOf(row)
}

const save: FlowStore['save'] = async (tx, { flow, correlationId, version, state, createdAt, updatedAt }) => {
  const { flags, wakeAt } = flowColumnsOf(state)
  await tx.sql`
    insert into banyan_flows (flow, correlation_id, version, status, flags, state, wake_at, created_at, updated_at)
    values (${flow}, ${indexable(correlationId)}, ${version}, ${state.status}, ${flags}, ${JSON.stringify(state)}, ${wakeAt}, ${createdAt}, ${updatedAt})
    on conflict (flow, correlation_id) do update set version = excluded.version, status = excluded.status, flags = excluded.flags,
      state = excluded.state, wake_at = excluded.wake_at, updated_at = excluded.updated_at`
}

const due: FlowStore['due'] = (tx, flows, now, limit) =>
  postgresRead(tx).run<{ flow: string; correlationId: string }>(
    `select flow, correlation_id as "correlationId" from banyan_flows
     where wake_at <= $1 and flow = any($2) order by wake_at limit $3`,
    [now, flows, limit],
  )

const forget: FlowStore['forget'] = async (tx, flow, { flagged, before }, limit) => {
  // Two statements, so that each goes by its index. One that moves just now is left out: under READ COMMITTED a delete that has waited
  // for it would not look again whether it is old.
  const gone = flagged
    ? await tx.sql`
        delete from banyan_flows where ctid = any(array(
          select ctid from banyan_flows
          where flow = ${flow} and flags <> '' and wake_at is null and updated_at < ${before} order by updated_at limit ${limit}
          for update skip locked))
        returning 1`
    : await tx.sql`
        delete from banyan_flows where ctid = any(array(
          select ctid from banyan_flows
          where flow = ${flow} and flags = '' and wake_at is null and updated_at < ${before} order by updated_at limit ${limit}
          for update skip locked))
        returning 1`
  return gone.length
}

const list: FlowArchive['list'] = async (tx, { flow = null, status = null, flag }, limit) => {
  const kind = flag === undefined || flag === true ? null : `%,${flag},%`
  // Flagged ones are few among many, so they have a statement, and an index, of their own.
  const rows =
    flag === undefined
      ? await tx.sql<FlowRow>`
          select flow, correlation_id, version, state, created_at, updated_at from banyan_flows
          where (${flow}::text is null or flow = ${flow}) and (${status}::text is null or status = ${status})
          order by updated_at desc, correlation_id limit ${limit}`
      : await tx.sql<FlowRow>`
          select flow, correlation_id, version, state, created_at, updated_at from banyan_flows
          where flags <> '' and (${kind}::text is null or ',' || flags || ',' like ${kind})
            and (${flow}::text is null or flow = ${flow}) and (${status}::text is null or status = ${status})
          order by updated_at desc, correlation_id limit ${limit}`
  return rows.map(flowRecordOf)
}

const note: FlowArchive['note'] = async (tx, { flow, correlationId, flag, event, by, why, at }) => {
  await tx.sql`
    insert into banyan_flow_audit (flow, correlation_id, flag, event, decided_by, why, at)
    values (${flow}, ${indexable(correlationId)}, ${flag}, ${event}, ${by}, ${why}, ${at})`
}

const decisions: FlowArchive['decisions'] = (tx, key, limit) => {
  const { flow = null, correlationId = '' } = key ?? {}
  return tx.sql<FlowDecision>`
    select flow, correlation_id as "correlationId", flag, event, decided_by as "by", why, at from banyan_flow_audit
    where ${flow}::text is null or (flow = ${flow} and correlation_id in (${indexable(correlationId)}, ${storable(correlationId)}))
    order by id desc limit ${limit}`
}

/**
 * A correlation id as it is stored, whoever made it up. Of a longer one the beginning and its SHA-256, so that what is stored is found as
 * it is.
 */
function indexable(correlationId: string): string {
  if (correlationId.length <= LONGEST) return storable(correlationId)
  return storable(correlationId.slice(0, LONGEST - 64)).toWellFormed() + createHash('sha256').update(correlationId).digest('hex')
}
