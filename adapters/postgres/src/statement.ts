import { PostgresError } from './postgres-error.ts'

// A template has one strings array however often it runs: finding its text by identity saves joining it each time.
const texts = new WeakMap<TemplateStringsArray, string>()

const CONTROL =
  /(begin|start|commit|end|abort|rollback|savepoint|release|prepare|deallocate|discard|vacuum|reset|set(?!\s+(?:local|constraints)))\b/iy

/**
 * The text of a template, with `$1`, `$2`, ... for its values.
 *
 * @throws {PostgresError} `ERR_TRANSACTION_CONTROL`
 */
export function textOf(strings: TemplateStringsArray): string {
  const known = texts.get(strings)
  if (known !== undefined) return known
  const text = strings.reduce((before, part, index) => `${before}$${index}${part}`)
  CONTROL.lastIndex = startOf(text)
  const control = CONTROL.exec(text)?.[1]
  if (control) {
    throw new PostgresError(
      'ERR_TRANSACTION_CONTROL',
      `cannot run "${shorten(text)}": ${control.toUpperCase()} is not for a transaction's body; Banyan begins and ends transactions`,
    )
  }
  texts.set(strings, text)
  return text
}

/** Where the statement begins: behind blanks, semicolons and comments, which nest in PostgreSQL. */
function startOf(text: string): number {
  let depth = 0
  let index = 0
  while (index < text.length) {
    if (text.startsWith('/*', index)) {
      depth += 1
      index += 2
    } else if (depth > 0) {
      const isEnd = text.startsWith('*/', index)
      if (isEnd) depth -= 1
      index += isEnd ? 2 : 1
    } else if (text.startsWith('--', index)) {
      const length = text.slice(index).search(/[\r\n]/)
      index = length < 0 ? text.length : index + length
    } else if (/[\s;]/.test(text[index] ?? '')) index += 1
    else return index
  }
  return index
}

/** One line of at most 300 characters, for messages. */
export function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 300 ? `${line.slice(0, 300)}...` : line
}
