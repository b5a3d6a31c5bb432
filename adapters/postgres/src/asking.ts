import type pg from 'pg'
import type { Result } from './connection.ts'
import type { PostgresError } from './postgres-error.ts'
import { isDisconnect, sqlStateOf, toPostgresError } from './server-error.ts'
import { shorten } from './statement.ts'
import type { Answered } from './wire.ts'

/**
 * Sends the query that `make` makes, a statement by this text. `failed` hears of a failure before anybody else does.
 *
 * @throws {PostgresError}
 */
export type Ask = <Row extends object>(
  text: string,
  make: (answered: Answered) => pg.Query,
  failed?: (failure: PostgresError) => void,
) => Promise<Result<Row>>

/** What becomes of a connection. */
export interface Life {
  /** If it is of no use any more, why `action` cannot be done. */
  loss(action: string): PostgresError | undefined
  /** Cuts it. */
  destroy(): void
}

/** Creates an {@link Ask}. One promise a statement: each more costs whoever waits for a small one. */
export function asker(client: pg.Client, { loss, destroy }: Life): Ask {
  function failureOf(error: Error, text: string): PostgresError {
    const action = `run "${shorten(text)}"`
    const failure = toPostgresError(error, action)
    if (!isDisconnect(failure)) return failure
    // What the server said when it ended the connection, where nobody had asked it anything, says more than that it is gone.
    const last = sqlStateOf(failure) === undefined ? loss(action) : undefined
    // Cut, and not only given up: whatever made it useless here, the server would keep its transaction, and its locks.
    destroy()
    return last ?? failure
  }

  return <Row extends object>(text: string, make: (answered: Answered) => pg.Query, failed?: (failure: PostgresError) => void) =>
    new Promise<Result<Row>>((resolve, reject) => {
      const answered: Answered = (error, result) => {
        // Of several statements in one exchange the driver gives a list. Rows come as the statement makes them: the caller names their
        // shape, and SQL cannot be checked against it here.
        if (!error) return resolve((Array.isArray(result) ? result.at(-1) : result) as Result<Row>)
        const failure = failureOf(error, text)
        failed?.(failure)
        reject(failure)
      }
      client.query(make(answered))
    })
}
