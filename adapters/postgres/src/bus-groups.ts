import type { ReadTransaction, Transaction } from '@banyan/core'
import {
  type Assignment,
  assign,
  type BusGroups,
  type GroupMember,
  type JoinOutcome,
  PARTITIONS,
  type SavedPartition,
} from '@banyan/messaging/internal'
import { type FenceWatch, SERVER } from './fence-watch.ts'
import { type PostgresDatabase, postgresRead, postgresTransaction } from './postgres-database.ts'

/** Class of the advisory locks of groups. */
const GROUP_CLASS = 1_869_968_484

/** No lease is longer: what seems to be, was noted by a clock that has been set back since, and says nothing. */
export const LONGEST_LEASE_MS = 60_000

interface PartitionRow {
  partition: number
  member: string | null
  epoch: number
  positions: Record<string, number>
}

/** What is to be saved, on the server where it holds. */
interface Unsaved extends Omit<SavedPartition, 'setbacks'> {
  readonly server: string
}

/** How often a join looks at the fence at most: those who append at the first look are mostly done at the second. */
const LOOKS = 3

/** The groups of a bus. All leases go by the clock of the database: the members' own may differ. */
export function postgresGroups(database: PostgresDatabase, fence: FenceWatch): BusGroups {
  const ofServers = (unsaved: readonly SavedPartition[]) =>
    unsaved.map(({ setbacks, ...saved }): Unsaved => ({ ...saved, server: fence.serverOf(setbacks) }))
  return {
    async join(member, unsaved, leaseMs) {
      // Before the oldest event is asked for: what is not to be seen then, and still comes, lies behind it.
      let { final, setbacks } = await fence.look()
      for (let looks = 1; final === 0 && looks < LOOKS; looks += 1) ({ final, setbacks } = await fence.look())
      const outcome = await database.transaction((tx) => join(tx, member, ofServers(unsaved), leaseMs))
      return 'held' in outcome ? { ...outcome, oldest: Math.min(outcome.oldest, final + 1), setbacks } : outcome
    },
    look: (member) => database.read((tx) => look(tx, member)),
    async renew(handle, leaseMs) {
      const rows = await database.run<{ member: string }>(
        `update banyan_bus_members set expires_at = ${NOW} + $2 where handle = $1 returning member`,
        [handle, leaseMs],
      )
      return rows.map(({ member }) => member)
    },
    save: (work) =>
      database.transaction(async (tx) => {
        const all: number[][] = []
        for (const { member, unsaved } of work) all.push(await save(tx, member, ofServers(unsaved)))
        return all
      }),
    leave: (member, unsaved) => database.transaction((tx) => leave(tx, member, ofServers(unsaved))),
  }
}

/** Milliseconds since 1970, as the statement sees it. */
const NOW = '(extract(epoch from clock_timestamp()) * 1000)::bigint'

async function join(tx: Transaction, member: GroupMember, unsaved: readonly Unsaved[], leaseMs: number): Promise<JoinOutcome> {
  const { id, handle, group } = member
  const { run } = postgresTransaction(tx)
  await holdGroup(tx, group)
  await run(`delete from banyan_bus_members where group_name = $1 and not expires_at between ${NOW} + 1 and ${NOW} + ${LONGEST_LEASE_MS}`, [
    group,
  ])
  const types = JSON.stringify([...member.types].sort())
  const [other] = await tx.sql<{
    types: string
  }>`select types from banyan_bus_members where group_name = ${group} and types <> ${types} limit 1`
  if (other) return { otherTypes: JSON.parse(other.types) }
  await run(
    `insert into banyan_bus_members (member, handle, group_name, types, expires_at) values ($1, $2, $3, $4, ${NOW} + $5)
     on conflict (member) do update set expires_at = excluded.expires_at`,
    [id, handle, group, types, leaseMs],
  )
  await save(tx, member, unsaved)
  await tx.sql`
    insert into banyan_bus_partitions (group_name, partition, epoch, positions)
    select ${group}, partition, 0, '{}' from generate_series(0, ${PARTITIONS - 1}::int) as partition on conflict do nothing`
  const { release, take } = await planOf(tx, member)
  await run('update banyan_bus_partitions set member = null where group_name = $1 and partition = any($2::smallint[])', [group, release])
  await run('update banyan_bus_partitions set member = $3, epoch = epoch + 1 where group_name = $1 and partition = any($2::smallint[])', [
    group,
    take,
    id,
  ])
  const held = await tx.sql<PartitionRow>`
    select partition, member, epoch, positions from banyan_bus_partitions where group_name = ${group} and member = ${id} order by partition`
  const [row] = await tx.sql<{ oldest: number | null }>`select min(position) as oldest from banyan_bus_events`
  return { held: held.map(({ partition, epoch, positions }) => ({ partition, epoch, positions })), oldest: row?.oldest ?? 1 }
}

async function look(tx: ReadTransaction, member: GroupMember): ReturnType<BusGroups['look']> {
  const { id, group } = member
  const [row] = await postgresRead(tx).run<{ soonest: number | null; alive: boolean }>(
    `select min(expires_at) filter (where member <> $2 and expires_at between ${NOW} + 1 and ${NOW} + ${LONGEST_LEASE_MS}) - ${NOW} as soonest,
       coalesce(bool_or(member = $2 and expires_at > ${NOW}), false) as alive
     from banyan_bus_members where group_name = $1`,
    [group, id],
  )
  const nextExpiryMs = row?.soonest ?? Number.POSITIVE_INFINITY
  if (!row?.alive) return { changes: true, nextExpiryMs }
  const { release, take } = await planOf(tx, member)
  return { changes: release.length + take.length > 0, nextExpiryMs }
}

async function save(tx: Transaction, { id, group }: GroupMember, unsaved: readonly Unsaved[]): Promise<number[]> {
  if (unsaved.length === 0) return []
  // Nobody has handled what this server has never drawn: such a position is from another, or from before a sequence went back, and would
  // hide what comes now.
  const rows = await postgresTransaction(tx).run<{ partition: number }>(
    `update banyan_bus_partitions as p set positions = s.positions::jsonb
     from unnest($3::smallint[], $4::bigint[], $5::text[], $6::text[]) as s (partition, epoch, positions, server)
     where p.group_name = $1 and p.member = $2 and p.partition = s.partition and p.epoch = s.epoch
       and s.server = ${SERVER}
       and not exists (select from jsonb_each_text(s.positions::jsonb)
         where value::bigint > coalesce(pg_sequence_last_value('banyan_bus_position'), 0))
     returning p.partition`,
    [
      group,
      id,
      unsaved.map(({ partition }) => partition),
      unsaved.map(({ epoch }) => epoch),
      unsaved.map(({ positions }) => positions),
      unsaved.map(({ server }) => server),
    ],
  )
  return rows.map(({ partition }) => partition)
}

async function leave(tx: Transaction, member: GroupMember, unsaved: readonly Unsaved[]): Promise<void> {
  await holdGroup(tx, member.group)
  await save(tx, member, unsaved)
  await tx.sql`update banyan_bus_partitions set member = null where group_name = ${member.group} and member = ${member.id}`
  await tx.sql`delete from banyan_bus_members where member = ${member.id}`
}

/** Those who change a group take turns; READ COMMITTED, so the next statement sees what was committed meanwhile. */
async function holdGroup(tx: Transaction, group: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(${GROUP_CLASS}, hashtext(${group}))`
}

async function planOf(tx: ReadTransaction, { id, group }: GroupMember): Promise<Assignment> {
  const holdings = await tx.sql<{ partition: number; member: string | null }>`
    select partition, member from banyan_bus_partitions where group_name = ${group} order by partition`
  const alive = await postgresRead(tx).run<{ member: string }>(
    `select member from banyan_bus_members where group_name = $1 and expires_at between ${NOW} + 1 and ${NOW} + ${LONGEST_LEASE_MS}`,
    [group],
  )
  return assign(
    holdings.map(({ partition, member }) => ({ partition, member: member ?? undefined })),
    // To itself a member is alive until it has joined again, whatever clocks say.
    [...new Set([...alive.map(({ member }) => member), id])],
    id,
  )
}
