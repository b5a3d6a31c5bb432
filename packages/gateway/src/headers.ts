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
  return [...withoutHeaders(headers, (other) => other === wanted), name, value]
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

/** Headers that stay although a `Connection` header lists them: a client could take away what the service decides by. */
const NEVER_HOP_BY_HOP =
  /^(?:authorization|cookie|set-cookie|host|content-.*|forwarded|x-forwarded-.*|x-real-ip|x-auth-.*|x-request-id|traceparent|tracestate|idempotency-key|cache-control|via)$/

/**
 * The headers that go on to the next hop: without the hop-by-hop ones and those that `Connection` names.
 *
 * @param isDropped which others do not go on, by their lower-case names. Default: none
 */
export function endToEnd(headers: HeaderList, isDropped: (lowerCaseName: string) => boolean = () => false): string[] {
  const listed = connectionOptions(headers)
  const isListed = listed.size === 0 ? () => false : (name: string) => listed.has(name) && !NEVER_HOP_BY_HOP.test(name)
  return withoutHeaders(headers, (name) => HOP_BY_HOP.has(name) || isListed(name) || isDropped(name))
}

const NONE: ReadonlySet<string> = new Set()

/** What the `Connection` headers list, in lower case. */
export function connectionOptions(headers: HeaderList): ReadonlySet<string> {
  const values = headerValues(headers, 'connection')
  if (values.length === 0) return NONE
  const options = values.flatMap((value) => value.split(','))
  return new Set(options.map((option) => option.trim().toLowerCase()))
}

/** Headers by which this gateway tells services who calls. A client's own ones are dropped, spelled with `_` too. */
export function isIdentityHeader(lowerCaseName: string): boolean {
  return /^x[-_]auth[-_]/.test(lowerCaseName)
}

function sameName(name: string | undefined, wanted: string): boolean {
  return name !== undefined && name.length === wanted.length && name.toLowerCase() === wanted
}
