import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Database, nearest } from '@banyan/core'
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
    .option('--db <file>', "the service's database, as in data/orders.db")
    .option('--data-dir <folder>', 'the folder of the databases, with --service')
    .option('--service <name>', "the service's name, with --data-dir")
}

/**
 * Runs `work` with a service's database, beside the running service if there is one, and closes it.
 *
 * @throws {CliError} `ERR_USAGE` when none is named, `ERR_DATABASE_MISSING` when it is not there; none is made
 */
export async function withOpenDatabase<T>(options: DatabaseOptions, work: (database: Database) => Promise<T>): Promise<T> {
  const file = fileOf(options)
  if (!existsSync(file)) throw new CliError('ERR_DATABASE_MISSING', `there is no database "${file}"${hint(file)}`)
  const database = sqlite(file)
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

function fileOf({ db, dataDir, service }: DatabaseOptions): string {
  if (db) return db
  if (dataDir && service) return join(dataDir, `${service}.db`)
  throw new CliError('ERR_USAGE', 'name the database: --db data/orders.db, or --data-dir data --service orders')
}

function hint(file: string): string {
  const folder = dirname(file)
  if (!existsSync(folder)) return `; there is no folder "${folder}" either`
  const files = readdirSync(folder).filter((name) => name.endsWith('.db'))
  const near = nearest(basename(file), files)
  if (near) return `; did you mean "${join(folder, near)}"?`
  return files.length > 0 ? `; in "${folder}" there are ${files.join(', ')}` : `; "${folder}" has no databases`
}
