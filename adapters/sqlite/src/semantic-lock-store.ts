import type { SemanticLockRecord, SemanticLockStore } from '@banyan/saga/internal'
import type { SqliteDatabase } from './sqlite-database.ts'

/** The entities that sagas have locked. SQLite's single writer holds every lock, until the end of the transaction. */
export function sqliteSemanticLocks({ world }: SqliteDatabase): SemanticLockStore {
  return { world, take, find, drop, list }
}

type LockRow = Omit<SemanticLockRecord, 'stash'> & { stash: string | null }

function recordOf({ stash, ...row }: LockRow): SemanticLockRecord {
  return { ...row, stash: stash ?? undefined }
}

const find: SemanticLockStore['find'] = async (tx, entity, id) => {
  const [row] = await tx.sql<LockRow>`
    select entity, id, holder, stash, at from banyan_semantic_locks where entity = ${entity} and id = ${id}`
  return row && recordOf(row)
}

const take: SemanticLockStore['take'] = async (tx, { entity, id, holder, stash = null, at }) => {
  const [added] = await tx.sql`
    insert into banyan_semantic_locks (entity, id, holder, stash, at) values (${entity}, ${id}, ${holder}, ${stash}, ${at})
    on conflict (entity, id) do nothing returning 1`
  return added ? undefined : find(tx, entity, id)
}

const drop: SemanticLockStore['drop'] = async (tx, entity, id, holder) => {
  const [row] = await tx.sql<LockRow>`
    delete from banyan_semantic_locks where entity = ${entity} and id = ${id} and holder = ${holder}
    returning entity, id, holder, stash, at`
  return row && recordOf(row)
}

const list: SemanticLockStore['list'] = async (tx, { entity = null, holder = null }, limit) => {
  const rows = await tx.sql<LockRow>`
    select entity, id, holder, stash, at from banyan_semantic_locks
    where (${entity} is null or entity = ${entity}) and (${holder} is null or holder = ${holder})
    order by at, entity, id limit ${limit}`
  return rows.map(recordOf)
}
