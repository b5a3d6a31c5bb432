import { PostgresError } from './postgres-error.ts'

// A template has one strings array however often it runs: finding its text by identity saves joining it each time.
const texts = new WeakMap<TemplateStringsArray, string>()

// Each comment can be read in one way only: else the work of looking would double with every one.
const CONTROL =
  /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)*(begin|start|commit|end|abort|rollback|savepoint|release|prepare|deallocate|discard|vacuum|reset|set(?!\s+(?:local|constraints)))\b/i

/**
 * The text of a template, with `$1`, `$2`, ... for its values.
 *
 * @throws {PostgresError} `ERR_TRANSACTION_CONTROL`
 */
export function textOf(strings: TemplateStringsArray): string {
  const known = texts.get(strings)
  if (known !== undefined) return known
  const text = strings.reduce((before, part, index) => `${before}$${index}${part}`)
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

/** One line of at most 300 characters, for messages. */
export function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 300 ? `${line.slice(0, 300)}...` : line
}
