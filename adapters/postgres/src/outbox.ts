import type { Transaction } from '@banyan/core'
import type { Lease, Outbox, OutboxEntry, OutboxLog, OutboxProgress, OutboxStats, PartitionState } from '@banyan/messaging/internal'
import type { FenceState } from './fence.ts'
import { FENCE_CLASS, fenceWatch, SERVER } from './fence-watch.ts'
import { joinNumbers, joinTexts, numbersOf, textsOf } from './joined.ts'
import { wakeUps } from './notify.ts'
import { type OutboxRooms, outboxRooms } from './outbox-rooms.ts'
import { type PostgresDatabase, postgresTransaction } from './postgres-database.ts'
import { storable } from './storable.ts'

/** Relay partitions; the table of leases has a row for each. */
const PARTITIONS = 4

const FENCE = `pg_advisory_xact_lock_shared(${FENCE_CLASS}, 'banyan_outbox_position'::regclass::oid::int)`

/**
 * One statement, sent together with COMMIT. The fence is taken before any position is drawn: a row of the join is there only
 * when the lock is, and `nextval` runs on rows of the join.
 */
const APPEND = `
  with fence as materialized (select ${FENCE}),
  records as (
    select r.* from fence, unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
      with ordinality as r (part, type, key, body, time, n) order by n)
  insert into banyan_outbox (position, part, type, key, body, time)
  select nextval('banyan_outbox_position'), part, type, key, body, time from records`

/**
 * The same for one record, as most transactions have: no arrays to take apart and nothing to join, a third less work for the server. CASE
 * asks for the lock first, and draws a position only when it has the answer.
 */
const APPEND_ONE = `
  insert into banyan_outbox (position, part, type, key, body, time)
  values (case when ${FENCE} is null then null else nextval('banyan_outbox_position') end,
    $1::smallint, $2::text, $3::text, $4::text, $5::bigint)`

/** The writing side of the outbox. */
export function postgresOutbox(database: PostgresDatabase): Outbox {
  const listeners = new Set<(partitions: ReadonlySet<number>) => void>()
  const others = wakeUps(database, 'banyan_outbox')
  const rooms = roomsOf(database)
  return {
    source: database.name,
    world: database.world,
    async append(tx, records) {
      const { withCommit } = postgresTransaction(tx)
      const rows = records.map(({ key, type, body, time }) => [partitionOf(key), type, storable(key), storable(body), time] as const)
      const [only] = rows
      if (only && rows.length === 1) withCommit(APPEND_ONE, only)
      else
        withCommit(APPEND, [
          rows.map(([part]) => part),
          rows.map(([, type]) => type),
          rows.map(([, , key]) => key),
          rows.map(([, , , body]) => body),
          rows.map(([, , , , time]) => time),
        ])
      tx.afterCommit(() => {
        const partitions = new Set(rows.map(([part]) => part))
        for (const wake of listeners) wake(partitions)
        others.tell()
        rooms.appended(records.length)
      })
    },
    onAppend(wake) {
      listeners.add(wake)
      const forget = others.onTold(() => wake())
      return () => {
        listeners.delete(wake)
        forget()
      }
    },
  }
}

/** How much of events one read brings, bytes, and one event more: they come as one text, and V8 has none beyond 512 MB. */
const MOST_BYTES = 16_777_216

/** The reading side of the outbox. */
export function postgresOutboxLog(database: PostgresDatabase, mostBytes: number = MOST_BYTES): OutboxLog {
  const fence = fenceWatch(database, 'banyan_outbox_position')
  const rooms = roomsOf(database)
  /** Where a partition was last found empty: nothing can appear there before the fence moves. */
  const empty = new Map<number, { after: number | undefined; at: FenceState }>()

  async function readUpTo(partition: number, after: number | undefined, limit: number, at: FenceState): Promise<Batch> {
    const known = empty.get(partition)
    const isUnmoved = known?.at.final === at.final && known.at.setbacks === at.setbacks
    if (isUnmoved && (known.after === after || (known.after ?? Number.POSITIVE_INFINITY) <= (after ?? -1))) return NONE
    const { server, ...batch } = await readRows(database, { partition, after, limit, final: at.final, mostBytes })
    // What another server has is not final up to there; the look that follows finds out.
    if (server !== at.server) return NONE
    if (batch.entries.length === 0) empty.set(partition, { after, at })
    return batch
  }

  return {
    partitions: PARTITIONS,
    gatherMs: 3,
    load,
    saveLease,
    advance: (tx, partition, progress) => advance(tx, partition, progress, fence.serverOf(progress.setbacks)),
    async read(partition, after, limit) {
      // Before the read: while it is under way another partition's look may move it.
      const before = fence.now()
      const { entries, isAll } = await readUpTo(partition, after, limit, before)
      // In a long backlog the fence is far ahead, and nobody needs to look.
      if (!isAll) return entries
      const now = await fence.look()
      // Whoever reads hears of a setback, and drops what it has.
      if (now.final === before.final || now.setbacks !== before.setbacks) return entries
      const more = await readUpTo(partition, entries.at(-1)?.position ?? after, limit - entries.length, now)
      return [...entries, ...more.entries]
    },
    setbacks: () => fence.now().setbacks,
    async tidy() {
      await rooms.extend()
      await rooms.trim((await fence.look()).final)
    },
    stats,
  }
}

const known = new WeakMap<PostgresDatabase, OutboxRooms>()

function roomsOf(database: PostgresDatabase): OutboxRooms {
  const rooms = known.get(database) ?? outboxRooms(database)
  known.set(database, rooms)
  return rooms
}

/** The relay partition of a key: the same in every process. FNV-1a over UTF-16 code units. */
function partitionOf(key: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  return (hash >>> 0) % PARTITIONS
}

interface Batch {
  readonly entries: OutboxEntry[]
  /** Whether that is all there is up to the fence. */
  readonly isAll: boolean
}

const NONE: Batch = { entries: [], isAll: true }

interface Range {
  readonly partition: number
  readonly after: number | undefined
  readonly limit: number
  readonly final: number
  readonly mostBytes: number
}

/** What goes beyond `mostBytes` is counted and left for the next time; the first always comes. */
async function readRows(
  database: PostgresDatabase,
  { partition, after, limit, final, mostBytes }: Range,
): Promise<Batch & { readonly server: string | undefined }> {
  const from = after === undefined ? '(select done from banyan_outbox_lease where partition = $1)' : '$5::bigint'
  const text = `
    select ${joinNumbers('position')} filter (where before < $4) as positions, ${joinTexts('key')} filter (where before < $4) as keys,
      ${joinTexts('body')} filter (where before < $4) as bodies, count(*) as found, ${SERVER} as server from (
      select position, key, body,
        sum(octet_length(body)) over (order by position rows unbounded preceding) - octet_length(body) as before
      from (select position, key, body from banyan_outbox
        where part = $1 and position > ${from} and position <= $2 order by position limit $3) as upcoming) as entries`
  const values = [partition, final, limit, mostBytes]
  const [row] = await database.run<Joined>(text, after === undefined ? values : [...values, after])
  if (!row) throw new Error('a count of events gave no row')
  const { positions, keys, bodies, found, server } = row
  const entries = entriesOf(numbersOf(positions), textsOf(keys), textsOf(bodies))
  return { entries, isAll: found < limit && entries.length === found, server }
}

interface Joined {
  readonly positions: string | null
  readonly keys: string | null
  readonly bodies: string | null
  readonly found: number
  readonly server: string
}

function entriesOf(positions: readonly number[], keys: readonly string[], bodies: readonly string[]): OutboxEntry[] {
  return positions.map((position, index) => ({ position, key: keys[index] ?? '', body: bodies[index] ?? '' }))
}

interface LeaseRow {
  epoch: number
  owner: string | null
  expires_at: number | null
  done: number
}

const load: OutboxLog['load'] = async (tx, partition): Promise<PartitionState> => {
  const [row] = await tx.sql<LeaseRow>`
    select epoch, owner, expires_at, done from banyan_outbox_lease where partition = ${partition} for update`
  if (!row) throw new RangeError(`there is no partition ${partition} of the outbox`)
  const { epoch, owner, expires_at: expiresAt, done } = row
  const lease: Lease = owner === null || expiresAt === null ? { kind: 'free', epoch } : { kind: 'held', epoch, owner, expiresAt }
  return { lease, done }
}

const saveLease: OutboxLog['saveLease'] = async (tx, partition, lease) => {
  const { owner, expiresAt } = lease.kind === 'held' ? lease : { owner: null, expiresAt: null }
  await tx.sql`
    update banyan_outbox_lease set epoch = ${lease.epoch}, owner = ${owner}, expires_at = ${expiresAt} where partition = ${partition}`
}

/** Only on the server that the records were read from: on another one the position may be that of a record which nobody has sent. */
async function advance(tx: Transaction, partition: number, { epoch, done, expiresAt }: OutboxProgress, server: string): Promise<boolean> {
  const moved = await postgresTransaction(tx).run(
    `update banyan_outbox_lease set done = greatest(done, $3), expires_at = $4
     where partition = $1 and epoch = $2 and owner is not null and $5 = ${SERVER}
       and $3 <= coalesce(pg_sequence_last_value('banyan_outbox_position'), 0) returning partition`,
    [partition, epoch, done, expiresAt, server],
  )
  return moved.length > 0
}

const stats: OutboxLog['stats'] = async (tx): Promise<OutboxStats> => {
  // Counting millions takes seconds: beyond ten thousand a partition has about its share of the positions.
  const [row] = await tx.sql<{ backlog: number | null; oldestAt: number | null }>`
    select sum(case when counted <= 10000 then counted
        else greatest(counted, (pg_sequence_last_value('banyan_outbox_position') - done) / ${PARTITIONS}) end)::bigint as backlog,
      min(oldest) as "oldestAt"
    from banyan_outbox_lease l,
      lateral (select count(*) as counted from (
        select 1 from banyan_outbox o where o.part = l.partition and o.position > l.done limit 10001) as unsent) as c,
      lateral (select (select time from banyan_outbox o where o.part = l.partition and o.position > l.done order by position limit 1) as oldest) as t`
  return { backlog: row?.backlog ?? 0, oldestAt: row?.oldestAt ?? undefined }
}
