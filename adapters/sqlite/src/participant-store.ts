import type { ParticipantRecord, ParticipantStore } from '@banyan/saga/internal'
import type { SqliteDatabase } from './sqlite-database.ts'

/** The keys a service has handled. SQLite's single writer holds every key, until the end of the transaction. */
export function sqliteParticipants({ world }: SqliteDatabase): ParticipantStore {
  return { world, begin, finish, find, forget }
}

type Row = Omit<ParticipantRecord, 'fingerprint' | 'result'> & { fingerprint: string | null; result: string | null }

const find: ParticipantStore['find'] = async (tx, key) => {
  const [row] = await tx.sql<Row>`select key, operation, state, fingerprint, result, at from banyan_participants where key = ${key}`
  return row && { ...row, fingerprint: row.fingerprint ?? undefined, result: row.result ?? undefined }
}

const begin: ParticipantStore['begin'] = async (tx, { key, operation, state, fingerprint = null, result = null, at }) => {
  const [added] = await tx.sql`
    insert into banyan_participants (key, operation, state, fingerprint, result, at)
    values (${key}, ${operation}, ${state}, ${fingerprint}, ${result}, ${at}) on conflict (key) do nothing returning 1`
  return added ? undefined : find(tx, key)
}

const finish: ParticipantStore['finish'] = async (tx, key, { state, result = null, at }) => {
  await tx.sql`update banyan_participants set state = ${state}, result = ${result}, at = ${at} where key = ${key}`
}

const forget: ParticipantStore['forget'] = async (tx, operation, before, limit) => {
  const gone = await tx.sql`
    delete from banyan_participants where key in (
      select key from banyan_participants where operation = ${operation} and at < ${before} order by at limit ${limit})
    returning 1`
  return gone.length
}
