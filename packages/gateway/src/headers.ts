/** Headers in the order they came: name, value, name, value. Names in any case; one name may stand several times. */
export type HeaderList = readonly string[]

/** The first value of a header. */
export function headerOf(headers: HeaderList, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (sameName(headers[index], name)) return headers[index + 1]
  }
  return undefined
}

/** All values of a header. */
export function headerValues(headers: HeaderList, name: string): string[] {
  const values: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    if (sameName(headers[index], name)) values.push(headers[index + 1] ?? '')
  }
  return values
}

/** The headers without some, by their lower-case names. */
export function withoutHeaders(headers: HeaderList, isDropped: (lowerCaseName: string) => boolean): string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (!isDropped(name.toLowerCase())) kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}

/** The headers with one set to one value. */
export function withHeader(headers: HeaderList, name: string, value: string): string[] {
  const wanted = name.toLowerCase()
  const kept = headerOf(headers, wanted) === undefined ? headers.slice() : withoutHeaders(headers, (other) => other === wanted)
  kept.push(name, value)
  return kept
}

/**
 * Headers about one connection, not about the message.
 *
 * @see RFC 9110, section 7.6.1
 */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** The lengths of their names, a bit each: most other names have another one, and need not be looked at any further. */
const HOP_LENGTHS = [...HOP_BY_HOP].reduce((lengths, { length }) => lengths | (1 << length), 0)

/** Headers that stay although a `Connection` header lists them: a client could take away what the service decides by. */
const NEVER_HOP_BY_HOP =
  /^(?:authorization|cookie|set-cookie|host|content-.*|forwarded|x-forwarded-.*|x-real-ip|x-auth-.*|x-request-id|traceparent|tracestate|idempotency-key|cache-control|via)$/

/**
 * The headers that go on to the next hop: without the hop-by-hop ones and those that `Connection` names.
 *
 * @param isDropped which others do not go on, by their lower-case names. Default: none
 */
export function endToEnd(headers: HeaderList, isDropped?: (lowerCaseName: string) => boolean): string[] {
  const listed = connectionOptions(headers)
  const isListed = listed.size === 0 ? undefined : (name: string) => listed.has(name) && !NEVER_HOP_BY_HOP.test(name)
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (isHopByHop(name)) continue
    const lowerCase = isListed || isDropped ? name.toLowerCase() : ''
    if (isListed?.(lowerCase) || isDropped?.(lowerCase)) continue
    kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}

/** Whether a header is about one connection. */
export function isHopByHop(name: string): boolean {
  const { length } = name
  return length < 32 && ((HOP_LENGTHS >>> length) & 1) === 1 && HOP_BY_HOP.has(name.toLowerCase())
}

/** Whether a header, by its lower-case name, stays although a `Connection` header lists it. */
export function isNeverHopByHop(lowerCaseName: string): boolean {
  return NEVER_HOP_BY_HOP.test(lowerCaseName)
}

const NONE: ReadonlySet<string> = new Set()

/** What the `Connection` headers list, in lower case, but for what they list most often: those two name no header that goes on anyway. */
export function connectionOptions(headers: HeaderList): ReadonlySet<string> {
  let listed: Set<string> | undefined
  for (let index = 0; index < headers.length; index += 2) {
    if (!sameName(headers[index], 'connection')) continue
    const value = (headers[index + 1] ?? '').toLowerCase()
    if (value === 'keep-alive' || value === 'close') continue
    listed ??= new Set()
    for (const option of value.split(',')) listed.add(option.trim())
  }
  return listed ?? NONE
}

/** What must be known before a body, or says who calls: worth nothing behind it, and dangerous. @see RFC 9110, section 6.5.1 */
const NO_TRAILER =
  /^(?:content-.*|host|authorization|cookie|set-cookie|cache-control|expect|range|te|max-forwards|x-auth-.*|x-forwarded-.*)$/

/** The trailers that go on to the next hop. */
export function endToEndTrailers(trailers: HeaderList): string[] {
  return endToEnd(trailers, (name) => NO_TRAILER.test(name))
}

/** Headers by which this gateway tells services who calls. A client's own ones are dropped, spelled with `_` too. */
export function isIdentityHeader(lowerCaseName: string): boolean {
  // Most do not begin with an x, and then no pattern need be asked.
  return lowerCaseName.charCodeAt(0) === X && /^x[-_]auth[-_]/.test(lowerCaseName)
}

const X = 'x'.charCodeAt(0)

function sameName(name: string | undefined, wanted: string): boolean {
  return name !== undefined && name.length === wanted.length && name.toLowerCase() === wanted
}
