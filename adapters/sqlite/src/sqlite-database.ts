import type { Database, Logger, StorePort, Transaction, World } from '@banyan/core'
import type { Statements } from './connection.ts'

/** A {@link Database} in one SQLite file, with what its stores need to know of it. */
export interface SqliteDatabase extends Database {
  readonly dialect: 'sqlite'
  /** The service's name: the `source` of what its outbox publishes. */
  readonly name: string
  /** The absolute path, or `:memory:`. */
  readonly file: string
  readonly world: World
  readonly log: Logger
  /** For stores: a transaction whose `work` waits for nothing; it shares its commit with others, as all do. @throws as `transaction` rejects */
  atOnce<T>(work: (statements: Statements) => T): Promise<T>
}

/** What transactions of this adapter can do beyond the port. */
export interface SqliteTransaction extends Transaction {
  readonly dialect: 'sqlite'
  /** For stores: does `work`, which waits for nothing, with statements that answer at once. @throws {SqliteError} as `sql` rejects */
  atOnce<T>(work: (statements: Statements) => T): T
  /**
   * For stores: `write` runs at once, together with those of the transactions that share the commit, after the writes of `beforeCommit`.
   * When one of them fails, none of these transactions is stored. `committed` is called after the commit, once for all that name it.
   */
  withCommit(write: (sql: Statements['sql']) => void, committed: () => void): void
}

/** The same transaction, with what this adapter's stores need. @throws {TypeError} when it is another adapter's */
export function sqliteTransaction(tx: Transaction): SqliteTransaction {
  // Each `Transaction` of this adapter is made with it.
  if (tx.dialect === 'sqlite' && 'withCommit' in tx) return tx as SqliteTransaction
  throw new TypeError(`cannot use this transaction with a store of SQLite: it is one of "${tx.dialect}"`)
}

/** A port and the store that this adapter brings for it. */
export type StoreBinding = readonly [port: StorePort<unknown>, create: (database: SqliteDatabase) => unknown]

/** Ties a port to its store; their types must fit: `bind(outboxPort, sqliteOutbox)`. */
export function bind<T>(port: StorePort<T>, create: (database: SqliteDatabase) => T): StoreBinding {
  return [port, create]
}
