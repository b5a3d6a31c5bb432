import { AsyncLocalStorage } from 'node:async_hooks'
import { SqliteError } from './sqlite-error.ts'

/** A transaction that the running code is inside of. */
interface Scope {
  readonly database: object
  readonly isOver: () => boolean
}

const scopes = new AsyncLocalStorage<readonly Scope[]>()

const NONE: readonly Scope[] = []

/** Runs `body` inside a transaction of `database`, so that {@link assertNotInside} knows. */
export function insideScope<T>(database: object, isOver: () => boolean, body: () => T): T {
  // Not those that are over: in a chain, where each begins what comes after its commit, all of them would be held and walked for ever.
  const outer = (scopes.getStore() ?? NONE).filter((scope) => !scope.isOver())
  return scopes.run([...outer, { database, isOver }], body)
}

/**
 * Refuses to start a transaction inside another one of the same database: it would wait for the one that waits for it.
 * Timers and promises made in a body keep its scope, but once the transaction is over they are free to start new ones.
 *
 * @throws {SqliteError} `ERR_NESTED_TRANSACTION`
 */
export function assertNotInside(database: object, action: string): void {
  for (const scope of scopes.getStore() ?? NONE) {
    if (scope.database !== database || scope.isOver()) continue
    throw new SqliteError(
      'ERR_NESTED_TRANSACTION',
      `cannot ${action} inside a transaction of the same database: it would wait for itself; pass the outer "tx" on and use that`,
    )
  }
}
