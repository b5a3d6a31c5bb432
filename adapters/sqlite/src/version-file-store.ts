import type { KeptOperation, VersionFileStore } from '@banyan/saga/internal'
import type { SqliteDatabase } from './sqlite-database.ts'

/** How far the operations on entities have been followed. SQLite's single writer holds every file, until the end of the transaction. */
export function sqliteVersionFiles({ world }: SqliteDatabase): VersionFileStore {
  return { world, open, keep, take, advance, waiting }
}

const open: VersionFileStore['open'] = async (tx, { entity, id }) => {
  const [row] = await tx.sql<{ version: number }>`select version from banyan_version_files where entity = ${entity} and id = ${id}`
  return row?.version ?? 0
}

const keep: VersionFileStore['keep'] = async (tx, { entity, id }, { version, operation, at }) => {
  const [added] = await tx.sql`
    insert into banyan_version_operations (entity, id, version, operation, at)
    values (${entity}, ${id}, ${version}, ${operation}, ${at}) on conflict (entity, id, version) do nothing returning 1`
  if (added) return undefined
  const [there] = await tx.sql<KeptOperation>`
    select version, operation, at from banyan_version_operations where entity = ${entity} and id = ${id} and version = ${version}`
  return there
}

const take: VersionFileStore['take'] = async (tx, { entity, id }, version) => {
  const [row] = await tx.sql<KeptOperation>`
    delete from banyan_version_operations where entity = ${entity} and id = ${id} and version = ${version}
    returning version, operation, at`
  return row
}

const advance: VersionFileStore['advance'] = async (tx, { entity, id }, version) => {
  await tx.sql`
    insert into banyan_version_files (entity, id, version) values (${entity}, ${id}, ${version})
    on conflict (entity, id) do update set version = excluded.version`
}

const waiting: VersionFileStore['waiting'] = (tx, { entity, id }, limit) => tx.sql<KeptOperation>`
  select version, operation, at from banyan_version_operations
  where entity = ${entity} and id = ${id} order by version limit ${limit}`
