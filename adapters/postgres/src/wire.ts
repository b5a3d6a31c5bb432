import pg from 'pg'

/** What the driver has on its connection, and its typings have not: the messages of the extended protocol. */
export interface Wire {
  parse(statement: { readonly text: string; readonly name: string }): void
  bind(values: { readonly statement: string; readonly values: readonly never[] }): void
  describe(portal: object): void
  execute(portal: object): void
  /** Of a statement or a portal; one that the server does not know is no error. */
  close(what: { readonly type: 'S' | 'P'; readonly name: string }): void
  sync(): void
  /** The texts of the statements that the server has prepared, by their names. */
  readonly parsedStatements: Record<string, string>
  /** The same of those that it was sent and has not answered. */
  readonly submittedNamedStatements: Record<string, string>
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

/** What the server says of a statement's rows. */
export interface RowDescription {
  readonly fields: readonly object[]
}

/** A query that decides what it sends, and hears what comes. The typings leave all of it out. */
interface SendingQuery extends pg.Query {
  name: string | undefined
  values: unknown[] | undefined
  queryMode: 'extended' | undefined
  /** Whether it sends messages of its own, instead of its text. */
  requiresPreparation(): boolean
  prepare(connection: Wire): void
  handleRowDescription(description: RowDescription): void
  handleDataRow(row: object): void
  handleReadyForQuery(connection: Wire): void
}

/** Who is called at a query's end. */
export type Answered = (error: Error | undefined, result: unknown) => void

/** The driver's queries, to be extended. By their text: a configuration the driver copies, property by property. */
export const Sending = pg.Query as unknown as new (text: string, answered: Answered) => SendingQuery
