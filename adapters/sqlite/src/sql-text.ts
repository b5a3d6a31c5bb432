/** What SQLite reads as one: texts and names in quotes, comments. What is not ended goes on to the end. */
const PIECES = /'[^']*(?:'|$)|"[^"]*(?:"|$)|`[^`]*(?:`|$)|\[[^\]]*(?:\]|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g

const TRIGGER = /^create\s+(?:temp\s+|temporary\s+)?trigger\b/i
const CONTROL = /^(?:begin|commit|end|rollback|savepoint|release|attach|detach|pragma|vacuum)\b/i

/** The statements of an SQL text, without comments, with `''` for all that is in quotes. A trigger is one, with all that it does. */
export function statementsOf(sql: string): string[] {
  const statements: string[] = []
  let inTrigger = false
  for (const part of bare(sql).split(';')) {
    const text = part.trim()
    if (text === '') continue
    if (!inTrigger) statements.push(text)
    inTrigger = inTrigger ? !/^end\b/i.test(text) : TRIGGER.test(text)
  }
  return statements
}

/** The word by which a statement of {@link statementsOf} does something to the transaction or the connection that it runs in. */
export function controlOf(statement: string): string | undefined {
  return CONTROL.exec(statement)?.[0].toUpperCase()
}

/** One line of at most 300 characters, for messages. */
export function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 300 ? `${line.slice(0, 300)}...` : line
}

function bare(sql: string): string {
  return sql.replace(PIECES, (piece) => (piece.startsWith('-') || piece.startsWith('/') ? ' ' : "''"))
}
