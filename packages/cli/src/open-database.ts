import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Database, messageOf, nearest } from '@banyan/core'
import { sqlite } from '@banyan/sqlite'
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
 * @throws {CliError} `ERR_USAGE` when none is named, `ERR_DATABASE_MISSING` when it is not there; none is made
 */
export async function withOpenDatabase<T>(options: DatabaseOptions, work: (database: Database) => Promise<T>): Promise<T> {
  const database = isUrl(options.db) ? await openPostgres(options.db) : openFile(fileOf(options))
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

function isUrl(db: string | undefined): db is string {
  return db !== undefined && /^postgres(ql)?:/.test(db)
}

async function openPostgres(url: string): Promise<Database> {
  const { postgres } = await import('@banyan/postgres')
  const database = postgres(url)
  try {
    // The server says here, and once, that it has no such database, or does not let us in.
    await database.run('select 1')
    return database
  } catch (cause) {
    await database.close()
    throw new CliError('ERR_DATABASE_MISSING', messageOf(cause), { cause })
  }
}

function openFile(file: string): Database {
  if (!existsSync(file)) throw new CliError('ERR_DATABASE_MISSING', `there is no database "${file}"${hint(file)}`)
  return sqlite(file)
}

function fileOf({ db, dataDir, service }: DatabaseOptions): string {
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
