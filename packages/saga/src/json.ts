import { createHash } from 'node:crypto'
import { SagaError, type SagaErrorCode } from './errors.ts'

/**
 * A value as JSON text; `undefined` for `undefined`. Strict: what JSON would quietly change or drop (dates, maps, class
 * instances, `NaN`, functions, big integers) is an error, so that a saga reads the same value after a crash as before it.
 * Properties that are `undefined` are left out. At most 1,000 levels deep.
 *
 * @throws {SagaError} `code`, naming the place in the value
 */
export function toJson(value: unknown, what: string, code: SagaErrorCode): string | undefined {
  if (value === undefined) return undefined
  const wrong = findWrong(value, '', new Set())
  if (wrong)
    throw new SagaError(code, `cannot store ${what} as JSON: ${wrong}; wanted plain objects, arrays, texts, numbers, booleans and null`)
  return JSON.stringify(value)
}

/** The value that {@link toJson} wrote. */
export function fromJson(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text)
}

/**
 * A hash that is the same for the same content, whatever the order of the properties.
 *
 * @see RFC 8785, which this follows for the values that {@link toJson} takes
 */
export function fingerprintOf(json: string): string {
  return createHash('sha256')
    .update(canonical(fromJson(json)))
    .digest('base64url')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([name, content]) => `${JSON.stringify(name)}:${canonical(content)}`).join(',')}}`
}

/** How deep a value may be. Each level takes some of the stack here and in `JSON.stringify`, which a few thousand would use up. */
const DEEPEST = 1_000

/** What JSON cannot carry, in words; `undefined`: nothing. */
function findWrong(value: unknown, path: string, above: Set<object>): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : at(path, `${value}`)
  if (typeof value !== 'object') return at(path, value === undefined ? 'undefined' : `a ${typeof value}`)
  if (above.has(value)) return at(path, 'an object that contains itself')
  if (above.size >= DEEPEST) return at(path, `more than ${DEEPEST} levels deep`)
  above.add(value)
  const wrong = Array.isArray(value) ? wrongItem(value, path, above) : wrongProperty(value, path, above)
  above.delete(value)
  return wrong
}

function wrongItem(list: readonly unknown[], path: string, above: Set<object>): string | undefined {
  for (const [index, item] of list.entries()) {
    const wrong = findWrong(item, `${path}[${index}]`, above)
    if (wrong) return wrong
  }
  // As what a regular expression has matched: JSON would drop it.
  const beside = Object.keys(list)[list.length]
  return beside === undefined ? undefined : at(path, `an array with the property "${beside}" beside its items`)
}

function wrongProperty(value: object, path: string, above: Set<object>): string | undefined {
  // Nobody waits for it, and its rejection would end the process.
  if (value instanceof Promise) value.catch(() => {})
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return at(path, `an instance of ${value.constructor?.name ?? 'a class'}`)
  for (const [name, content] of Object.entries(value)) {
    const wrong = content === undefined ? undefined : findWrong(content, path === '' ? name : `${path}.${name}`, above)
    if (wrong) return wrong
  }
  return undefined
}

function at(path: string, what: string): string {
  if (path === '') return `it is ${what}`
  // Of a deep value it is long, and its beginning says enough.
  return `"${path.length > 100 ? `${path.slice(0, 100)}…` : path}" is ${what}`
}
