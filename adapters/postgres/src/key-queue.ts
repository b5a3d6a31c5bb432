import type { Transaction } from '@banyan/core'
import { columnsOf, type KeyQueue, type ParkedRow, type Parking, parkedMessageOf } from '@banyan/messaging/internal'
import { postgresRead } from './postgres-database.ts'
import { orNull, storable } from './storable.ts'

/** The key queue. An advisory lock holds a lane until the end of the transaction that changes it: the same one that the inbox takes. */
export function postgresKeyQueue(): KeyQueue {
  const listeners = new Set<() => void>()
  const wakeAll = () => {
    for (const wake of listeners) wake()
  }
  const wakeIfDue = (tx: Transaction, parking: Parking) => {
    if (parking.kind === 'due') tx.afterCommit(wakeAll)
  }
  return {
    async push(tx, given) {
      const message = { ...given, lane: storable(given.lane) }
      const { group, lane } = message
      await holdLane(tx, group, lane)
      const before = await tx.sql`select 1 from banyan_key_queue where grp = ${group} and lane = ${lane} limit 1`
      const parking: Parking = before.length > 0 ? { kind: 'waiting' } : message.parking
      await insert(tx, { ...message, parking })
      wakeIfDue(tx, parking)
    },
    holds,
    parkedLanes,
    upcoming,
    claim,
    async save(tx, position, parking, raw) {
      await update(tx, position, parking)
      if (raw !== undefined) await tx.sql`update banyan_key_queue set raw = ${storable(raw)} where position = ${position}`
      wakeIfDue(tx, parking)
    },
    async remove(tx, { position, group, lane }, now) {
      await tx.sql`delete from banyan_key_queue where position = ${position}`
      const [row] = await tx.sql<ParkedRow>`
        select * from banyan_key_queue where grp = ${group} and lane = ${lane} order by position limit 1`
      if (row?.state !== 'waiting') return row && parkedMessageOf(row)
      const parking: Parking = { kind: 'due', attempts: 0, dueAt: now, failure: undefined }
      await update(tx, row.position, parking)
      wakeIfDue(tx, parking)
      return { ...parkedMessageOf(row), parking, revision: row.revision + 1 }
    },
    onDue(wake) {
      listeners.add(wake)
      return () => listeners.delete(wake)
    },
  }
}

/** A statement of its own, so that under READ COMMITTED the next one sees what was committed while this one waited. */
async function holdLane(tx: Transaction, group: string, lane: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(banyan_lane_key(${group}, ${lane}))`
}

const holds: KeyQueue['holds'] = async (tx, group) => {
  const rows = await tx.sql`select 1 from banyan_key_queue where grp = ${group} limit 1`
  return rows.length > 0
}

const parkedLanes: KeyQueue['parkedLanes'] = async (tx, group, lanes) => {
  const rows = await postgresRead(tx).run<{ lane: string }>(
    'select distinct lane from banyan_key_queue where grp = $1 and lane = any($2::text[])',
    [group, lanes.map(storable)],
  )
  return new Set(rows.map(({ lane }) => lane))
}

const upcoming: KeyQueue['upcoming'] = async (tx, group, limit) => {
  const rows = await tx.sql<ParkedRow>`
    select * from banyan_key_queue where grp = ${group} and state = 'due' order by due_at, position limit ${limit}`
  return rows.map(parkedMessageOf)
}

const claim: KeyQueue['claim'] = async (tx, { group, lane, position, revision }) => {
  await holdLane(tx, group, lane)
  // "for update": where the snapshot is older than the row, the transaction runs again.
  const rows = await tx.sql`select 1 from banyan_key_queue where position = ${position} and revision = ${revision} for update`
  return rows.length > 0
}

async function insert(tx: Transaction, message: Parameters<KeyQueue['push']>[1]): Promise<void> {
  const { kind, attempts, dueAt, failure } = columnsOf(message.parking)
  await tx.sql`
    insert into banyan_key_queue (grp, lane, message_id, type, key, raw, trace_id, parked_at, revision,
      state, attempts, due_at, reason, code, message, stack, first_at, last_at)
    values (${message.group}, ${message.lane}, ${storable(message.messageId)}, ${orNull(message.type)}, ${orNull(message.key)}, ${storable(message.raw)},
      ${message.traceId ?? null}, ${message.parkedAt}, 1, ${kind}, ${attempts}, ${dueAt}, ${failure?.reason ?? null}, ${orNull(failure?.code)},
      ${orNull(failure?.message)}, ${orNull(failure?.stack)}, ${failure?.firstAt ?? null}, ${failure?.lastAt ?? null})
    on conflict (grp, message_id) do nothing`
}

async function update(tx: Transaction, position: number, parking: Parking): Promise<void> {
  const { kind, attempts, dueAt, failure } = columnsOf(parking)
  await tx.sql`
    update banyan_key_queue set revision = revision + 1, state = ${kind}, attempts = ${attempts}, due_at = ${dueAt},
      reason = ${failure?.reason ?? null}, code = ${orNull(failure?.code)}, message = ${orNull(failure?.message)},
      stack = ${orNull(failure?.stack)}, first_at = ${failure?.firstAt ?? null}, last_at = ${failure?.lastAt ?? null}
    where position = ${position}`
}
