import { AsyncLocalStorage } from 'node:async_hooks'
import { PostgresError } from './postgres-error.ts'

/** Which transactions the running code is inside of. */
interface Scope {
  readonly database: object
  readonly isOver: () => boolean
  readonly outer: Scope | undefined
}

const scopes = new AsyncLocalStorage<Scope | undefined>()

/** Runs `body` inside a transaction of `database`, so that {@link assertNotInside} knows. */
export function insideScope<T>(database: object, isOver: () => boolean, body: () => T): T {
  return scopes.run({ database, isOver, outer: scopes.getStore() }, body)
}

/**
 * Refuses to start a transaction inside another one of the same database: it would wait for the one that waits for it.
 * Timers and promises made in a body keep its scope, but once the transaction is over they are free to start new ones.
 *
 * @throws {PostgresError} `ERR_NESTED_TRANSACTION`
 */
export function assertNotInside(database: object, action: string): void {
  for (let scope = scopes.getStore(); scope; scope = scope.outer) {
    if (scope.database !== database || scope.isOver()) continue
    throw new PostgresError(
      'ERR_NESTED_TRANSACTION',
      `cannot ${action} inside a transaction of the same database: it would wait for itself; pass the outer "tx" on and use that`,
    )
  }
}
