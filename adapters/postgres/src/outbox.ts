import type { Transaction } from '@banyan/core'
import type { Lease, Outbox, OutboxEntry, OutboxLog, OutboxProgress, OutboxStats, PartitionState } from '@banyan/messaging/internal'
import type { FenceState } from './fence.ts'
import { type FencedLog, fenceWatch, SERVER } from './fence-watch.ts'
import { joinNumbers, joinTexts, numbersOf, textsOf } from './joined.ts'
import { wakeUps } from './notify.ts'
import { type PostgresDatabase, postgresTransaction } from './postgres-database.ts'
import { storable } from './storable.ts'

/** Relay partitions; the table of leases has a row for each. */
const PARTITIONS = 4

/**
 * PostgreSQL gives a statement that inserts the lock of its table before the statement runs, so none has to be asked for. The table that has
 * the name now: before one becomes a segment, all who have written there are through.
 */
const LOG: FencedLog = {
  sequence: 'banyan_outbox_position',
  lock: "locktype = 'relation' and mode = 'RowExclusiveLock' and relation = to_regclass('banyan_outbox')",
}

/** Sent together with COMMIT. The positions are drawn in the statement that inserts, never before it. */
const APPEND = `
  with records as (
    select * from unnest($1::smallint[], $2::text[]) with ordinality as r (part, body, n) order by n)
  insert into banyan_outbox (position, part, body)
  select nextval('banyan_outbox_position'), part, body from records`

/** The same for one record, as most transactions have: no arrays to take apart, a third less work for the server. */
const APPEND_ONE = `
  insert into banyan_outbox (position, part, body) values (nextval('banyan_outbox_position'), $1::smallint, $2::text)`

const NOBODY: ReadonlySet<number> = new Set()
const ONLY: readonly ReadonlySet<number>[] = Array.from({ length: PARTITIONS }, (_, part) => new Set([part]))

/** The writing side of the outbox. */
export function postgresOutbox(database: PostgresDatabase): Outbox {
  const listeners = new Set<(partitions: ReadonlySet<number>) => void>()
  const others = wakeUps(database, 'banyan_outbox')
  function appended(partitions: ReadonlySet<number>): void {
    for (const wake of listeners) wake(partitions)
    others.tell()
  }
  return {
    source: database.name,
    world: database.world,
    async append(tx, records) {
      const { withCommit } = postgresTransaction(tx)
      const [only] = records
      if (only && records.length === 1) {
        const part = partitionOf(only.key)
        withCommit(APPEND_ONE, [part, storable(only.body)], () => appended(ONLY[part] ?? NOBODY))
        return
      }
      const parts = records.map(({ key }) => partitionOf(key))
      withCommit(APPEND, [parts, records.map(({ body }) => storable(body))], () => appended(new Set(parts)))
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

/**
 * Begins a new segment of the outbox, or drops one that is sent. For both it waits 100 ms at most for whoever uses the table: others wait
 * behind it.
 */
const TIDY = [{ text: 'set local lock_timeout = 100' }, { text: 'select banyan_outbox_tidy()' }]

/** The reading side of the outbox. */
export function postgresOutboxLog(database: PostgresDatabase, mostBytes: number = MOST_BYTES): OutboxLog {
  const fence = fenceWatch(database, LOG)
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
      await database.runAll(TIDY, { atomic: true })
    },
    stats,
  }
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
  const from = after === undefined ? '(select done from banyan_outbox_progress where partition = $1)' : '$5::bigint'
  const text = `
    select ${joinNumbers('position')} filter (where before < $4) as positions,
      ${joinTexts('body')} filter (where before < $4) as bodies, count(*) as found, ${SERVER} as server from (
      select position, body,
        sum(octet_length(body)) over (order by position rows unbounded preceding) - octet_length(body) as before
      from (select position, body from banyan_outbox
        where part = $1 and position > ${from} and position <= $2 order by position limit $3) as upcoming) as entries`
  const values = [partition, final, limit, mostBytes]
  const [row] = await database.run<Joined>(text, after === undefined ? values : [...values, after])
  if (!row) throw new Error('a count of events gave no row')
  const { positions, bodies, found, server } = row
  const texts = textsOf(bodies)
  const entries = numbersOf(positions).map((position, index) => ({ position, body: texts[index] ?? '' }))
  return { entries, isAll: found < limit && entries.length === found, server }
}

interface Joined {
  readonly positions: string | null
  readonly bodies: string | null
  readonly found: number
  readonly server: string
}

interface LeaseRow {
  epoch: number
  owner: string | null
  expires_at: number | null
  done: number
}

const load: OutboxLog['load'] = async (tx, partition): Promise<PartitionState> => {
  const [row] = await tx.sql<LeaseRow>`
    select epoch, owner, expires_at, done from banyan_outbox_progress where partition = ${partition} for update`
  if (!row) throw new RangeError(`there is no partition ${partition} of the outbox`)
  const { epoch, owner, expires_at: expiresAt, done } = row
  const lease: Lease = owner === null || expiresAt === null ? { kind: 'free', epoch } : { kind: 'held', epoch, owner, expiresAt }
  return { lease, done }
}

const saveLease: OutboxLog['saveLease'] = async (tx, partition, lease) => {
  const { owner, expiresAt } = lease.kind === 'held' ? lease : { owner: null, expiresAt: null }
  await tx.sql`
    update banyan_outbox_progress set epoch = ${lease.epoch}, owner = ${owner}, expires_at = ${expiresAt} where partition = ${partition}`
}

/** Only on the server that the records were read from: on another one the position may be that of a record which nobody has sent. */
async function advance(tx: Transaction, partition: number, { epoch, done, expiresAt }: OutboxProgress, server: string): Promise<boolean> {
  const moved = await postgresTransaction(tx).run(
    `update banyan_outbox_progress set done = greatest(done, $3), expires_at = $4
     where partition = $1 and epoch = $2 and owner is not null and $5 = ${SERVER}
       and $3 <= coalesce(pg_sequence_last_value('banyan_outbox_position'), 0) returning partition`,
    [partition, epoch, done, expiresAt, server],
  )
  return moved.length > 0
}

/** Behind four texts: see `outbox-body.ts`. A parameter, since a server with the strings of old would take the backslashes away. */
const TIME = '^\\[(?:"(?:[^"\\\\]|\\\\.)*",){4}(-?\\d{1,16})'

const stats: OutboxLog['stats'] = async (tx): Promise<OutboxStats> => {
  // Counting millions takes seconds: beyond ten thousand a partition has about its share of the positions.
  // When an event was published stands in its body; in a column only where a publisher of an older version has written it.
  const [row] = await tx.sql<{ backlog: number | null; oldestAt: number | null }>`
    select sum(case when counted <= 10000 then counted
        else greatest(counted, (pg_sequence_last_value('banyan_outbox_position') - done) / ${PARTITIONS}) end)::bigint as backlog,
      min(oldest) as "oldestAt"
    from banyan_outbox_progress l,
      lateral (select count(*) as counted from (
        select 1 from banyan_outbox o where o.part = l.partition and o.position > l.done limit 10001) as unsent) as c,
      lateral (select (
        select coalesce(time, substring(body from ${TIME})::bigint) from banyan_outbox o
        where o.part = l.partition and o.position > l.done order by position limit 1) as oldest) as t`
  return { backlog: row?.backlog ?? 0, oldestAt: row?.oldestAt ?? undefined }
}
