import { GatewayError } from '../errors.ts'
import { type HeaderList, headerOf } from '../headers.ts'
import { TARGET, TOKEN, VALUE } from '../http-grammar.ts'

export interface RequestHead {
  readonly method: string
  /** With its query. */
  readonly path: string
  /** Sent as they are; with a `host`, that one is sent. */
  readonly headers: HeaderList
  /** For a request without a `host`. */
  readonly host: string
  /** A WebSocket handshake. */
  readonly isUpgrade: boolean
  /** The body has no known length. */
  readonly isChunked: boolean
}

/**
 * Writes the head of a request, one character a byte.
 *
 * @throws {GatewayError} `ERR_REQUEST_INVALID` (400) for characters that cannot be sent
 */
export function writeRequestHead({ method, path, headers, host, isUpgrade, isChunked }: RequestHead): string {
  let isGood = TOKEN.test(method) && TARGET.test(path)
  let head = `${method} ${path} HTTP/1.1\r\n`
  if (headerOf(headers, 'host') === undefined) head += `host: ${host}\r\n`
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    isGood &&= TOKEN.test(name) && VALUE.test(value)
    head += `${name}: ${value}\r\n`
  }
  if (isUpgrade) head += 'connection: Upgrade\r\nupgrade: websocket\r\n'
  if (isChunked) head += 'transfer-encoding: chunked\r\n'
  if (isGood) return `${head}\r\n`
  // The client's fault: blaming the upstream would let anybody open its breaker.
  throw new GatewayError('ERR_REQUEST_INVALID', 'the request has a header or a target that cannot be forwarded', { status: 400 })
}
