import type pg from 'pg'
import { Sending, type Wire } from './wire.ts'

/** The names of the statements that a connection has prepared. */
export interface StatementNames {
  /** The name to run a text under; new texts get a new one. */
  nameOf(text: string): string
  /** Takes a text's name away, in the server too. */
  forget(text: string): void
}

/** Names the `max` texts used last; those of others are freed in the server. */
export function statementNames(client: pg.Client, max: number): StatementNames {
  const names = new Map<string, string>()
  const unused: string[] = []
  let given = 0

  function forget(text: string): void {
    const name = names.get(text)
    if (name === undefined) return
    names.delete(text)
    // The driver keeps the text of each name it has ever sent.
    delete (client.connection as unknown as Wire).parsedStatements[name]
    unused.push(name)
  }

  function freeUnused(): void {
    if (unused.length > 0) client.query(new ClosingQuery(unused.splice(0)))
  }

  return {
    nameOf(text) {
      freeUnused()
      const known = names.get(text)
      const name = known ?? `banyan_${++given}`
      if (known !== undefined) names.delete(text)
      // A Map keeps the order of insertion: the first key is the one used longest ago.
      names.set(text, name)
      if (names.size > max) forget(names.keys().next().value ?? '')
      return name
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
    super({ text: 'close' }, () => {})
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
