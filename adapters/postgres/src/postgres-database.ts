import type { Database, Logger, ReadTransaction, StorePort, Transaction, World } from '@banyan/core'
import type { Statement } from './connection.ts'
import type { PostgresValue } from './values.ts'

/** A {@link Database} in PostgreSQL, with what its stores need of it. */
export interface PostgresDatabase extends Database {
  readonly dialect: 'postgres'
  /** The service's name: the `source` of what its outbox publishes. */
  readonly name: string
  readonly world: World
  readonly log: Logger
  /**
   * For stores: runs one statement as a transaction of its own, READ COMMITTED, prepared, in one round trip.
   *
   * @throws {PostgresError} `ERR_COMMIT_UNKNOWN` when the connection broke before the answer came
   */
  run<Row extends object = Record<string, unknown>>(text: string, values?: readonly PostgresValue[]): Promise<Row[]>
  /**
   * For stores: several in one round trip, READ COMMITTED. `atomic`: all in one transaction; else each in its own, in order, and those after
   * a failed one run too.
   *
   * @throws {PostgresError} what the first that failed threw
   */
  runAll(statements: readonly Statement[], options: { atomic: boolean }): Promise<object[][]>
  /** For stores: a connection of their own beside the others, for LISTEN. Closing the database ends it. */
  listener(): Promise<Listener>
}

/** A connection that hears notifications. */
export interface Listener {
  /** Begins to listen; `heard` is called for each notification. @throws {PostgresError} */
  listen(channel: string, heard: (payload: string) => void): Promise<void>
  run<Row extends object = Record<string, unknown>>(text: string, values?: readonly PostgresValue[]): Promise<Row[]>
  /** Calls back once when the connection is gone, whoever ended it. */
  onGone(call: () => void): void
  close(): Promise<void>
}

/** What reads of this adapter can do beyond the port. */
export interface PostgresReadTransaction extends ReadTransaction {
  readonly dialect: 'postgres'
  /** For stores: one statement with `$1`, `$2`, ...; its values may be arrays. */
  run<Row extends object = Record<string, unknown>>(text: string, values?: readonly PostgresValue[]): Promise<Row[]>
}

/** What transactions of this adapter can do beyond the port. */
export interface PostgresTransaction extends PostgresReadTransaction, Transaction {
  readonly dialect: 'postgres'
  /**
   * For stores: a statement to be sent together with COMMIT, after the writes of `beforeCommit`, in the order of calls. When it fails the
   * transaction is rolled back and rejects with its error. `committed` is called as `afterCommit` is, but in whatever context there is.
   */
  withCommit(text: string, values?: readonly PostgresValue[], committed?: () => void): void
}

/** The same transaction, with what this adapter's stores need. @throws {TypeError} when it is another adapter's */
export function postgresTransaction(tx: Transaction): PostgresTransaction {
  // Each `Transaction` of this adapter is made with both.
  if ('run' in tx && 'withCommit' in tx) return tx as PostgresTransaction
  throw new TypeError(`cannot use this transaction with a store of PostgreSQL: it is one of "${tx.dialect}"`)
}

/** {@link postgresTransaction} for those that only read. */
export function postgresRead(tx: ReadTransaction): PostgresReadTransaction {
  // Each `ReadTransaction` of this adapter is made with it.
  if ('run' in tx) return tx as PostgresReadTransaction
  throw new TypeError(`cannot use this transaction with a store of PostgreSQL: it is one of "${tx.dialect}"`)
}

/** A port and the store that this adapter brings for it. */
export type StoreBinding = readonly [port: StorePort<unknown>, create: (database: PostgresDatabase) => unknown]

/** Ties a port to its store; their types must fit: `bind(outboxPort, postgresOutbox)`. */
export function bind<T>(port: StorePort<T>, create: (database: PostgresDatabase) => T): StoreBinding {
  return [port, create]
}
