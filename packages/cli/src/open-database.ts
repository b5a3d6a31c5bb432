import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Database, messageOf, nearest } from '@banyan/core'
import { isServiceFile, sqlite } from '@banyan/sqlite'
import type { Command } from 'commander'
import { CliError } from './errors.ts'

export interface DatabaseOptions {
  db?: string
  dataDir?: string
  service?: string
}

/** Adds the words that name a service's database. */
export function withDatabase(command: Command): Command {
  return command
    .option('--db <file or url>', "the service's database, as in data/orders.db or postgres://user:password@host/orders")
    .option('--data-dir <folder>', 'the folder of the databases, with --service')
    .option('--service <name>', "the service's name, with --data-dir")
}

/**
 * Runs `work` with a service's database, beside the running service if there is one, and closes it.
 *
 * @throws {CliError} `ERR_USAGE` when none is named, `ERR_DATABASE_MISSING` when it is not there, `ERR_DATABASE_FOREIGN` when it is none
 *   of a service; none is made, and no tables are
 */
export async function withOpenDatabase<T>(options: DatabaseOptions, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await (isPostgres(options.db) ? openPostgres(options.db) : openFile(fileOf(options)))
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

function isPostgres(db: string | undefined): db is string {
  return db !== undefined && /^postgres(ql)?:/.test(db)
}

async function openPostgres(url: string): Promise<Database> {
  // Not the text itself: it may hold a password.
  if (!URL.canParse(url)) throw new CliError('ERR_USAGE', '--db is no URL, wanted postgres://user:password@host:5432/database')
  const { host, pathname } = new URL(url)
  const place = `${host}${pathname}`
  const { isServiceUrl, postgres } = await import('@banyan/postgres')
  // The server says here, and once, that it has no such database, or does not let us in.
  if (!(await readable(`open the database "${place}"`, () => isServiceUrl(url)))) throw foreign(place)
  return postgres(url)
}

async function openFile(file: string): Promise<Database> {
  if (!existsSync(file)) throw new CliError('ERR_DATABASE_MISSING', `there is no database "${file}"${hint(file)}`)
  if (!(await readable(`read the database "${file}"`, () => isServiceFile(file)))) throw foreign(file)
  return sqlite(file)
}

async function readable(action: string, look: () => boolean | Promise<boolean>): Promise<boolean> {
  try {
    return await look()
  } catch (cause) {
    throw new CliError('ERR_DATABASE_MISSING', `cannot ${action}: ${messageOf(cause)}`, { cause })
  }
}

function foreign(place: string): CliError {
  const why = 'it has none of the tables that a service makes when it starts, and none were made'
  return new CliError('ERR_DATABASE_FOREIGN', `"${place}" is no database of a Banyan service: ${why}`)
}

function fileOf({ db, dataDir, service }: DatabaseOptions): string {
  const scheme = db && /^([a-z][a-z0-9+.-]+):\/\//i.exec(db)?.[1]
  // Not the text itself: it may hold a password.
  if (scheme) throw new CliError('ERR_USAGE', `--db begins with "${scheme}://", wanted postgres:// or postgresql://, or a file of SQLite`)
  if (db) return db
  if (dataDir && service) return join(dataDir, `${service}.db`)
  throw new CliError(
    'ERR_USAGE',
    'name the database: --db data/orders.db, --db postgres://user:password@host/orders, or --data-dir data --service orders',
  )
}

function hint(file: string): string {
  const folder = dirname(file)
  if (!existsSync(folder)) return `; there is no folder "${folder}" either`
  const files = readdirSync(folder).filter((name) => name.endsWith('.db'))
  const near = nearest(basename(file), files)
  if (near) return `; did you mean "${join(folder, near)}"?`
  return files.length > 0 ? `; in "${folder}" there are ${files.join(', ')}` : `; "${folder}" has no databases`
}
