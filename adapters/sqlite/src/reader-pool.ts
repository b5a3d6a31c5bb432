import type { ReadTransaction, World } from '@banyan/core'
import { type Connection, openConnection } from './connection.ts'
import { backOff } from './group-member.ts'
import { isBusy, SqliteError, toSqliteError } from './sqlite-error.ts'
import { sqlOf } from './transaction.ts'
import { insideScope } from './transaction-scope.ts'

export interface ReaderPoolOptions {
  world: World
  /** How many reads run at once; more wait their turn. */
  maxReaders: number
  /** How long one read may take, milliseconds: a snapshot that is kept open keeps the log from being emptied. */
  transactionTimeoutMs: number
  busyTimeoutMs: number
}

/** Connections that only read, each on a snapshot of its own. */
export interface ReaderPool {
  read<T>(database: object, body: (tx: ReadTransaction) => Promise<T>): Promise<T>
  /** Takes no more and resolves when all are done. */
  close(): Promise<void>
}

/** Creates a {@link ReaderPool} over `file`; connections are opened when they are first needed. */
export function readerPool(file: string, options: ReaderPoolOptions): ReaderPool {
  const { world, maxReaders, transactionTimeoutMs, busyTimeoutMs } = options
  const idle: Connection[] = []
  const waiting: ((connection: Connection) => void)[] = []
  let open = 0
  let closed = false
  let emptied: (() => void) | undefined

  function take(): Connection | Promise<Connection> {
    const connection = idle.pop()
    if (connection) return connection
    if (open >= maxReaders) return new Promise((resolve) => waiting.push(resolve))
    const opened = openReader(file)
    open += 1
    return opened
  }

  function giveBack(connection: Connection): void {
    const next = waiting.shift()
    if (next) next(connection)
    else idle.push(connection)
    if (idle.length === open) emptied?.()
  }

  return {
    async read(database, body) {
      if (closed) throw new SqliteError('ERR_DATABASE_CLOSED', 'cannot read: the database is closed')
      const taken = take()
      const connection = taken instanceof Promise ? await taken : taken
      try {
        await begin(connection, world, busyTimeoutMs)
        return await runRead(database, connection, body, world, transactionTimeoutMs)
      } finally {
        if (connection.inTransaction()) connection.exec('rollback')
        giveBack(connection)
      }
    },
    async close() {
      closed = true
      if (idle.length < open) await new Promise<void>((resolve) => (emptied = resolve))
      for (const connection of idle.splice(0)) connection.close()
    },
  }
}

function openReader(file: string): Connection {
  try {
    return openConnection(file, { readOnly: true })
  } catch (error) {
    throw toSqliteError(error, `open "${file}" for reading`)
  }
}

/** Begins and pins the snapshot: SQLite takes it with the first page that is read. */
async function begin(connection: Connection, world: World, busyTimeoutMs: number): Promise<void> {
  const since = world.monotonic()
  for (let attempt = 0; ; attempt += 1) {
    try {
      connection.exec('begin; select 1 from sqlite_schema limit 1')
      return
    } catch (error) {
      if (connection.inTransaction()) connection.exec('rollback')
      // Readers wait only for a recovery after a crash or for the last connection of another process to close.
      if (!isBusy(error) || world.monotonic() - since >= busyTimeoutMs) throw toSqliteError(error, 'begin a read')
    }
    await backOff(world, attempt)
  }
}

/** Runs `body` on a connection whose snapshot is open, until it ends or takes too long. */
export function runRead<T>(
  database: object,
  connection: Connection,
  body: (tx: ReadTransaction) => Promise<T>,
  world: World,
  timeoutMs: number,
): Promise<T> {
  let over = false
  function assertOpen(action: string): void {
    if (over) throw new SqliteError('ERR_TRANSACTION_OVER', `cannot ${action}: the read is over; is an "await" missing in its body?`)
  }
  const tx: ReadTransaction = { dialect: 'sqlite', sql: sqlOf(connection, assertOpen) }
  return new Promise<T>((resolve, reject) => {
    const timer = world.after(timeoutMs, () => {
      over = true
      reject(
        new SqliteError(
          'ERR_TRANSACTION_TIMEOUT',
          `cannot finish a read: its body took longer than ${timeoutMs} ms ("transactionTimeoutMs")`,
        ),
      )
    })
    const end = (settle: () => void) => {
      over = true
      timer.cancel()
      settle()
    }
    insideScope(
      database,
      () => over,
      async () => body(tx),
    ).then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    )
  })
}
