import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Migration, messageOf } from '@banyan/core'
import { type Connection, openConnection } from './connection.ts'
import type { CommitEngine } from './group-member.ts'
import { pendingMigrations, runMigration } from './migrate.ts'
import { isBusy, SqliteError, toSqliteError } from './sqlite-error.ts'

/** How long opening waits, blocking, for another process that is opening the same file. */
const OPEN_BUSY_TIMEOUT_MS = 5_000

/**
 * Opens the connection that writes: makes the folder, sets WAL with `synchronous=FULL` and foreign keys, runs `migrations`.
 *
 * @throws {SqliteError} `ERR_DATABASE_OPEN`, `ERR_MIGRATION_CHANGED`, `ERR_MIGRATION_FAILED`
 */
export function openWriter(file: string, options: { maxStatements: number; migrations: readonly Migration[]; nowMs: number }): Connection {
  let connection: Connection | undefined
  try {
    if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true })
    connection = openConnection(file, { busyTimeoutMs: OPEN_BUSY_TIMEOUT_MS, maxStatements: options.maxStatements })
    const opened = connection
    whenFree(() => configure(opened, file))
    migrateNow(connection, options.migrations, options.nowMs)
    // From here on waiting is done between turns of the event loop, never inside SQLite.
    connection.exec('pragma busy_timeout = 0')
    return connection
  } catch (error) {
    connection?.close()
    if (error instanceof SqliteError && error.code.startsWith('ERR_MIGRATION')) throw error
    throw new SqliteError(
      'ERR_DATABASE_OPEN',
      `cannot open the database "${file}": ${messageOf(error)}; wanted an SQLite file, or none, in a folder that this process may write to`,
      { cause: error },
    )
  }
}

/** Between two tries to open, milliseconds. */
const OPEN_PAUSE_MS = 10

/**
 * Does `work` again while another process holds the file. SQLite waits by itself for most locks, but not for the one under which a log is
 * recovered: when all who had the file open were killed and come back at once, one recovers and the others are refused on the spot.
 */
function whenFree<T>(work: () => T): T {
  for (let left = OPEN_BUSY_TIMEOUT_MS / OPEN_PAUSE_MS; ; left -= 1) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error) || left <= 0) throw error
      // Opening happens at once, on this thread: so does waiting.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_PAUSE_MS)
    }
  }
}

function configure(connection: Connection, file: string): void {
  // In WAL, FULL syncs the log at each commit: an acknowledged commit survives a power cut. NORMAL would lose the last ones.
  const mode = connection.prepare('pragma journal_mode = wal').get()?.journal_mode
  if (mode !== 'wal' && file !== ':memory:') throw new Error(`its journal mode is "${String(mode)}", wanted "wal"`)
  connection.exec('pragma synchronous = full; pragma foreign_keys = on; pragma journal_size_limit = 67108864')
}

function migrateNow(connection: Connection, migrations: readonly Migration[], nowMs: number): void {
  // Looks first: a database that is up to date is opened without the write lock.
  const pending = pendingMigrations(connection, migrations)
  if (pending.length === 0) return
  connection.exec('begin immediate')
  try {
    for (const migration of pending) runMigration(connection, migration, nowMs)
    connection.exec('commit')
  } catch (error) {
    if (connection.inTransaction()) connection.exec('rollback')
    throw error
  }
}

/** The connection as group commit drives it. */
export function commitEngine(connection: Connection): CommitEngine {
  const begin = connection.prepare('begin immediate')
  const savepoint = connection.prepare('savepoint banyan_member')
  const release = connection.prepare('release banyan_member')
  const undo = connection.prepare('rollback to banyan_member')
  const commit = connection.prepare('commit')
  const rollback = connection.prepare('rollback')

  return {
    begin() {
      try {
        begin.run()
        return true
      } catch (error) {
        if (isBusy(error)) return false
        throw toSqliteError(error, 'begin a transaction')
      }
    },
    savepoint: () => void savepoint.run(),
    release: () => void release.run(),
    undo() {
      undo.run()
      release.run()
    },
    commit() {
      try {
        commit.run()
      } catch (error) {
        throw toSqliteError(error, 'commit')
      }
    },
    rollback: () => void rollback.run(),
    inTransaction: connection.inTransaction,
  }
}
