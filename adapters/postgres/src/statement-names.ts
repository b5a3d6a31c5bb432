import type pg from 'pg'

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
    // The driver keeps the text of each name it has ever sent, and its typings do not know that.
    const { parsedStatements } = client.connection as unknown as { parsedStatements?: Record<string, string> }
    if (parsedStatements) delete parsedStatements[name]
    unused.push(name)
  }

  function freeUnused(): void {
    // In a transaction that has failed the server would refuse.
    if (unused.length === 0 || client.getTransactionStatus() !== 'I') return
    for (const name of unused.splice(0)) {
      // No name is given twice, so one that the server does not know any more does no harm.
      client.query({ text: `deallocate ${name}` }, () => {})
    }
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
