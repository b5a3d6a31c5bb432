import { type Runnable, StatementQuery } from './statement-query.ts'
import { type Answered, executeUnbound, type Wire } from './wire.ts'

/** What runs behind the statement. */
export const COMMIT = 'commit'

/**
 * A query with COMMIT right behind it, before the sync: the server answers both with one packet, and skips COMMIT when it has refused the
 * query. A sync between the two costs a packet, and whoever waits for it a turn: a tenth of a small transaction. To parse COMMIT anew each
 * time would cost a fiftieth.
 *
 * @see PostgreSQL, "Message Flow", extended query, pipelining
 */
export class CommittingQuery extends StatementQuery {
  readonly #name: string

  /** `commitName` is what COMMIT is prepared under, if under anything; where such a query has failed, its name is not to be used again. */
  constructor(statement: Runnable, answered: Answered, commitName = '') {
    super(statement, answered)
    this.#name = commitName
  }

  // Only behind an execute: without one, as for a value that cannot be sent, nothing must be committed.
  protected override sendBehind(connection: Wire): void {
    executeUnbound(connection, { name: this.#name, text: COMMIT })
  }

  override handleReadyForQuery(connection: Wire): void {
    // Not before: behind a statement that it refuses the server reads nothing.
    if (this.#name) connection.parsedStatements[this.#name] = COMMIT
    super.handleReadyForQuery(connection)
  }
}
