import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { messaging } from './migrations/001-messaging.ts'
import { toSqliteError } from './sqlite-error.ts'

/** How long another process that is writing is waited for, milliseconds. */
const BUSY_MS = 5_000

/** SQLite's code for a file that is none of its own. */
const NOT_A_DATABASE = 26

/**
 * Whether a file is the database of a Banyan service. Writes nothing, neither in it nor beside it: opening it with {@link sqlite} would make
 * all of Banyan's tables.
 *
 * @throws {SqliteError} for one that cannot be read
 */
export function isServiceFile(file: string): boolean {
  const place = pathToFileURL(file)
  // Without a log all there is stands in the file: then SQLite is told that it does not change, or it would put a log beside it.
  if (!existsSync(`${file}-wal`)) place.searchParams.set('immutable', '1')
  try {
    const database = new DatabaseSync(place, { readOnly: true, timeout: BUSY_MS })
    try {
      const tables = database.prepare("select 1 from sqlite_schema where type = 'table' and name = 'banyan_migrations'").all()
      // It has run in each database of a service, and in no other: a bus has tables of its own.
      return tables.length > 0 && database.prepare('select 1 from banyan_migrations where id = ?').all(messaging.id).length > 0
    } finally {
      database.close()
    }
  } catch (cause) {
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === NOT_A_DATABASE) return false
    throw toSqliteError(cause, `read "${file}"`)
  }
}
