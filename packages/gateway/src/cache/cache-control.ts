import { type HeaderList, headerValues } from '../headers.ts'

/** The directives of `Cache-Control`, by lower-case name; an empty text for one without a value. Of several of one name, the first counts. */
export type Directives = ReadonlyMap<string, string>

/**
 * A name, perhaps with a token or a quoted text; else a piece that is none of that. Blanks behind `=` belong to the value alone: where two parts
 * of the pattern could have them, a long run of them would be tried in all its halves.
 */
const DIRECTIVE = /\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=(?:\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?)?\s*(?:,|$)|[^,]*(?:,|$)/g

/** What forbids is heard also where it is written wrongly, as in `no-store; max-age=0`: whoever wrote it meant it. */
const FORBIDS = /(?<![\w-])(?:no-store|no-cache|private)(?![\w-])/g

/**
 * Reads the `Cache-Control` of a message. Of what is not well-formed, only what forbids counts.
 *
 * @see RFC 9111, section 5.2
 */
export function cacheControlOf(headers: HeaderList): Directives {
  const directives = new Map<string, string>()
  const add = (name: string, value: string) => {
    if (!directives.has(name)) directives.set(name, value)
  }
  for (const value of headerValues(headers, 'cache-control')) {
    for (const [piece, name, quoted, token] of value.matchAll(DIRECTIVE)) {
      if (name !== undefined) add(name.toLowerCase(), quoted ?? token ?? '')
      // A `;` stands within a token of this grammar's unquoted values, so it is looked for in them too.
      if (name === undefined || token?.includes(';')) for (const [word] of piece.toLowerCase().matchAll(FORBIDS)) add(word, '')
    }
  }
  return directives
}

/** As large as seconds get; more is as good as for ever. @see RFC 9111, section 1.2.2 */
export const mostSeconds: number = 2 ** 31

/**
 * A time in seconds; `undefined` when the directive is not there.
 *
 * @param wrong for a value that is none
 */
export function secondsOf(directives: Directives, name: string, wrong: number): number | undefined {
  const value = directives.get(name)
  if (value === undefined) return undefined
  return /^\d+$/.test(value) ? Math.min(Number(value), mostSeconds) : wrong
}
