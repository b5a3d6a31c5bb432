import type pg from 'pg'
import { type RowDescription, Sending, type Wire } from './wire.ts'

/** What a connection knows of a statement under the name that it is prepared under. */
export interface Prepared {
  readonly name: string
  /** What its rows are, `null` for a statement without any; nothing before its first answer. */
  rows?: RowDescription | null
}

/** The statements that a connection has prepared. */
export interface StatementNames {
  /** What to run a text under; new texts get a new name. */
  of(text: string): Prepared
  /** Takes a text's name away, in the server too. */
  forget(text: string): void
}

/** Names the `max` texts used last; those of others are freed in the server. */
export function statementNames(client: pg.Client, max: number): StatementNames {
  const known = new Map<string, Prepared>()
  const unused: string[] = []
  let given = 0

  function forget(text: string): void {
    const prepared = known.get(text)
    if (prepared === undefined) return
    known.delete(text)
    // The driver keeps the text of each name it has ever sent.
    delete (client.connection as unknown as Wire).parsedStatements[prepared.name]
    unused.push(prepared.name)
  }

  function freeUnused(): void {
    if (unused.length > 0) client.query(new ClosingQuery(unused.splice(0)))
  }

  return {
    of(text) {
      freeUnused()
      const old = known.get(text)
      if (old) known.delete(text)
      const prepared = old ?? { name: `banyan_${++given}` }
      // A Map keeps the order of insertion: the first key is the one used longest ago.
      known.set(text, prepared)
      if (known.size > max) forget(known.keys().next().value ?? '')
      return prepared
    },
    forget,
  }
}

/**
 * Frees statements in the server. By messages and not by DEALLOCATE, which is an error where there is no such statement, and would take the
 * transaction along that it runs in. No name is given twice, so one that the server has lost does no harm.
 */
class ClosingQuery extends Sending {
  readonly #names: readonly string[]

  constructor(names: readonly string[]) {
    // What makes it fail (a broken connection) makes the statement behind it fail too, which says so.
    super('close', () => {})
    this.#names = names
  }

  override requiresPreparation(): boolean {
    return true
  }

  override prepare(connection: Wire): void {
    for (const name of this.#names) connection.close({ type: 'S', name })
    connection.sync()
  }

  override handleReadyForQuery(connection: Wire): void {
    // Again: one that gave way before it was answered was noted after it had been forgotten.
    for (const name of this.#names) delete connection.parsedStatements[name]
    super.handleReadyForQuery(connection)
  }
}
