import { GatewayError } from '../errors.ts'
import { headerOf } from '../headers.ts'
import { isTarget, isToken, isValue } from '../http-grammar.ts'
import type { UpstreamRequest } from '../upstream-client.ts'

/** What the connection adds to a request. */
export interface Framing {
  /** For a request without a `host`. */
  readonly host: string
  /** The body has no known length. */
  readonly isChunked: boolean
}

/**
 * Writes the head of a request, one character a byte.
 *
 * @throws {GatewayError} `ERR_REQUEST_INVALID` (400) for characters that cannot be sent
 */
export function writeRequestHead(
  { method, path, headers, isUpgrade }: Pick<UpstreamRequest, 'method' | 'path' | 'headers' | 'isUpgrade'>,
  { host, isChunked }: Framing,
): string {
  let isGood = isToken(method) && isTarget(path)
  let head = `${method} ${path} HTTP/1.1\r\n`
  if (headerOf(headers, 'host') === undefined) head += `host: ${host}\r\n`
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    isGood &&= isToken(name) && isValue(value)
    head += `${name}: ${value}\r\n`
  }
  if (isUpgrade) head += 'connection: Upgrade\r\nupgrade: websocket\r\n'
  if (isChunked) head += 'transfer-encoding: chunked\r\n'
  if (isGood) return `${head}\r\n`
  // The client's fault: blaming the upstream would let anybody open its breaker.
  throw new GatewayError('ERR_REQUEST_INVALID', 'the request has a header or a target that cannot be forwarded', { status: 400 })
}
