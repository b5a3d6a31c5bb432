import type { ReadTransaction } from '@banyan/core'
import type { Admission, Inbox } from '@banyan/messaging/internal'

/** The inbox. SQLite's single writer holds every lane at once, until the end of the transaction. */
export function sqliteInbox(): Inbox {
  return { admit, peek, mark, clean }
}

const admit: Inbox['admit'] = async (tx, admission, now) => {
  if (await isPast(tx, admission)) return 'duplicate'
  const { group, id, lane, place } = admission
  const [taken] = await tx.sql<{ parked: number }>`
    insert into banyan_inbox (grp, id, taken_at, place, place_offset)
    values (${group}, ${id}, ${now}, ${place?.partition ?? null}, ${place?.offset ?? null}) on conflict do nothing
    returning exists (select 1 from banyan_key_queue where grp = ${group} and lane = ${lane}) as parked`
  if (!taken) return 'duplicate'
  return taken.parked ? 'parked' : 'new'
}

const peek: Inbox['peek'] = async (tx, admission) => {
  if (await isPast(tx, admission)) return 'duplicate'
  const { group, id, lane } = admission
  const [row] = await tx.sql<{ seen: number; parked: number }>`
    select exists (select 1 from banyan_inbox where grp = ${group} and id = ${id}) as seen,
      exists (select 1 from banyan_key_queue where grp = ${group} and lane = ${lane}) as parked`
  if (row?.seen) return 'duplicate'
  return row?.parked ? 'parked' : 'new'
}

/** Whether a mark says that an old message is settled. */
async function isPast(tx: ReadTransaction, { group, place, old }: Admission): Promise<boolean> {
  if (!old || !place) return false
  const rows = await tx.sql`
    select 1 from banyan_inbox_marks where grp = ${group} and place = ${place.partition} and place_offset >= ${place.offset}`
  return rows.length > 0
}

const mark: Inbox['mark'] = async (tx, group, places) => {
  for (const { partition, offset } of places)
    await tx.sql`
      insert into banyan_inbox_marks (grp, place, place_offset) values (${group}, ${partition}, ${offset})
      on conflict (grp, place) do update set place_offset = max(place_offset, excluded.place_offset)`
}

const clean: Inbox['clean'] = async (tx, group, before, limit) => {
  const gone = await tx.sql`
    delete from banyan_inbox where grp = ${group} and id in (
      select i.id from banyan_inbox i left join banyan_inbox_marks m on m.grp = i.grp and m.place = i.place
      where i.grp = ${group} and i.taken_at < ${before} and (i.place is null or i.place_offset <= m.place_offset)
      order by i.taken_at limit ${limit})
    returning 1`
  return gone.length
}
