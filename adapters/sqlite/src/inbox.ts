import type { Admission, Inbox } from '@banyan/messaging/internal'

/** The inbox. SQLite's single writer holds every lane at once, until the end of the transaction. */
export function sqliteInbox(): Inbox {
  return { admit, peek, clean }
}

const admit: Inbox['admit'] = async (tx, { group, id, lane }: Admission, now) => {
  const [taken] = await tx.sql<{ parked: number }>`
    insert into banyan_inbox (grp, id, taken_at) values (${group}, ${id}, ${now}) on conflict do nothing
    returning exists (select 1 from banyan_key_queue where grp = ${group} and lane = ${lane}) as parked`
  if (!taken) return 'duplicate'
  return taken.parked ? 'parked' : 'new'
}

const peek: Inbox['peek'] = async (tx, { group, id, lane }) => {
  const [row] = await tx.sql<{ seen: number; parked: number }>`
    select exists (select 1 from banyan_inbox where grp = ${group} and id = ${id}) as seen,
      exists (select 1 from banyan_key_queue where grp = ${group} and lane = ${lane}) as parked`
  if (row?.seen) return 'duplicate'
  return row?.parked ? 'parked' : 'new'
}

const clean: Inbox['clean'] = async (tx, group, before, limit) => {
  const gone = await tx.sql`
    delete from banyan_inbox where grp = ${group} and id in (
      select id from banyan_inbox where grp = ${group} and taken_at < ${before} order by taken_at limit ${limit})
    returning 1`
  return gone.length
}
