import { shown } from '@banyan/core'

/**
 * The longest time that is stored, milliseconds: 1,000 years. A time so far ahead is a whole number that databases, JavaScript and a
 * `Date` hold.
 */
export const LONGEST_MS: number = 1_000 * 365 * 24 * 60 * 60 * 1_000

/** The longest time of one attempt, of a lease and between two looks, milliseconds: about 24 days, as one timer of the runtime takes. */
export const TIMER_LIMIT_MS: number = 2 ** 31 - 1

/**
 * Checks that a number is whole and in its range.
 *
 * @throws {RangeError} naming the action, the option and its value
 */
export function checkWhole(action: string, name: string, value: number, least: number, most: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  const wanted = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`
  throw new RangeError(`cannot ${action}: "${name}" is ${shown(value)}, wanted a whole number ${wanted}`)
}

/**
 * Checks a name of a saga, a step or an operation, or a key.
 *
 * @throws {TypeError} when it is empty, longer than `most` characters, not a text, or none that databases tell from another one
 */
export function checkName(action: string, what: string, name: unknown, most: number = 200): void {
  const wanted = wantedOf(name, most)
  if (wanted) throw new TypeError(`cannot ${action}: ${what} is ${given(name)}, wanted ${wanted}`)
}

/** Whether it is a name or a key, as {@link checkName} wants it. */
export function isName(name: unknown): boolean {
  return wantedOf(name, 200) === undefined
}

function wantedOf(name: unknown, most: number): string | undefined {
  if (typeof name !== 'string' || name.length === 0 || name.length > most) return `a text of 1 to ${most} characters`
  // A text in a database has neither: names that differ in nothing else would be one there.
  return name.isWellFormed() && !name.includes('\0') ? undefined : 'a text without NUL and without halves of surrogate pairs'
}

/**
 * What a function that decides gave. Programs in JavaScript, and those that cast, may give a promise, which would pass for a yes.
 *
 * @throws {TypeError} beginning with `who`, for anything but true and false
 */
export function isYes(answer: unknown, who: string): boolean {
  if (typeof answer === 'boolean') return answer
  throw new TypeError(`${who} gives ${given(answer)}, wanted true or false`)
}

/**
 * What a function or a caller gave, in words for a message that says what is wanted. Never throws. A promise is let go: nobody waits for
 * it, and its rejection would end the process.
 */
export function given(value: unknown): string {
  try {
    if (typeof value === 'string') return quoted(value)
    if (typeof value === 'function') return 'a function'
    if (typeof value !== 'object' || value === null) return String(value)
    if (value instanceof Promise) value.catch(() => {})
    const name: unknown = value.constructor?.name
    return name === 'Object' || typeof name !== 'string' ? 'an object' : `an instance of ${name}`
  } catch {
    return 'a value that cannot be shown'
  }
}

function quoted(text: string): string {
  return text.length <= 60 ? JSON.stringify(text) : `${JSON.stringify(`${text.slice(0, 60)}…`)} (${text.length} characters)`
}
