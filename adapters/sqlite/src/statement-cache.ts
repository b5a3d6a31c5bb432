import type { StatementSync } from 'node:sqlite'

/** A prepared statement and what it gives. */
export interface Statement {
  readonly text: string
  readonly statement: StatementSync
  /** `undefined` for those that may change: `select *`. */
  readonly columns: readonly string[] | undefined
}

/** Gives the prepared statement of a tagged template: the `max` used last are kept, the others are prepared again when they come back. */
export function statementCache(
  max: number,
  prepare: (strings: TemplateStringsArray) => Statement,
): (strings: TemplateStringsArray) => Statement {
  // A template has one strings array however often it runs: finding its key by identity saves joining it each time.
  const keys = new WeakMap<TemplateStringsArray, string>()
  const statements = new Map<string, Statement>()

  return (strings) => {
    let key = keys.get(strings)
    if (key === undefined) {
      // By what no SQL contains: a "?" in a template's own text must not pass for the place of a value of another template.
      key = strings.join('\0')
      keys.set(strings, key)
    }
    let statement = statements.get(key)
    if (statement) statements.delete(key)
    else statement = prepare(strings)
    // A Map keeps the order of insertion: the first key is the one used longest ago.
    statements.set(key, statement)
    if (statements.size > max) {
      const { value: oldest } = statements.keys().next()
      if (oldest !== undefined) statements.delete(oldest)
    }
    return statement
  }
}
