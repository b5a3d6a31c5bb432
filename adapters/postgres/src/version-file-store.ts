import type { KeptOperation, VersionFileStore } from '@banyan/saga/internal'
import type { PostgresDatabase } from './postgres-database.ts'

/** How far the operations on entities have been followed. */
export function postgresVersionFiles({ world }: PostgresDatabase): VersionFileStore {
  return { world, open, keep, take, advance, waiting }
}

const open: VersionFileStore['open'] = async (tx, { entity, id }) => {
  // Writes also where nothing changes: that locks the row, and makes one to lock.
  const [row] = await tx.sql<{ version: Whole }>`
    insert into banyan_version_files as file (entity, id, version) values (${entity}, ${id}, 0)
    on conflict (entity, id) do update set version = file.version returning version`
  return Number(row?.version ?? 0)
}

const keep: VersionFileStore['keep'] = async (tx, { entity, id }, { version, operation, at }) => {
  const [added] = await tx.sql`
    insert into banyan_version_operations (entity, id, version, operation, at)
    values (${entity}, ${id}, ${version}, ${operation}, ${at}) on conflict (entity, id, version) do nothing returning 1`
  if (added) return undefined
  const [there] = await tx.sql<Row>`
    select version, operation, at from banyan_version_operations where entity = ${entity} and id = ${id} and version = ${version}`
  return there && keptOf(there)
}

const take: VersionFileStore['take'] = async (tx, { entity, id }, version) => {
  const [row] = await tx.sql<Row>`
    delete from banyan_version_operations where entity = ${entity} and id = ${id} and version = ${version}
    returning version, operation, at`
  return row && keptOf(row)
}

const advance: VersionFileStore['advance'] = async (tx, { entity, id }, version) => {
  await tx.sql`
    insert into banyan_version_files (entity, id, version) values (${entity}, ${id}, ${version})
    on conflict (entity, id) do update set version = excluded.version`
}

const waiting: VersionFileStore['waiting'] = async (tx, { entity, id }, limit) => {
  const rows = await tx.sql<Row>`
    select version, operation, at from banyan_version_operations
    where entity = ${entity} and id = ${id} order by version limit ${limit}`
  return rows.map(keptOf)
}

/** In a transaction of somebody else's data layer 64-bit numbers come as its driver makes them: as text, or bigint. */
type Whole = number | bigint | string

interface Row {
  version: Whole
  operation: string
  at: Whole
}

function keptOf({ version, operation, at }: Row): KeptOperation {
  return { version: Number(version), operation, at: Number(at) }
}
