import { AsyncResource } from 'node:async_hooks'
import { basename, extname, resolve } from 'node:path'
import {
  ComponentError,
  type Logger,
  type Migration,
  messageOf,
  type ReadTransaction,
  type StorePort,
  systemWorld,
  type World,
} from '@banyan/core'
import type { Connection } from './connection.ts'
import { defaultLog } from './default-log.ts'
import { type GroupCommit, groupCommit } from './group-commit.ts'
import { pendingMigrations, runMigration } from './migrate.ts'
import { banyanMigrations } from './migrations.ts'
import { readerPool } from './reader-pool.ts'
import type { SqliteDatabase, StoreBinding } from './sqlite-database.ts'
import { SqliteError, toSqliteError } from './sqlite-error.ts'
import { stores } from './stores.ts'
import { memberTransaction, sqlOf } from './transaction.ts'
import { assertNotInside, insideScope } from './transaction-scope.ts'
import { commitEngine, openWriter } from './writer.ts'

export interface SqliteOptions {
  /** The service's name, the `source` of its events. Default: the file's name without folder and extension. */
  name?: string
  world?: World
  /** Default: warnings and errors to stderr. */
  log?: Logger
  /** The most transactions that share a commit, 1 to 10,000. 1 turns group commit off. Default 128. */
  maxGroup?: number
  /** How long a group may take in members before it commits, milliseconds, 0 to 1,000. Also how long the event loop may be kept busy. Default 10. */
  maxGroupMs?: number
  /** How long one body may take, milliseconds, from 1. Longer for slow machines and debuggers. Default 10,000. */
  transactionTimeoutMs?: number
  /** How long to wait for another process that is writing, milliseconds, from 0. Default 5,000. */
  busyTimeoutMs?: number
  /** How many reads run at once, 1 to 100; more wait. Default 4. */
  maxReaders?: number
  /** How many prepared statements each connection keeps, from 1. Default 500. */
  maxStatements?: number
}

/**
 * Opens a service's database in one SQLite file (WAL, `synchronous=FULL`, foreign keys on), making its folder and Banyan's
 * own tables. One connection writes, in groups that share a commit; a few others read. Other processes may open the file too.
 *
 * `:memory:` keeps it in memory, for tests: reads then wait their turn among the writes, on the same connection.
 *
 * Booleans are stored as 0 and 1. Whole numbers that a JavaScript number cannot hold exactly come back as bigint.
 *
 * @throws {SqliteError} `ERR_DATABASE_OPEN`, `ERR_MIGRATION_CHANGED`, `ERR_MIGRATION_FAILED`
 */
export function sqlite(file: string, options: SqliteOptions = {}): SqliteDatabase {
  return openDatabase(file, options, { migrations: banyanMigrations, stores })
}

/** {@link sqlite} with tables and stores of the caller's choice. */
export function openDatabase(
  file: string,
  options: SqliteOptions,
  parts: { migrations: readonly Migration[]; stores: readonly StoreBinding[] },
): SqliteDatabase {
  const settings = settingsOf(file, options)
  const { path, name, world, log } = settings
  const writer = openWriter(path, { maxStatements: settings.maxStatements, migrations: parts.migrations, nowMs: world.now() })
  const commits = groupCommit(commitEngine(writer), settings)
  const reads = path === ':memory:' ? memoryReads(writer, commits) : readerPool(path, settings)
  let closing: Promise<void> | undefined

  const database: SqliteDatabase = {
    dialect: 'sqlite',
    name,
    file: path,
    world,
    log,
    async transaction(body) {
      assertNotInside(database, 'run a transaction')
      // Bound to the caller: whoever happens to run the group must not lend its trace to this body.
      const caller = new AsyncResource('banyan.transaction')
      return commits.run((member) =>
        caller.runInAsyncScope(() => insideScope(database, member.isOver, () => body(memberTransaction(writer, member, database.store)))),
      )
    },
    async atOnce(work) {
      assertNotInside(database, 'run a transaction')
      return commits.atOnce(() => work(writer))
    },
    async read(body) {
      assertNotInside(database, 'run a read')
      return reads.read(database, body)
    },
    async migrate(migrations) {
      assertNotInside(database, 'migrate')
      // Inside a transaction, so that what another call is running right now is not taken for done.
      for (const migration of await commits.run(async () => pendingMigrations(writer, migrations))) {
        await commits.run(async () => runMigration(writer, migration, world.now()))
      }
    },
    store: storesOf(() => database, parts.stores),
    close() {
      closing ??= closeAll(path, writer, commits, reads)
      return closing
    },
  }
  return database
}

interface Reads {
  read<T>(database: object, body: (tx: ReadTransaction) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** An in-memory database belongs to one connection, so reads queue with the writes; each statement runs with writing turned off. */
function memoryReads(writer: Connection, commits: GroupCommit): Reads {
  const readOnly: Connection = {
    ...writer,
    sql(text, ...values) {
      writer.exec('pragma query_only = on')
      try {
        return writer.sql(text, ...values)
      } finally {
        writer.exec('pragma query_only = off')
      }
    },
  }
  return {
    read(database, body) {
      const caller = new AsyncResource('banyan.read')
      return commits.run((member) => {
        const tx: ReadTransaction = { dialect: 'sqlite', sql: sqlOf(readOnly, member.assertOpen) }
        return caller.runInAsyncScope(() => insideScope(database, member.isOver, () => body(tx)))
      })
    },
    close: async () => {},
  }
}

function storesOf(database: () => SqliteDatabase, bindings: readonly StoreBinding[]): SqliteDatabase['store'] {
  const made = new Map<string, unknown>()
  return <T>(port: StorePort<T>): T => {
    if (!made.has(port.name)) {
      const binding = bindings.find(([{ name }]) => name === port.name)
      if (!binding) throw new ComponentError('ERR_NO_STORE', `cannot give the store "${port.name}": the SQLite adapter does not bring it`)
      made.set(port.name, binding[1](database()))
    }
    // `bind` tied a store of this type to the port of this name.
    return made.get(port.name) as T
  }
}

async function closeAll(path: string, writer: Connection, commits: GroupCommit, reads: Reads): Promise<void> {
  await Promise.all([commits.close(), reads.close()])
  // Empties the log into the file, so that the file alone is a full copy; skipped by SQLite while others read.
  try {
    writer.exec('pragma wal_checkpoint(truncate)')
  } catch (error) {
    throw logNotEmptied(path, error)
  } finally {
    writer.close()
  }
}

function logNotEmptied(path: string, cause: unknown): SqliteError {
  const { code } = toSqliteError(cause, 'close')
  const kept = `nothing that was committed is lost: it stays in "${path}-wal", and whoever opens the database next has it`
  const wanted =
    code === 'ERR_DISK_FULL' ? '; free some space on its disk, and keep the two files together' : '; keep the two files together'
  return new SqliteError(code, `cannot empty the log of "${path}" into the file while closing: ${messageOf(cause)}; ${kept}${wanted}`, {
    cause,
  })
}

interface Settings {
  path: string
  name: string
  world: World
  log: Logger
  maxGroup: number
  maxGroupMs: number
  transactionTimeoutMs: number
  busyTimeoutMs: number
  maxReaders: number
  maxStatements: number
}

function settingsOf(file: string, options: SqliteOptions): Settings {
  const path = file === ':memory:' ? file : resolve(file)
  const name = options.name ?? (file === ':memory:' ? 'memory' : basename(file, extname(file)))
  const { world = systemWorld, log = defaultLog, maxGroup = 128, maxGroupMs = 10 } = options
  const { transactionTimeoutMs = 10_000, busyTimeoutMs = 5_000, maxReaders = 4, maxStatements = 500 } = options
  assertWhole('maxGroup', maxGroup, 1, 10_000)
  assertWhole('maxGroupMs', maxGroupMs, 0, 1_000)
  assertWhole('transactionTimeoutMs', transactionTimeoutMs, 1)
  assertWhole('busyTimeoutMs', busyTimeoutMs, 0)
  assertWhole('maxReaders', maxReaders, 1, 100)
  assertWhole('maxStatements', maxStatements, 1)
  return { path, name, world, log, maxGroup, maxGroupMs, transactionTimeoutMs, busyTimeoutMs, maxReaders, maxStatements }
}

function assertWhole(name: string, value: number, min: number, max: number = 2 ** 31 - 1): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new RangeError(`cannot open a database: "${name}" is ${value}, wanted a whole number from ${min} to ${max}`)
}
