import type { ReadTransaction } from '@banyan/core'
import { type AuditRecord, type DeadLetterStore, type ParkedRow, type ParkedStats, parkedMessageOf } from '@banyan/messaging/internal'
import { orNull, storable } from './storable.ts'

/** The people's side of the key queue. */
export function postgresDeadLetters(): DeadLetterStore {
  return { find, followers, audit, history, stats }
}

const find: DeadLetterStore['find'] = async (tx, { id = null, reason = null, ...texts }, after, limit) => {
  const [group, type, key] = [orNull(texts.group), orNull(texts.type), orNull(texts.key)]
  const rows = await tx.sql<ParkedRow>`
    select * from banyan_key_queue
    where state = 'dead' and position > ${after}
      and (${id}::bigint is null or position = ${id}) and (${group}::text is null or grp = ${group}) and (${type}::text is null or type = ${type})
      and (${key}::text is null or key = ${key}) and (${reason}::text is null or reason = ${reason})
    order by position limit ${limit}`
  return rows.map(parkedMessageOf)
}

const followers: DeadLetterStore['followers'] = async (tx, group, lane) => {
  const [row] = await tx.sql<{ count: number }>`
    select count(*) as count from banyan_key_queue where grp = ${group} and lane = ${lane} and state = 'waiting'`
  return row?.count ?? 0
}

const audit: DeadLetterStore['audit'] = async (tx, { deadLetter, action, by, why, at, group, messageId, raw }) => {
  await tx.sql`
    insert into banyan_dead_letter_audit (dead_letter, action, decided_by, why, at, grp, message_id, raw)
    values (${deadLetter}, ${action}, ${storable(by)}, ${storable(why)}, ${at}, ${group}, ${storable(messageId)}, ${raw})`
}

const history: DeadLetterStore['history'] = (tx, deadLetter, limit) => tx.sql<AuditRecord>`
  select dead_letter as "deadLetter", action, decided_by as "by", why, at, grp as "group", message_id as "messageId", raw
  from banyan_dead_letter_audit where ${deadLetter ?? null}::bigint is null or dead_letter = ${deadLetter ?? null}
  order by id desc limit ${limit}`

async function stats(tx: ReadTransaction): Promise<ParkedStats[]> {
  // Each parked lane has exactly one row that does not wait: its first.
  const rows = await tx.sql<Omit<ParkedStats, 'oldestDeadAt'> & { oldestDeadAt: number | null }>`
    select grp as "group", count(*) filter (where state <> 'waiting') as "parkedKeys", count(*) filter (where state = 'dead') as "deadLetters",
      count(*) filter (where state <> 'dead') as waiting, min(parked_at) filter (where state = 'dead') as "oldestDeadAt"
    from banyan_key_queue group by grp order by grp`
  return rows.map(({ oldestDeadAt, ...row }) => ({ ...row, oldestDeadAt: oldestDeadAt ?? undefined }))
}
