import pg from 'pg'

/** What the driver has on its connection, and its typings have not: the messages of the extended protocol. */
interface Wire {
  parse(statement: { readonly text: string; readonly name: string }): void
  bind(values: { readonly statement: string; readonly values: readonly never[] }): void
  execute(portal: object): void
}

/** A kind of the driver's queries. */
export type QueryKind = new (...query: ConstructorParameters<typeof pg.Query>) => pg.Query

/** The part of a query that sends its messages, which the typings leave out too. */
const Sending = pg.Query as unknown as new (...query: ConstructorParameters<QueryKind>) => pg.Query & { prepare(connection: Wire): void }

/**
 * A query with COMMIT right behind it, before the sync: the server answers both with one packet, and skips COMMIT when it has refused the
 * query. A sync between the two costs a packet, and whoever waits for it a turn: a tenth of a small transaction.
 *
 * @see PostgreSQL, "Message Flow", extended query, pipelining
 */
export class CommittingQuery extends Sending {
  override prepare(connection: Wire): void {
    // Only behind an execute: without one, as for a value that cannot be sent, nothing must be committed.
    const execute = (portal: object) => {
      connection.execute(portal)
      connection.parse({ text: 'commit', name: '' })
      connection.bind({ statement: '', values: [] })
      connection.execute({})
    }
    super.prepare(Object.create(connection, { execute: { value: execute } }))
  }
}
