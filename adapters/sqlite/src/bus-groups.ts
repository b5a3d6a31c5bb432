import type { ReadTransaction, Transaction } from '@banyan/core'
import { type Assignment, assign, type GroupMember, type HeldPartition, PARTITIONS, type SavedPartition } from '@banyan/messaging/internal'

/** No lease is longer: what seems to be, was noted by a clock that has been set back since, and says nothing. */
export const LONGEST_LEASE_MS = 60_000

interface PartitionRow {
  partition: number
  member: string | null
  epoch: number
  positions: string
}

/**
 * Makes a member known, keeps it alive until `now + leaseMs`, and takes or gives back partitions until it has its share.
 * Call it between batches: what it gives back must not be in anybody's hands. `unsaved` is written first, under the old epochs.
 */
export async function joinGroup(
  tx: Transaction,
  member: GroupMember,
  unsaved: readonly SavedPartition[],
  now: number,
  leaseMs: number,
): Promise<{ held: readonly HeldPartition[] } | { otherTypes: readonly string[] }> {
  const { id, handle, group } = member
  const types = typesText(member)
  await tx.sql`delete from banyan_bus_members where group_name = ${group} and (expires_at <= ${now} or expires_at > ${now + LONGEST_LEASE_MS})`
  const [other] = await tx.sql<{
    types: string
  }>`select types from banyan_bus_members where group_name = ${group} and types <> ${types} limit 1`
  if (other) return { otherTypes: JSON.parse(other.types) }
  await tx.sql`
    insert into banyan_bus_members (member, handle, group_name, types, expires_at) values (${id}, ${handle}, ${group}, ${types}, ${now + leaseMs})
    on conflict (member) do update set expires_at = excluded.expires_at`
  await savePositions(tx, member, unsaved)
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    await tx.sql`insert or ignore into banyan_bus_partitions (group_name, partition, epoch, positions) values (${group}, ${partition}, 0, '{}')`
  }
  const { release, take } = await planOf(tx, member, now)
  for (const partition of release) {
    await tx.sql`update banyan_bus_partitions set member = null where group_name = ${group} and partition = ${partition}`
  }
  for (const partition of take) {
    await tx.sql`update banyan_bus_partitions set member = ${id}, epoch = epoch + 1 where group_name = ${group} and partition = ${partition}`
  }
  const rows = await tx.sql<PartitionRow>`
    select partition, member, epoch, positions from banyan_bus_partitions where group_name = ${group} and member = ${id} order by partition`
  return { held: rows.map(({ partition, epoch, positions }) => ({ partition, epoch, positions: JSON.parse(positions) })) }
}

/** What would change if the member joined again now, and when the first of the others may be taken for dead. */
export async function lookAtGroup(
  tx: ReadTransaction,
  member: GroupMember,
  now: number,
): Promise<{ changes: boolean; nextExpiry: number }> {
  const [next] = await tx.sql<{ expiry: number | null }>`
    select min(expires_at) as expiry from banyan_bus_members where group_name = ${member.group} and member <> ${member.id}
      and expires_at > ${now} and expires_at <= ${now + LONGEST_LEASE_MS}`
  const nextExpiry = next?.expiry ?? Number.POSITIVE_INFINITY
  const [me] = await tx.sql`select 1 from banyan_bus_members where member = ${member.id} and expires_at > ${now}`
  if (!me) return { changes: true, nextExpiry }
  const { release, take } = await planOf(tx, member, now)
  return { changes: release.length + take.length > 0, nextExpiry }
}

/**
 * Writes how far a member has come, where it still holds the partition under the same epoch.
 *
 * @returns the partitions that were written; the others belong to somebody else now
 */
export async function savePositions(tx: Transaction, { id, group }: GroupMember, unsaved: readonly SavedPartition[]): Promise<number[]> {
  if (unsaved.length === 0) return []
  const rows = await tx.sql<{ partition: number }>`
    update banyan_bus_partitions as p set positions = j.value ->> 'positions'
    from json_each(${JSON.stringify(unsaved)}) as j
    where p.group_name = ${group} and p.member = ${id} and p.partition = j.value ->> 'partition' and p.epoch = j.value ->> 'epoch'
    returning partition`
  return rows.map(({ partition }) => partition)
}

/** Keeps all members of a handle alive. @returns those that still are members */
export async function renewMembers(tx: Transaction, handle: string, expiresAt: number): Promise<string[]> {
  const rows = await tx.sql<{ member: string }>`
    update banyan_bus_members set expires_at = ${expiresAt} where handle = ${handle} returning member`
  return rows.map(({ member }) => member)
}

/** Gives everything back. */
export async function leaveGroup(tx: Transaction, member: GroupMember, unsaved: readonly SavedPartition[]): Promise<void> {
  await savePositions(tx, member, unsaved)
  await tx.sql`update banyan_bus_partitions set member = null where group_name = ${member.group} and member = ${member.id}`
  await tx.sql`delete from banyan_bus_members where member = ${member.id}`
}

async function planOf(tx: ReadTransaction, { id, group }: GroupMember, now: number): Promise<Assignment> {
  const holdings = await tx.sql<{ partition: number; member: string | null }>`
    select partition, member from banyan_bus_partitions where group_name = ${group} order by partition`
  const alive = await tx.sql<{ member: string }>`select member 
    from banyan_bus_members where group_name = ${group} and expires_at > ${now} and expires_at <= ${now + LONGEST_LEASE_MS}`
  return assign(
    holdings.map(({ partition, member }) => ({ partition, member: member ?? undefined })),
    // To itself a member is alive until it has joined again, whatever clocks say.
    [...new Set([...alive.map(({ member }) => member), id])],
    id,
  )
}

function typesText({ types }: GroupMember): string {
  return JSON.stringify([...new Set(types)].sort())
}
