import type { ReadTransaction, Transaction } from '@banyan/core'
import type { Lease, Outbox, OutboxEntry, OutboxLog, OutboxStats, PartitionState } from '@banyan/messaging/internal'
import { type SqliteDatabase, sqliteTransaction } from './sqlite-database.ts'

/** Sent rows dropped with each step of the relay, or twice what the step brought where that is more: few enough to take milliseconds. */
const DROPPED_AT_ONCE = 2_000

/** How much of events one read brings, bytes, and one event more: they are in memory all at once, and those of the next read beside them. */
const MOST_BYTES = 16_777_216

/** The writing side of the outbox. One writer at a time, so the order of positions is the order of commits. */
export function sqliteOutbox(database: SqliteDatabase): Outbox {
  const listeners = new Set<() => void>()
  const wakeAll = () => {
    for (const wake of listeners) wake()
  }
  return {
    source: database.name,
    world: database.world,
    async append(tx, records) {
      // With the rows of all that share the commit: each commit writes to the end of the table once.
      sqliteTransaction(tx).withCommit((sql) => {
        for (const { type, key, body, time } of records)
          sql`insert into banyan_outbox (type, key, body, time) values (${type}, ${key}, ${body}, ${time})`
      }, wakeAll)
    },
    onAppend(wake) {
      listeners.add(wake)
      return () => listeners.delete(wake)
    },
  }
}

/** The reading side of the outbox: one partition, since one file has one disk and one writer. */
export function sqliteOutboxLog(database: SqliteDatabase, mostBytes: number = MOST_BYTES): OutboxLog {
  return {
    partitions: 1,
    gatherMs: 0,
    load,
    saveLease,
    advance,
    read: (partition, after, limit) => database.read((tx) => read(tx, { partition, after, limit, mostBytes })),
    // Each step of the relay drops a part of what is sent.
    tidy: async () => {},
    stats,
  }
}

interface LeaseRow {
  epoch: number
  owner: string | null
  expires_at: number | null
  done: number
}

async function load(tx: Transaction, partition: number): Promise<PartitionState> {
  const [row] = await tx.sql<LeaseRow>`select epoch, owner, expires_at, done from banyan_outbox_lease where partition = ${partition}`
  if (!row) throw new RangeError(`there is no partition ${partition} of the outbox`)
  const { epoch, owner, expires_at: expiresAt, done } = row
  const lease: Lease = owner === null || expiresAt === null ? { kind: 'free', epoch } : { kind: 'held', epoch, owner, expiresAt }
  return { lease, done }
}

async function saveLease(tx: Transaction, partition: number, lease: Lease): Promise<void> {
  const { owner, expiresAt } = lease.kind === 'held' ? lease : { owner: null, expiresAt: null }
  await tx.sql`
    update banyan_outbox_lease set epoch = ${lease.epoch}, owner = ${owner}, expires_at = ${expiresAt} where partition = ${partition}`
}

const advance: OutboxLog['advance'] = async (tx, partition, { epoch, done, expiresAt }) => {
  const [before] = await tx.sql<{ done: number }>`
    select done from banyan_outbox_lease where partition = ${partition} and epoch = ${epoch} and owner is not null
      and ${done} <= max(done, coalesce((select max(position) from banyan_outbox), 0))`
  if (!before) return false
  await tx.sql`update banyan_outbox_lease set done = max(done, ${done}), expires_at = ${expiresAt} where partition = ${partition}`
  const dropped = Math.max(DROPPED_AT_ONCE, 2 * (done - before.done))
  // The newest row stays, also when it is sent: the next position is the one above it.
  await tx.sql`
    delete from banyan_outbox
    where position <= ${done} and position < (select min(position) from banyan_outbox) + ${dropped}
      and position < (select max(position) from banyan_outbox)`
  return true
}

interface Range {
  readonly partition: number
  readonly after: number | undefined
  readonly limit: number
  readonly mostBytes: number
}

/** How long a text is stands in its row's head, so the bodies of those that are left for the next time are not touched. */
function read(tx: ReadTransaction, { partition, after, limit, mostBytes }: Range): Promise<OutboxEntry[]> {
  return tx.sql<OutboxEntry>`
    with upcoming as (
      select position, octet_length(body) as bytes from banyan_outbox
      where position > coalesce(${after ?? null}, (select done from banyan_outbox_lease where partition = ${partition}))
      order by position limit ${limit}),
    measured as (
      select position, sum(bytes) over (order by position rows unbounded preceding) - bytes as before from upcoming),
    ends as (select min(position) as first, max(position) as last from measured where before < ${mostBytes})
    select position, body from banyan_outbox
    where position between (select first from ends) and (select last from ends)
    order by position`
}

const stats: OutboxLog['stats'] = async (tx): Promise<OutboxStats> => {
  // Positions have no holes (a rolled back one is given again), so their difference is the number, however many there are.
  const [row] = await tx.sql<{ backlog: number; oldestAt: number | null }>`
    select max(0, coalesce((select max(position) from banyan_outbox), 0) - done) as backlog,
      (select time from banyan_outbox where position > done order by position limit 1) as oldestAt
    from banyan_outbox_lease where partition = 0`
  return { backlog: row?.backlog ?? 0, oldestAt: row?.oldestAt ?? undefined }
}
