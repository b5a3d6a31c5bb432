import { type Envelope, encodeEnvelope } from '@banyan/core'
import { type BusLog, type LoggedEvent, type LogRange, type LogSlice, partitionOf } from '@banyan/messaging/internal'
import { type FencedLog, type FenceWatch, SERVER } from './fence-watch.ts'
import { joinedJson, joinNumbers, joinTexts, numbersOf, splitJson, textsOf } from './joined.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { storable } from './storable.ts'

/** How many positions one read may go through: sparse types must not make it slow. */
const WINDOW = 5_000

/** How much of events one read brings, bytes, and one event more: as in the outbox. */
const MOST_BYTES = 16_777_216

/** The class of the advisory lock; its number within is the sequence's own, so that it is one a database and schema. */
const CLASS = 1_869_968_482

/**
 * Appenders take an advisory lock, and not the table's own as those of the outbox do: readers are other services, and some of an older
 * version know no other.
 */
export const BUS_LOG: FencedLog = {
  sequence: 'banyan_bus_position',
  lock: `locktype = 'advisory' and objsubid = 2 and classid = ${CLASS} and objid = 'banyan_bus_position'::regclass`,
}

/** The fence first, then the positions: a row of the join is there only when the lock is, and `nextval` runs on rows of the join. */
const APPEND = `
  with fence as materialized (select pg_advisory_xact_lock_shared(${CLASS}, 'banyan_bus_position'::regclass::oid::int)),
  records as (
    select r.* from fence, rows from (unnest($1::text[]), unnest($2::smallint[]), ${splitJson('$3')})
      with ordinality as r (type, partition, raw, n) order by n)
  insert into banyan_bus_events (position, type, partition, stored_at, raw)
  select nextval('banyan_bus_position'), type, partition, $4, raw from records`

/** Appends the events of one batch, as one transaction. */
export async function appendEvents(database: PostgresDatabase, batch: readonly Envelope[]): Promise<void> {
  await database.run(APPEND, [
    batch.map(({ type }) => type),
    batch.map(({ subject }) => partitionOf(subject)),
    joinedJson(batch.map((envelope) => storable(encodeEnvelope(envelope)))),
    database.world.now(),
  ])
}

/** The next events of a range, up to where the fence says that nothing can appear any more; what is large, in parts. */
export async function readEvents(
  database: PostgresDatabase,
  fence: FenceWatch,
  range: LogRange,
  mostBytes: number = MOST_BYTES,
): Promise<LogSlice> {
  const { after, types, partitions, limit } = range
  // While there is much to read nobody needs to look.
  const known = fence.now()
  const { final, server, setbacks } = known.final - after >= limit ? known : await fence.look()
  if (final <= after) return { events: [], upTo: after, atEnd: true, setbacks }
  const until = Math.min(after + WINDOW, final)
  const here = 'filter (where before < $6)'
  const [row] = await database.run<Joined>(
    `select ${joinNumbers('position')} ${here} as positions, ${joinTexts('type')} ${here} as types,
       ${joinNumbers('partition')} ${here} as partitions, ${joinTexts('raw')} ${here} as raws, count(*) as found, ${SERVER} as server from (
       select position, type, partition, raw,
         sum(octet_length(raw)) over (order by position rows unbounded preceding) - octet_length(raw) as before
       from (select position, type, partition, raw from banyan_bus_events
         where position > $1 and position <= $2 and type = any($3::text[]) and partition = any($4::smallint[])
         order by position limit $5) as upcoming) as events`,
    [after, until, types, partitions, limit, mostBytes],
  )
  // What another server has is not final up to there.
  if (!row || row.server !== server) return { events: [], upTo: after, atEnd: false, setbacks: (await fence.look()).setbacks }
  const events = eventsOf(row)
  const isAll = events.length < limit && events.length === row.found
  const upTo = isAll ? until : (events.at(-1)?.position ?? until)
  return { events, upTo, atEnd: upTo >= final, setbacks }
}

interface Joined {
  readonly positions: string | null
  readonly types: string | null
  readonly partitions: string | null
  readonly raws: string | null
  readonly found: number
  readonly server: string
}

function eventsOf(joined: Joined): LoggedEvent[] {
  const [types, partitions, raws] = [textsOf(joined.types), numbersOf(joined.partitions), textsOf(joined.raws)]
  return numbersOf(joined.positions).map((position, index) => ({
    position,
    type: types[index] ?? '',
    partition: partitions[index] ?? 0,
    raw: raws[index] ?? '',
  }))
}

/** The name of this very log. */
export async function identityOf(database: PostgresDatabase): Promise<string> {
  const [row] = await database.run<{ id: string }>('select id from banyan_bus_log')
  if (!row) throw new Error('the table "banyan_bus_log" is empty: the bus has no name')
  return row.id
}

/** Deletes up to `limit` events that are older than `cutoffMs` and that every group has passed. The newest one stays. */
export async function pruneEvents(database: PostgresDatabase, cutoffMs: number, limit: number): ReturnType<BusLog['prune']> {
  const rows = await database.run(
    `with floor as (
       select coalesce(min(coalesce((select min(value::bigint) from jsonb_each_text(p.positions)), 0)), 9223372036854775807) as position
       from banyan_bus_partitions p)
     delete from banyan_bus_events where position in (
       select e.position from banyan_bus_events e, floor
       where e.position <= floor.position and e.stored_at < $1 and e.position < (select max(position) from banyan_bus_events)
       order by e.position limit $2)
     returning position`,
    [cutoffMs, limit],
  )
  return rows.length
}
