import { createHash } from 'node:crypto'
import { type Migration, messageOf } from '@banyan/core'
import { bounded } from './bounded.ts'
import type { Connection } from './connection.ts'
import { PostgresError } from './postgres-error.ts'
import { isDisconnect } from './server-error.ts'
import { placeOf, type Settings } from './settings.ts'

/** Any number that nobody else takes an advisory lock on: "banyan" in ASCII. */
const LOCK = 0x62616e79616en

/**
 * READ COMMITTED: what another process has committed while this one waited for the lock must be seen. No limit of a server or a role holds
 * here: an index may take hours. Not each version of PostgreSQL has all of them.
 */
const BEGIN = `
  begin isolation level read committed;
  select set_config(name, '0', true) from pg_settings where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout')`

/** What waits for another process; the migration's own locks are had in the time that whoever runs the server gives. */
const TAKE_TURN = `select pg_advisory_xact_lock(${LOCK}); set local lock_timeout to default`

const TABLE = 'create table if not exists banyan_migrations (id text primary key, hash text not null, ran_at text not null)'

/**
 * Runs those of `migrations` that have not run yet, each in a transaction of its own. Processes that do so at the same time wait for
 * each other. Where something ran, the connection is ended: what a migration sets in its session is not for others.
 *
 * A server that answers nothing is given up on, unless a migration of this process or of another one is running there: that may take long.
 *
 * @throws {TypeError} when two of the list share an id
 * @throws {PostgresError} `ERR_DATABASE_OPEN`, for another encoding than UTF8; `ERR_MIGRATION_CHANGED`, `ERR_MIGRATION_FAILED`,
 *   `ERR_DATABASE_UNREACHABLE`
 */
export async function runMigrations(connection: Connection, migrations: readonly Migration[], settings: Settings): Promise<void> {
  // Looks first: a database that is up to date is opened without waiting for a lock.
  const pending = await bounded(connection, settings, () => pendingMigrations(connection, migrations))
  if (pending.length === 0) return
  await bounded(connection, settings, () => assertUnicode(connection, settings.url))
  try {
    for (const migration of pending) await runMigration(connection, migration, settings)
  } finally {
    await connection.end()
    connection.destroy()
  }
}

/** Before the first table is made: with another encoding, the first event whose text has a character that it lacks would fail its commit. */
async function assertUnicode(connection: Connection, url: string): Promise<void> {
  const { rows } = await connection.query<{ server_encoding: string }>({ text: 'show server_encoding' })
  const encoding = rows[0]?.server_encoding
  if (encoding === 'UTF8') return
  throw new PostgresError(
    'ERR_DATABASE_OPEN',
    `cannot migrate "${placeOf(url)}": the database has the encoding ${encoding}, wanted UTF8; make it by: create database ... encoding 'UTF8' template template0`,
  )
}

async function runMigration(connection: Connection, migration: Migration, settings: Settings): Promise<void> {
  await bounded(connection, settings, () => connection.exec(BEGIN))
  try {
    await connection.exec(TAKE_TURN)
    const pending = await bounded(connection, settings, async () => {
      await connection.exec(TABLE)
      return pendingMigrations(connection, [migration])
    })
    if (pending.length > 0) await apply(connection, migration, settings.world.now())
    await connection.exec('commit')
  } catch (error) {
    if (!connection.isBroken()) await bounded(connection, settings, () => connection.exec('rollback'))
    throw error
  }
}

async function apply(connection: Connection, migration: Migration, nowMs: number): Promise<void> {
  try {
    await connection.exec(migration.sql)
  } catch (cause) {
    if (isDisconnect(cause)) throw cause
    // What the server said, without all of the migration's text before it.
    throw failed(migration, messageOf(cause instanceof PostgresError ? cause.cause : cause), cause)
  }
  if (!connection.inTransaction()) throw failed(migration, 'it ended the transaction that it runs in; leave COMMIT and ROLLBACK out of it')
  const values = [migration.id, hashOf(migration), new Date(nowMs).toISOString()]
  await connection.query({ text: 'insert into banyan_migrations (id, hash, ran_at) values ($1, $2, $3)', values })
}

async function pendingMigrations(connection: Connection, migrations: readonly Migration[]): Promise<Migration[]> {
  const seen = new Set<string>()
  for (const { id } of migrations) {
    if (seen.has(id)) throw new TypeError(`cannot migrate: two migrations are called "${id}"`)
    seen.add(id)
  }
  const ran = await ranMigrations(connection)
  return migrations.filter((migration) => {
    const hash = ran.get(migration.id)
    if (hash === undefined) return true
    if (hash === hashOf(migration)) return false
    throw new PostgresError(
      'ERR_MIGRATION_CHANGED',
      `cannot migrate: "${migration.id}" has run before and its SQL is another now; put it back as it was and add a new migration`,
    )
  })
}

async function ranMigrations(connection: Connection): Promise<Map<string, string>> {
  const { rows: tables } = await connection.query({ text: "select 1 from pg_class where oid = to_regclass('banyan_migrations')" })
  if (tables.length === 0) return new Map()
  const { rows } = await connection.query<{ id: string; hash: string }>({ text: 'select id, hash from banyan_migrations' })
  return new Map(rows.map(({ id, hash }) => [id, hash]))
}

function failed({ id }: Migration, why: string, cause?: unknown): PostgresError {
  return new PostgresError('ERR_MIGRATION_FAILED', `cannot run migration "${id}": ${why}`, { cause })
}

/** Line ends and space around do not count: a checkout on another system must not look like an edit. */
function hashOf({ sql }: Migration): string {
  return createHash('sha256').update(sql.replace(/\r\n/g, '\n').trim()).digest('hex')
}
