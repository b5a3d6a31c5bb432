import { type Envelope, encodeEnvelope, type ReadTransaction, type Transaction } from '@banyan/core'
import { type LoggedEvent, type LogRange, type LogSlice, partitionOf } from '@banyan/messaging/internal'

/** How many positions one read may go through: sparse types must not keep the event loop from turning. */
const WINDOW = 5_000

/** Appends events; they are there when the transaction has committed. */
export async function appendEvents(tx: Transaction, batch: readonly Envelope[], nowMs: number): Promise<void> {
  for (const envelope of batch) {
    const { id, type, subject } = envelope
    await tx.sql`
      insert into banyan_bus_events (type, partition, stored_at, id, subject, raw)
      values (${type}, ${partitionOf(subject)}, ${nowMs}, ${id}, ${subject}, ${encodeEnvelope(envelope)})`
  }
}

/**
 * The next events of a range.
 *
 * @returns `upTo`: nothing of the range is left up to there; `atEnd`: the log ends there
 */
export async function readEvents(tx: ReadTransaction, { after, types, partitions, limit }: LogRange): Promise<LogSlice> {
  const head = await headOf(tx)
  if (head <= after) return { events: [], upTo: after, atEnd: true }
  const until = Math.min(after + WINDOW, head)
  const events = await tx.sql<LoggedEvent>`
    select position, type, partition, raw from banyan_bus_events
    where position > ${after} and position <= ${until}
      and type in (select value from json_each(${JSON.stringify(types)}))
      and partition in (select value from json_each(${JSON.stringify(partitions)}))
    order by position limit ${limit}`
  const upTo = events.length === limit ? (events.at(-1)?.position ?? until) : until
  return { events, upTo, atEnd: upTo >= head }
}

/** The position of the newest event, 0 without any. */
export async function headOf(tx: ReadTransaction): Promise<number> {
  const [row] = await tx.sql<{ head: number | null }>`select max(position) as head from banyan_bus_events`
  return row?.head ?? 0
}

/** The position of the oldest event kept, 1 without any. */
export async function oldestOf(tx: ReadTransaction): Promise<number> {
  const [row] = await tx.sql<{ oldest: number | null }>`select min(position) as oldest from banyan_bus_events`
  return row?.oldest ?? 1
}

/**
 * Deletes up to `limit` events that are older than `cutoffMs` and that every group has passed.
 *
 * @returns how many
 */
export async function pruneEvents(tx: Transaction, cutoffMs: number, limit: number): Promise<number> {
  const [row] = await tx.sql<{ floor: number | null }>`
    select min(coalesce((select min(value) from json_each(p.positions)), 0)) as floor from banyan_bus_partitions p`
  const floor = row?.floor ?? Number.MAX_SAFE_INTEGER
  // The newest event stays: it holds the log's head for those who compare with it.
  const deleted = await tx.sql`
    delete from banyan_bus_events where position in (
      select position from banyan_bus_events
      where position <= ${floor} and position < (select max(position) from banyan_bus_events) and stored_at < ${cutoffMs}
      order by position limit ${limit})
    returning position`
  return deleted.length
}

/** The name of this very log. */
export async function identityOf(tx: ReadTransaction): Promise<string> {
  const [row] = await tx.sql<{ id: string }>`select id from banyan_bus_log`
  if (!row) throw new Error('the table "banyan_bus_log" is empty: the bus has no name')
  return row.id
}
