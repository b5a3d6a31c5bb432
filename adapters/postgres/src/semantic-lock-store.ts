import type { SemanticLockRecord, SemanticLockStore } from '@banyan/saga/internal'
import type { PostgresDatabase } from './postgres-database.ts'

/** The entities that sagas have locked. */
export function postgresSemanticLocks({ world }: PostgresDatabase): SemanticLockStore {
  return { world, take, find, drop, list }
}

type LockRow = Omit<SemanticLockRecord, 'stash'> & { stash: string | null }

function recordOf({ stash, at, ...row }: LockRow): SemanticLockRecord {
  // In a transaction of somebody else's data layer 64-bit numbers come as its driver makes them: as text, or bigint.
  return { ...row, stash: stash ?? undefined, at: Number(at) }
}

const find: SemanticLockStore['find'] = async (tx, entity, id) => {
  const [row] = await tx.sql<LockRow>`
    select entity, id, holder, stash, at from banyan_semantic_locks where entity = ${entity} and id = ${id}`
  return row && recordOf(row)
}

const take: SemanticLockStore['take'] = async (tx, lock) => {
  for (;;) {
    const [added] = await tx.sql`
      insert into banyan_semantic_locks (entity, id, holder, stash, at)
      values (${lock.entity}, ${lock.id}, ${lock.holder}, ${lock.stash ?? null}, ${lock.at})
      on conflict (entity, id) do nothing returning 1`
    if (added) return undefined
    const [there] = await tx.sql<LockRow>`
      select entity, id, holder, stash, at from banyan_semantic_locks where entity = ${lock.entity} and id = ${lock.id} for update`
    // Under READ COMMITTED it may have been released in between: then it is free.
    if (there) return recordOf(there)
  }
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
    where (${entity}::text is null or entity = ${entity}) and (${holder}::text is null or holder = ${holder})
    order by at, entity, id limit ${limit}`
  return rows.map(recordOf)
}
