import type { Database, Logger, StorePort, World } from '@banyan/core'

/** A {@link Database} in one SQLite file, with what its stores need to know of it. */
export interface SqliteDatabase extends Database {
  readonly dialect: 'sqlite'
  /** The service's name: the `source` of what its outbox publishes. */
  readonly name: string
  /** The absolute path, or `:memory:`. */
  readonly file: string
  readonly world: World
  readonly log: Logger
}

/** A port and the store that this adapter brings for it. */
export type StoreBinding = readonly [port: StorePort<unknown>, create: (database: SqliteDatabase) => unknown]

/** Ties a port to its store; their types must fit: `bind(outboxPort, sqliteOutbox)`. */
export function bind<T>(port: StorePort<T>, create: (database: SqliteDatabase) => T): StoreBinding {
  return [port, create]
}
