import { createHash } from 'node:crypto'
import { type Migration, messageOf } from '@banyan/core'
import type { Connection } from './connection.ts'
import { controlOf, shorten, statementsOf } from './sql-text.ts'
import { SqliteError } from './sqlite-error.ts'

const TABLE = 'create table if not exists banyan_migrations (id text primary key, hash text not null, ran_at text not null) without rowid'

/**
 * The migrations that have not run yet.
 *
 * @throws {TypeError} when two of the list share an id
 * @throws {SqliteError} `ERR_MIGRATION_CHANGED` when one that has run was edited since
 */
export function pendingMigrations(connection: Connection, migrations: readonly Migration[]): Migration[] {
  const seen = new Set<string>()
  for (const { id } of migrations) {
    if (seen.has(id)) throw new TypeError(`cannot migrate: two migrations are called "${id}"`)
    seen.add(id)
  }
  const ran = new Map(ranMigrations(connection).map(({ id, hash }) => [id, hash]))
  return migrations.filter((migration) => {
    const hash = ran.get(migration.id)
    if (hash === undefined) return true
    if (hash === hashOf(migration)) return false
    throw new SqliteError(
      'ERR_MIGRATION_CHANGED',
      `cannot migrate: "${migration.id}" has run before and its SQL is another now; put it back as it was and add a new migration`,
    )
  })
}

/**
 * Runs one migration, inside the transaction that is open, unless another process has done so meanwhile.
 *
 * @throws {SqliteError} `ERR_MIGRATION_CHANGED`, `ERR_MIGRATION_FAILED`
 */
export function runMigration(connection: Connection, migration: Migration, nowMs: number): void {
  connection.exec(TABLE)
  if (pendingMigrations(connection, [migration]).length === 0) return
  for (const statement of statementsOf(migration.sql)) assertFits(migration, statement)
  try {
    connection.exec(migration.sql)
  } catch (cause) {
    throw failed(migration, messageOf(cause), cause)
  }
  const ranAt = new Date(nowMs).toISOString()
  connection.sql`insert into banyan_migrations (id, hash, ran_at) values (${migration.id}, ${hashOf(migration)}, ${ranAt})`
}

/** The settings that are kept in the file, end with the transaction, or do no more than refuse a page. */
const HARMLESS = /^pragma\s+(?:\w+\s*\.\s*)?(?:application_id|user_version|defer_foreign_keys|max_page_count)\b/i

/** Before any of it has run: a COMMIT in the middle would also store half of those that share the transaction, who would be told otherwise. */
function assertFits(migration: Migration, statement: string): void {
  const control = controlOf(statement)
  if (control === undefined || HARMLESS.test(statement)) return
  if (control !== 'PRAGMA') throw failed(migration, `${control} is not for a migration, which is one transaction; leave it out`)
  throw failed(
    migration,
    `"${shorten(statement)}" is not for a migration: it does nothing inside a transaction, or is forgotten when this process closes the database; to rebuild a table that rows of others refer to, copy those aside, delete them, and put them back behind it`,
  )
}

function failed({ id }: Migration, why: string, cause?: unknown): SqliteError {
  return new SqliteError('ERR_MIGRATION_FAILED', `cannot run migration "${id}": ${why}`, { cause })
}

function ranMigrations(connection: Connection): { id: string; hash: string }[] {
  const [table] = connection.sql`select 1 from sqlite_schema where type = 'table' and name = 'banyan_migrations'`
  return table ? connection.sql<{ id: string; hash: string }>`select id, hash from banyan_migrations` : []
}

/** Line ends and space around do not count: a checkout on another system must not look like an edit. */
function hashOf({ sql }: Migration): string {
  return createHash('sha256').update(sql.replace(/\r\n/g, '\n').trim()).digest('hex')
}
