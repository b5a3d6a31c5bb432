/** What may stand in a placeholder. Anything else is first made into one of these by the caller (`JSON.stringify`). */
export type SqlValue = string | number | bigint | boolean | null | Uint8Array

/**
 * A database that belongs to one service. State, messages and effects commit in one transaction or not at all.
 */
export interface Database {
  readonly dialect: 'sqlite' | 'postgres'
  /**
   * Runs `body` as one atomic, durable unit; resolves after the commit is on disk. Serialisation failures are run again.
   * Do not wait for anything but the database in `body`: others queue behind it.
   *
   * @throws what `body` throws, after rolling back
   */
  transaction<T>(body: (tx: Transaction) => Promise<T>): Promise<T>
  /** Runs `body` on one consistent snapshot; it cannot write. */
  read<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<T>
  /** Brings the schema up to date; see {@link Migration}. Safe to call from several processes at once. */
  migrate(migrations: readonly Migration[]): Promise<void>
  /** One of the stores the adapter brings (outbox, inbox, sagas, ...), by its port. */
  store<T>(port: StorePort<T>): T
  /** Finishes what runs, then closes. */
  close(): Promise<void>
}

/** One step of a schema's history. Runs once in a database, in the order of the list; never edited once it has run. */
export interface Migration {
  /** Unique in the database: `001-orders`. */
  readonly id: string
  /** One or more statements. */
  readonly sql: string
}

export interface ReadTransaction {
  readonly dialect: 'sqlite' | 'postgres'
  /** Placeholders for the dialect at hand: tx.sql`select id from orders where status = ${status}`. Rows are plain objects. */
  sql<Row extends object = Record<string, unknown>>(text: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]>
}

export interface Transaction extends ReadTransaction {
  /**
   * Registers writes to run as the last statements before COMMIT, in the order of registration: where positions and locks
   * must be held for the shortest time.
   */
  beforeCommit(write: () => Promise<void>): void
  /** Registers a call after the commit is durable; not called when it rolls back. It must not throw. */
  afterCommit(notify: () => void): void
  /** One of the stores of this transaction's database, by its port. */
  store<T>(port: StorePort<T>): T
}

/**
 * The name of a kind of store, typed. The room that needs a store declares the port; the adapters bring the stores.
 */
export interface StorePort<T> {
  readonly name: string
  /** Never set: it carries the type. */
  readonly of?: T
}

/** Declares a {@link StorePort}: `export const outboxPort: StorePort<Outbox> = storePort('outbox')`. */
export function storePort<T>(name: string): StorePort<T> {
  return { name }
}
