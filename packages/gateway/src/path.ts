/** A request target in its parts, the path normalised. */
export interface Target {
  /** `host:port` of an absolute target (`GET http://shop.example/x`), as sent. */
  readonly authority: string | undefined
  readonly path: string
  /** With its `?`, byte for byte as sent; empty without one. */
  readonly query: string
}

/** Why a target or a path cannot be accepted, for people. */
export interface Rejected {
  readonly rejected: string
}

/**
 * Takes a request target apart: `/a/b?c` or, as proxies send it, `http://host/a/b?c`.
 *
 * @see RFC 9112, section 3.2
 */
export function readTarget(target: string): Target | Rejected {
  // Control bytes and blanks never come through the parser; this must not depend on it.
  if (/[\0- \x7f#]/.test(target)) return { rejected: 'the request target has a character that may not stand in it' }
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target)
  const rest = absolute ? (absolute[2] ?? '') : target
  const mark = rest.indexOf('?')
  const rawPath = mark < 0 ? rest : rest.slice(0, mark)
  const path = normalisePath(absolute && rawPath === '' ? '/' : rawPath)
  if (typeof path !== 'string') return path
  return { authority: absolute?.[1], path, query: mark < 0 ? '' : rest.slice(mark) }
}

/** Most paths are normal as they come: no escapes, no segment that starts with a dot, no empty one. */
const ALREADY_NORMAL = /^(?:\/[\w~!$&'()*+,;=:@-][\w.~!$&'()*+,;=:@-]*)*\/?$/

/** What an escape stands for may stand plain in a path without changing its meaning; `;` and `+` change it for some servers. */
const MAY_STAND_PLAIN = /^[\w.~!$&'()*,=:@-]$/

/**
 * The one spelling of a path that is matched and forwarded, so that a route and the service behind it never see two different
 * paths: dot segments resolved, runs of slashes made one, needless escapes undone, the others in upper case (`%2F` stays: it is
 * part of a segment). Applying it twice changes nothing.
 *
 * @returns the path, or why it is rejected: no slash at the start, a bad escape, an encoded NUL, a backslash in any spelling, or
 *   `..;`, which some servers take for `..`
 * @see RFC 3986, section 6.2.2
 */
export function normalisePath(raw: string): string | Rejected {
  if (raw[0] !== '/') return { rejected: `the path does not start with "/"` }
  if (ALREADY_NORMAL.test(raw)) return raw
  if (raw.includes('\\')) return { rejected: 'the path has a backslash' }
  if (/[^\x21-\x7e\x80-\xff]/.test(raw)) return { rejected: 'the path has a character that may not stand in it' }
  if (/%(?![0-9a-f]{2})/i.test(raw)) return { rejected: 'the path has an escape that is not "%" and two hexadecimal digits' }
  if (/%00/.test(raw)) return { rejected: 'the path has an encoded NUL' }
  if (/%5c/i.test(raw)) return { rejected: 'the path has an encoded backslash' }
  const spelled = raw
    // Bytes above 0x7f come as one character each (latin1): escape them, as they should have come.
    .replace(/[\x80-\xff]/g, (byte) => escapeOf(byte.charCodeAt(0)))
    .replace(/%[0-9a-f]{2}/gi, (escaped) => {
      const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
      return MAY_STAND_PLAIN.test(character) ? character : escaped.toUpperCase()
    })
  if (/\/\.{1,2}(?:;|%3B)/.test(spelled)) return { rejected: 'the path has a dot segment with parameters' }
  return resolveDots(spelled.split('/').slice(1))
}

/** The segments of a normal path: `['api', 'orders']` of `/api/orders`; a slash at the end gives a last empty one. */
export function segmentsOf(path: string): string[] {
  return path === '/' ? [] : path.slice(1).split('/')
}

function resolveDots(segments: readonly string[]): string {
  const kept: string[] = []
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    if (segment === '..') kept.pop()
    else if (segment !== '.' && segment !== '') kept.push(segment)
    // `/a/.`, `/a/b/..` and `/a//` end in a directory.
    if (isLast && (segment === '..' || segment === '.' || segment === '') && kept.length > 0) kept.push('')
  }
  return `/${kept.join('/')}`
}

function escapeOf(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
}
