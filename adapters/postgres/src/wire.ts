import pg from 'pg'

/** What the driver has on its connection, and its typings have not: the messages of the extended protocol. */
export interface Wire {
  parse(statement: { readonly text: string; readonly name: string }): void
  bind(values: { readonly statement: string; readonly values: readonly never[] }): void
  execute(portal: object): void
  /** Of a statement or a portal; one that the server does not know is no error. */
  close(what: { readonly type: 'S' | 'P'; readonly name: string }): void
  sync(): void
  /** The texts of the statements that the server has prepared, by their names. */
  readonly parsedStatements: Record<string, string>
}

/** A statement without values, and the name that it is prepared under: an empty one if it is parsed each time. */
export interface Named {
  readonly name: string
  readonly text: string
}

/** Sends what runs a statement; what prepares it too, unless that was done. */
export function executeUnbound(connection: Wire, { name, text }: Named): void {
  if (connection.parsedStatements[name] !== text) connection.parse({ text, name })
  connection.bind({ statement: name, values: [] })
  connection.execute({})
}

/** A query that decides what it sends, and hears of its end. The typings leave both out. */
interface SendingQuery extends pg.Query {
  /** Whether it sends messages of its own, instead of its text. */
  requiresPreparation(): boolean
  prepare(connection: Wire): void
  handleReadyForQuery(connection: Wire): void
}

/** The query and who is called at its end. */
export type QueryArguments = [config: pg.QueryConfig, answered: (error: Error | undefined, result: unknown) => void]

/** The driver's queries, to be extended. */
export const Sending = pg.Query as unknown as new (...query: QueryArguments) => SendingQuery
