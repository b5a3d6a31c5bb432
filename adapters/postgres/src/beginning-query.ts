import { type Runnable, StatementQuery } from './statement-query.ts'
import { type Answered, executeUnbound, type Named, type Wire } from './wire.ts'

/**
 * A query with BEGIN, and what else must come first, right before it, without a sync between them: the server answers all with one packet,
 * and where it refuses one it does not come to those behind it. So a statement whose BEGIN has failed cannot run outside of a transaction.
 *
 * @see PostgreSQL, "Message Flow", extended query, pipelining
 */
export class BeginningQuery extends StatementQuery {
  readonly #beginning: readonly Named[]

  /** Where such a query has failed, its own name and those of `beginning` are not to be used again. */
  constructor(statement: Runnable, answered: Answered, beginning: readonly Named[]) {
    super(statement, answered)
    this.#beginning = beginning
  }

  override prepare(connection: Wire): void {
    for (const statement of this.#beginning) executeUnbound(connection, statement)
    super.prepare(connection)
  }

  override handleReadyForQuery(connection: Wire): void {
    // Not before: what the server has refused, and all behind it, it may not have prepared.
    for (const { name, text } of this.#beginning) if (name) connection.parsedStatements[name] = text
    super.handleReadyForQuery(connection)
  }
}
