import { isForwardedHeader } from './forwarded.ts'
import { connectionOptions, isHopByHop, isIdentityHeader, isNeverHopByHop, withoutHeaders } from './headers.ts'

/** The headers of a request, taken apart in one pass: each request comes through here, and most of its time in JavaScript is headers. */
export interface RequestHeaders {
  readonly host: string | undefined
  readonly contentLength: string | undefined
  readonly transferEncoding: string | undefined
  readonly requestId: string | undefined
  readonly via: readonly string[]
  /** One that may stand once only and stands twice: which of the two a service would take is a matter of luck. */
  readonly repeated: string | undefined
  /** What goes on: end-to-end headers, in the order they came, without those that only the gateway may say. A new list, for whoever reads it. */
  readonly forwarded: string[]
}

type Kind = 'host' | 'content-length' | 'transfer-encoding' | 'authorization' | 'x-request-id' | 'via' | 'connection'

const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>(
  (['host', 'content-length', 'transfer-encoding', 'authorization', 'x-request-id', 'via', 'connection'] as const).map((name) => [
    name,
    name,
  ]),
)

/** Takes the headers of a request apart. */
export function readRequestHeaders(headers: readonly string[]): RequestHeaders {
  const single: { [kind in Kind]?: string } = {}
  const via: string[] = []
  const forwarded: string[] = []
  let repeated: string | undefined
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    const lowerCase = name.toLowerCase()
    const kind = KINDS.get(lowerCase)
    if (kind === 'via') via.push(value)
    else if (kind === 'connection') single.connection = single.connection === undefined ? value : `${single.connection},${value}`
    else if (kind !== undefined) {
      // Of two ids the first counts: it is for logs.
      if (single[kind] !== undefined && kind !== 'x-request-id') repeated ??= kind
      single[kind] ??= value
    }
    if (goesOn(lowerCase, kind)) forwarded.push(name, value)
  }
  return {
    host: single.host,
    contentLength: single['content-length'],
    transferEncoding: single['transfer-encoding'],
    requestId: single['x-request-id'],
    via,
    repeated,
    forwarded: unlisted(forwarded, single.connection),
  }
}

function goesOn(lowerCase: string, kind: Kind | undefined): boolean {
  if (kind !== undefined) return kind !== 'connection' && kind !== 'transfer-encoding' && kind !== 'x-request-id'
  return !isHopByHop(lowerCase) && !isForwardedHeader(lowerCase) && !isIdentityHeader(lowerCase)
}

/** Without those that a `Connection` header names, which are about this connection. */
function unlisted(headers: string[], connection: string | undefined): string[] {
  const listed = connection === undefined ? undefined : connectionOptions(['connection', connection])
  if (!listed || listed.size === 0) return headers
  return withoutHeaders(headers, (name) => listed.has(name) && !isNeverHopByHop(name))
}
