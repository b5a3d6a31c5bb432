import type { ParticipantRecord, ParticipantStore } from '@banyan/saga/internal'
import type { PostgresDatabase } from './postgres-database.ts'

/** The keys a service has handled. A key's row is locked until the end of the transaction that begins with it. */
export function postgresParticipants({ world }: PostgresDatabase): ParticipantStore {
  return { world, begin, finish, find, forget }
}

type Row = Omit<ParticipantRecord, 'fingerprint' | 'result'> & { fingerprint: string | null; result: string | null }

const begin: ParticipantStore['begin'] = async (tx, record) => {
  const { key, operation, state, fingerprint = null, result = null, at } = record
  for (;;) {
    // Waits for another transaction that has begun with the key: its row is there then, or it rolled back and the key is free.
    const [added] = await tx.sql`
      insert into banyan_participants (key, operation, state, fingerprint, result, at)
      values (${key}, ${operation}, ${state}, ${fingerprint}, ${result}, ${at}) on conflict (key) do nothing returning 1`
    if (added) return undefined
    const [row] = await tx.sql<Row>`
      select key, operation, state, fingerprint, result, at from banyan_participants where key = ${key} for update`
    // Else it was forgotten between the two.
    if (row) return recordOf(row)
  }
}

const finish: ParticipantStore['finish'] = async (tx, key, { state, result = null, at }) => {
  await tx.sql`update banyan_participants set state = ${state}, result = ${result}, at = ${at} where key = ${key}`
}

const find: ParticipantStore['find'] = async (tx, key) => {
  const [row] = await tx.sql<Row>`select key, operation, state, fingerprint, result, at from banyan_participants where key = ${key}`
  return row && recordOf(row)
}

const forget: ParticipantStore['forget'] = async (tx, operation, before, limit) => {
  const gone = await tx.sql`
    delete from banyan_participants where key = any(array(
      select key from banyan_participants where operation = ${operation} and at < ${before}
      order by at limit ${limit} for update skip locked))
    returning 1`
  return gone.length
}

function recordOf(row: Row): ParticipantRecord {
  // In a transaction of somebody else's data layer 64-bit numbers come as its driver makes them: as text, or bigint.
  return { ...row, at: Number(row.at), fingerprint: row.fingerprint ?? undefined, result: row.result ?? undefined }
}
