import {
  type FlowArchive,
  type FlowDecision,
  type FlowKey,
  type FlowRow,
  type FlowStore,
  flowColumnsOf,
  flowRecordOf,
} from '@banyan/saga/internal'
import type { SqliteDatabase } from './sqlite-database.ts'

/** The flows that are watched. SQLite's single writer holds every flow, until the end of the transaction. */
export function sqliteFlows({ world }: SqliteDatabase): FlowStore {
  return { world, load: find, save, due, forget }
}

/** The people's side of them. */
export function sqliteFlowArchive(): FlowArchive {
  return { list, find, note, decisions }
}

const find: FlowArchive['find'] = async (tx, { flow, correlationId }) => {
  const [row] = await tx.sql<FlowRow>`
    select flow, correlation_id, version, state, created_at, updated_at from banyan_flows
    where flow = ${flow} and correlation_id = ${correlationId}`
  return row && flowRecordOf(row)
}

const save: FlowStore['save'] = async (tx, { flow, correlationId, version, state, createdAt, updatedAt }) => {
  const { flags, wakeAt } = flowColumnsOf(state)
  await tx.sql`
    insert into banyan_flows (flow, correlation_id, version, status, flags, state, wake_at, created_at, updated_at)
    values (${flow}, ${correlationId}, ${version}, ${state.status}, ${flags}, ${JSON.stringify(state)}, ${wakeAt}, ${createdAt}, ${updatedAt})
    on conflict (flow, correlation_id) do update set version = excluded.version, status = excluded.status, flags = excluded.flags,
      state = excluded.state, wake_at = excluded.wake_at, updated_at = excluded.updated_at`
}

const due: FlowStore['due'] = (tx, flows, now, limit) => tx.sql<FlowKey>`
  select flow, correlation_id as "correlationId" from banyan_flows
  where wake_at <= ${now} and flow in (select value from json_each(${JSON.stringify(flows)}))
  order by wake_at limit ${limit}`

const forget: FlowStore['forget'] = async (tx, flow, { flagged, before }, limit) => {
  // Two statements, so that each goes by its index.
  const gone = flagged
    ? await tx.sql`
        delete from banyan_flows where (flow, correlation_id) in (
          select flow, correlation_id from banyan_flows
          where flow = ${flow} and flags <> '' and wake_at is null and updated_at < ${before} order by updated_at limit ${limit})
        returning 1`
    : await tx.sql`
        delete from banyan_flows where (flow, correlation_id) in (
          select flow, correlation_id from banyan_flows
          where flow = ${flow} and flags = '' and wake_at is null and updated_at < ${before} order by updated_at limit ${limit})
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
          where (${flow} is null or flow = ${flow}) and (${status} is null or status = ${status})
          order by updated_at desc, correlation_id limit ${limit}`
      : await tx.sql<FlowRow>`
          select flow, correlation_id, version, state, created_at, updated_at from banyan_flows
          where flags <> '' and (${kind} is null or ',' || flags || ',' like ${kind})
            and (${flow} is null or flow = ${flow}) and (${status} is null or status = ${status})
          order by updated_at desc, correlation_id limit ${limit}`
  return rows.map(flowRecordOf)
}

const note: FlowArchive['note'] = async (tx, { flow, correlationId, flag, event, by, why, at }) => {
  await tx.sql`
    insert into banyan_flow_audit (flow, correlation_id, flag, event, decided_by, why, at)
    values (${flow}, ${correlationId}, ${flag}, ${event}, ${by}, ${why}, ${at})`
}

const decisions: FlowArchive['decisions'] = (tx, key, limit) => {
  const { flow = null, correlationId = null } = key ?? {}
  return tx.sql<FlowDecision>`
    select flow, correlation_id as "correlationId", flag, event, decided_by as "by", why, at from banyan_flow_audit
    where ${flow} is null or (flow = ${flow} and correlation_id = ${correlationId})
    order by id desc limit ${limit}`
}
