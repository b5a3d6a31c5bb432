import type { Admission, Admitted, Inbox } from '@banyan/messaging/internal'
import { postgresTransaction } from './postgres-database.ts'
import { storable } from './storable.ts'

/**
 * The inbox. An advisory lock holds the lane until the end of the transaction.
 *
 * Under SERIALIZABLE the snapshot may be older than the lock. Whoever took the same message meanwhile makes this transaction fail, and
 * it runs again; so does whoever emptied the lane, or went behind what this one takes out of it.
 */
export function postgresInbox(): Inbox {
  return { admit, peek, mark, clean }
}

const admit: Inbox['admit'] = async (tx, { group, id, lane, place, old = false }: Admission, now) => {
  const [row] = await tx.sql<{ answer: Admitted }>`
    select banyan_inbox_admit(${group}, ${storable(id)}, ${storable(lane)}, ${now}, ${place?.partition ?? null}, ${place?.offset ?? null}, ${old})
      as answer`
  if (!row) throw new Error('banyan_inbox_admit gave no row')
  return row.answer
}

const peek: Inbox['peek'] = async (tx, { group, id, lane, place, old = false }) => {
  const [row] = await tx.sql<{ seen: boolean; parked: boolean }>`
    select exists (select 1 from banyan_inbox where grp = ${group} and id = ${storable(id)})
        or (${old} and exists (select 1 from banyan_inbox_marks
          where grp = ${group} and place = ${place?.partition ?? null} and place_offset >= ${place?.offset ?? null})) as seen,
      exists (select 1 from banyan_key_queue where grp = ${group} and lane = ${storable(lane)}) as parked`
  if (row?.seen) return 'duplicate'
  return row?.parked ? 'parked' : 'new'
}

const mark: Inbox['mark'] = async (tx, group, places) => {
  // In one order, so that two members of a group never wait for each other.
  const sorted = [...places].sort((one, other) => (one.partition < other.partition ? -1 : 1))
  await postgresTransaction(tx).run(
    `insert into banyan_inbox_marks (grp, place, place_offset) select $1, * from unnest($2::text[], $3::bigint[])
     on conflict (grp, place) do update set place_offset = greatest(banyan_inbox_marks.place_offset, excluded.place_offset)`,
    [group, sorted.map(({ partition }) => partition), sorted.map(({ offset }) => offset)],
  )
}

const clean: Inbox['clean'] = async (tx, group, before, limit) => {
  const [row] = await tx.sql<{ gone: number }>`
    with old as (
      select i.id from banyan_inbox i left join banyan_inbox_marks m on m.grp = i.grp and m.place = i.place
      where i.grp = ${group} and i.taken_at < ${before} and (i.place is null or i.place_offset <= m.place_offset)
      order by i.taken_at limit ${limit}),
    gone as (delete from banyan_inbox where grp = ${group} and id in (select id from old) returning 1)
    select count(*) as gone from gone`
  return row?.gone ?? 0
}
