/** A head of HTTP/2, said as HTTP/1.1 says it, or why it is refused. */
export type RequestHead = { readonly method: string; readonly url: string; readonly rawHeaders: string[] } | { readonly refused: string }

/**
 * Reads the fields of a HEADERS frame. `:authority` becomes `Host`; the crumbs of a cookie become one.
 *
 * @param fields name, value, name, value, as they came
 * @param hasEnded no body follows
 * @see RFC 9113, sections 8.2.2, 8.2.3 and 8.3.1
 */
export function readRequestHead(fields: readonly string[], hasEnded: boolean): RequestHead {
  const pseudo = new Map<string, string>()
  const rawHeaders: string[] = []
  const cookies: string[] = []
  let host: string | undefined
  let hasLength = false
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (CONNECTION_SPECIFIC.has(name) || (name === 'te' && value !== 'trailers')) return { refused: `HTTP/2 has no header ${name}` }
    if (name.startsWith(':')) pseudo.set(name, value)
    else if (name === 'cookie') cookies.push(value)
    else if (name === 'host' && host !== undefined) return { refused: 'the request has the header host more than once' }
    else if (name === 'host') host = value
    else {
      hasLength ||= name === 'content-length'
      rawHeaders.push(name, value)
    }
  }
  const authority = pseudo.get(':authority') ?? host
  if (host !== undefined && authority?.toLowerCase() !== host.toLowerCase()) {
    return { refused: 'the :authority names another host than the Host header' }
  }
  if (authority !== undefined) rawHeaders.unshift('host', authority)
  if (cookies.length > 0) rawHeaders.push('cookie', cookies.join('; '))
  if (hasEnded && !hasLength) rawHeaders.push('content-length', '0')
  return { method: pseudo.get(':method') ?? '', url: pseudo.get(':path') ?? '', rawHeaders }
}

const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])
