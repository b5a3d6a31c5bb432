import type { Prepared } from './statement-names.ts'
import { type Answered, type RowDescription, Sending, type Wire } from './wire.ts'

/** A statement to be run: under its name, if it has one. */
export interface Runnable {
  readonly text: string
  readonly values: unknown[]
  /** Nothing where statements are not to be prepared. */
  readonly prepared: Prepared | undefined
}

/**
 * One statement in one exchange. What the rows of a prepared statement are is asked once, and not with each run: they stay the same as
 * long as its name does, since the server refuses one whose rows have changed.
 *
 * @see PostgreSQL, "Message Flow", extended query
 */
export class StatementQuery extends Sending {
  readonly #prepared: Prepared | undefined
  #described: RowDescription | undefined
  #asked = false

  constructor({ text, values, prepared }: Runnable, answered: Answered) {
    super(text, answered)
    this.name = prepared?.name
    this.values = values
    this.queryMode = 'extended'
    this.#prepared = prepared
  }

  /** Sends what stands right behind the statement; called once it is sent, and not for one whose values cannot be. */
  protected sendBehind(_connection: Wire): void {}

  override prepare(connection: Wire): void {
    const describe = (portal: object) => {
      if (this.#prepared?.rows !== undefined) return
      this.#asked = true
      connection.describe(portal)
    }
    const execute = (portal: object) => {
      connection.execute(portal)
      this.sendBehind(connection)
    }
    super.prepare(new Overheard(connection, describe, execute))
  }

  override handleRowDescription(description: RowDescription): void {
    this.#described = description
    super.handleRowDescription(description)
  }

  override handleDataRow(row: object): void {
    // Only now: what stands before the statement has been answered by then.
    if (!this.#described && this.#prepared?.rows) this.handleRowDescription(this.#prepared.rows)
    super.handleDataRow(row)
  }

  override handleReadyForQuery(connection: Wire): void {
    // A statement that was refused does not come here.
    if (this.#prepared && this.#asked) this.#prepared.rows = this.#described ?? null
    super.handleReadyForQuery(connection)
  }
}

/** The driver's connection, with two of its messages sent another way. */
class Overheard implements Wire {
  readonly #wire: Wire
  readonly describe: (portal: object) => void
  readonly execute: (portal: object) => void

  constructor(wire: Wire, describe: (portal: object) => void, execute: (portal: object) => void) {
    this.#wire = wire
    this.describe = describe
    this.execute = execute
  }

  parse(statement: Parameters<Wire['parse']>[0]): void {
    this.#wire.parse(statement)
  }

  bind(values: Parameters<Wire['bind']>[0]): void {
    this.#wire.bind(values)
  }

  close(what: Parameters<Wire['close']>[0]): void {
    this.#wire.close(what)
  }

  sync(): void {
    this.#wire.sync()
  }

  get parsedStatements(): Record<string, string> {
    return this.#wire.parsedStatements
  }

  get submittedNamedStatements(): Record<string, string> {
    return this.#wire.submittedNamedStatements
  }
}
