import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { codeOf, messageOf } from '@banyan/core'
import { CliError } from './errors.ts'

/** Has run in each database of a service, and in no other: a bus has tables of its own. Migrations keep their ids for ever. */
const FIRST_MIGRATION = 'banyan-001-messaging'

/** How long a server may take to answer, milliseconds. */
const CONNECT_MS = 5_000

/** SQLite's code for a file that is none of its own. */
const NOT_A_DATABASE = 26

/**
 * Whether a file is the database of a Banyan service. Writes nothing, neither in it nor beside it: opening it as a service would make
 * all of Banyan's tables.
 *
 * @throws {CliError} `ERR_DATABASE_MISSING` for one that cannot be read
 */
export async function isServiceFile(file: string): Promise<boolean> {
  const { DatabaseSync } = await import('node:sqlite')
  const place = pathToFileURL(file)
  // Without a log all there is stands in the file: then SQLite is told that it does not change, or it would put a log beside it.
  if (!existsSync(`${file}-wal`)) place.searchParams.set('immutable', '1')
  try {
    const database = new DatabaseSync(place, { readOnly: true, timeout: CONNECT_MS })
    try {
      const tables = database.prepare("select 1 from sqlite_schema where type = 'table' and name = 'banyan_migrations'").all()
      return tables.length > 0 && database.prepare('select 1 from banyan_migrations where id = ?').all(FIRST_MIGRATION).length > 0
    } finally {
      database.close()
    }
  } catch (cause) {
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === NOT_A_DATABASE) return false
    throw new CliError('ERR_DATABASE_MISSING', `cannot read the database "${file}": ${messageOf(cause)}`, { cause })
  }
}

/**
 * Whether a URL is that of a Banyan service's database. Writes nothing in it.
 *
 * @throws {CliError} `ERR_DATABASE_MISSING` when the server cannot be reached, has no such database, or does not let us in; `ERR_USAGE`
 *   when it is no URL
 */
export async function isServiceUrl(url: string): Promise<boolean> {
  // Not the text itself: it may hold a password.
  if (!URL.canParse(url)) throw new CliError('ERR_USAGE', '--db is no URL, wanted postgres://user:password@host:5432/database')
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, query_timeout: CONNECT_MS })
  // A connection that breaks later says so in the query under way.
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows: tables } = await client.query("select 1 from pg_class where oid = to_regclass('banyan_migrations')")
    if (tables.length === 0) return false
    const { rows } = await client.query('select 1 from banyan_migrations where id = $1', [FIRST_MIGRATION])
    return rows.length > 0
  } catch (cause) {
    // Where a name has several addresses, the error of all of them has a code and no words.
    const why = messageOf(cause) || codeOf(cause) || 'it does not answer'
    throw new CliError('ERR_DATABASE_MISSING', `cannot open the database "${placeOf(url)}": ${why}`, { cause })
  } finally {
    await client.end().catch(() => {})
  }
}

/** A URL as it may be shown: without its password. */
export function placeOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}
