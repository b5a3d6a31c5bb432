import type { ReadTransaction } from '@banyan/core'
import { type AuditRecord, type DeadLetterStore, type ParkedRow, type ParkedStats, parkedMessageOf } from '@banyan/messaging/internal'

/** The people's side of the key queue. */
export function sqliteDeadLetters(): DeadLetterStore {
  return { find, followers, audit, history, stats }
}

const find: DeadLetterStore['find'] = async (tx, { id = null, group = null, type = null, key = null, reason = null }, after, limit) => {
  const rows = await tx.sql<ParkedRow>`
    select * from banyan_key_queue
    where state = 'dead' and position > ${after}
      and (${id} is null or position = ${id}) and (${group} is null or grp = ${group}) and (${type} is null or type = ${type})
      and (${key} is null or key = ${key}) and (${reason} is null or reason = ${reason})
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
    values (${deadLetter}, ${action}, ${by}, ${why}, ${at}, ${group}, ${messageId}, ${raw})`
}

const history: DeadLetterStore['history'] = (tx, deadLetter, limit) => tx.sql<AuditRecord>`
  select dead_letter as "deadLetter", action, decided_by as "by", why, at, grp as "group", message_id as "messageId", raw
  from banyan_dead_letter_audit where ${deadLetter ?? null} is null or dead_letter = ${deadLetter ?? null}
  order by id desc limit ${limit}`

async function stats(tx: ReadTransaction): Promise<ParkedStats[]> {
  // Each parked lane has exactly one row that does not wait: its first.
  const rows = await tx.sql<Omit<ParkedStats, 'oldestDeadAt'> & { oldestDeadAt: number | null }>`
    select grp as "group", sum(state <> 'waiting') as "parkedKeys", sum(state = 'dead') as "deadLetters",
      sum(state <> 'dead') as waiting, min(case when state = 'dead' then parked_at end) as "oldestDeadAt"
    from banyan_key_queue group by grp order by grp`
  return rows.map(({ oldestDeadAt, ...row }) => ({ ...row, oldestDeadAt: oldestDeadAt ?? undefined }))
}
