import { messageOf } from '@banyan/core'
import { bounded } from './bounded.ts'
import { type Connection, openConnection } from './connection.ts'
import { PostgresError } from './postgres-error.ts'
import { sqlStateOf } from './server-error.ts'
import { placeOf, type Settings } from './settings.ts'

const NO_SUCH_DATABASE = '3D000'
const DUPLICATE_DATABASE = '42P04'
/** Two sessions that make a database of one name at the same time: the loser hears of the name in the catalogue. */
const UNIQUE_VIOLATION = '23505'

/**
 * Makes the database of the URL if the server has none of its name. Needs the right to make databases only then.
 *
 * @throws {PostgresError} `ERR_DATABASE_OPEN` when that is refused; what connecting throws
 */
export async function createDatabase(settings: Settings): Promise<void> {
  try {
    const connection = await openConnection(settings)
    await connection.end()
  } catch (error) {
    if (sqlStateOf(error) !== NO_SUCH_DATABASE) throw error
    await createAt(settings)
  }
}

async function createAt(settings: Settings): Promise<void> {
  const name = decodeURIComponent(new URL(settings.url).pathname.slice(1))
  // The database that every server has, to speak from.
  const connection = await openConnection({ ...settings, url: Object.assign(new URL(settings.url), { pathname: '/postgres' }).href })
  try {
    await bounded(connection, settings, () => create(connection, name))
  } catch (cause) {
    if ([DUPLICATE_DATABASE, UNIQUE_VIOLATION].includes(sqlStateOf(cause) ?? '')) return
    throw new PostgresError('ERR_DATABASE_OPEN', `cannot make the database "${placeOf(settings.url)}": ${messageOf(cause)}`, { cause })
  } finally {
    await connection.end()
  }
}

async function create(connection: Connection, name: string): Promise<void> {
  await connection.exec(`create database "${name.replaceAll('"', '""')}"`)
}
