import type { StatementSync } from 'node:sqlite'

/** A prepared statement and what it gives. */
export interface Statement {
  readonly text: string
  readonly statement: StatementSync
  /** `undefined` for those that may change: `select *`. */
  readonly columns: readonly string[] | undefined
}

/** Gives the prepared statement of a tagged template: the `max` used last are kept, the others are prepared again when they come back. */
export function statementCache(max: number, prepare: (text: string) => Statement): (strings: TemplateStringsArray) => Statement {
  // A template has one strings array however often it runs: finding its text by identity saves joining it each time.
  const texts = new WeakMap<TemplateStringsArray, string>()
  const statements = new Map<string, Statement>()

  return (strings) => {
    let text = texts.get(strings)
    if (text === undefined) {
      text = strings.join('?')
      texts.set(strings, text)
    }
    let statement = statements.get(text)
    if (statement) statements.delete(text)
    else statement = prepare(text)
    // A Map keeps the order of insertion: the first key is the one used longest ago.
    statements.set(text, statement)
    if (statements.size > max) {
      const { value: oldest } = statements.keys().next()
      if (oldest !== undefined) statements.delete(oldest)
    }
    return statement
  }
}
