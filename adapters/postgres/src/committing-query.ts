import type pg from 'pg'
import { executeUnbound, type QueryArguments, Sending, type Wire } from './wire.ts'

/** What runs behind the statement. */
export const COMMIT = 'commit'

/**
 * A query with COMMIT right behind it, before the sync: the server answers both with one packet, and skips COMMIT when it has refused the
 * query. A sync between the two costs a packet, and whoever waits for it a turn: a tenth of a small transaction. To parse COMMIT anew each
 * time would cost a fiftieth.
 *
 * @see PostgreSQL, "Message Flow", extended query, pipelining
 */
export class CommittingQuery extends Sending {
  readonly #name: string

  /** `commitName` is what COMMIT is prepared under, if under anything; where such a query has failed, its name is not to be used again. */
  constructor(config: pg.QueryConfig, answered: QueryArguments[1], commitName = '') {
    super(config, answered)
    this.#name = commitName
  }

  override prepare(connection: Wire): void {
    const name = this.#name
    // Only behind an execute: without one, as for a value that cannot be sent, nothing must be committed.
    const execute = (portal: object) => {
      connection.execute(portal)
      executeUnbound(connection, { name, text: COMMIT })
    }
    super.prepare(Object.create(connection, { execute: { value: execute } }))
  }

  override handleReadyForQuery(connection: Wire): void {
    // Not before: behind a statement that it refuses the server reads nothing.
    if (this.#name) connection.parsedStatements[this.#name] = COMMIT
    super.handleReadyForQuery(connection)
  }
}
