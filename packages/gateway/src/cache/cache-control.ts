import { type HeaderList, headerValues } from '../headers.ts'

/** The directives of `Cache-Control`, by lower-case name; an empty text for one without a value. Of several of one name, the first counts. */
export type Directives = ReadonlyMap<string, string>

/** A name, perhaps with a token or a quoted text. */
const DIRECTIVE = /\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?\s*(?:,|$)|[^,]*(?:,|$)/g

/**
 * Reads the `Cache-Control` of a message. What is not well-formed is passed over.
 *
 * @see RFC 9111, section 5.2
 */
export function cacheControlOf(headers: HeaderList): Directives {
  const directives = new Map<string, string>()
  for (const value of headerValues(headers, 'cache-control')) {
    for (const [, name, quoted, token] of value.matchAll(DIRECTIVE)) {
      if (name === undefined) continue
      const lowerCase = name.toLowerCase()
      if (!directives.has(lowerCase)) directives.set(lowerCase, quoted ?? token ?? '')
    }
  }
  return directives
}

/** As large as seconds get; more is as good as for ever. @see RFC 9111, section 1.2.2 */
const MOST_SECONDS = 2 ** 31

/**
 * A time in seconds; `undefined` when the directive is not there.
 *
 * @param wrong for a value that is none
 */
export function secondsOf(directives: Directives, name: string, wrong: number): number | undefined {
  const value = directives.get(name)
  if (value === undefined) return undefined
  return /^\d+$/.test(value) ? Math.min(Number(value), MOST_SECONDS) : wrong
}
