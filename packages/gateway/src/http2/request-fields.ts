import type { OutgoingHttpHeaders } from 'node:http2'
import { GatewayError } from '../errors.ts'
import { headerOf } from '../headers.ts'
import { isTarget, isToken, isValue } from '../http-grammar.ts'
import type { UpstreamRequest } from '../upstream-client.ts'
import { fieldsOf } from './fields.ts'

/**
 * The fields of a request: `Host` becomes `:authority`, and what is about a connection of HTTP/1.1 is left out, but for `te: trailers`.
 *
 * @throws {GatewayError} `ERR_REQUEST_INVALID` (400) for what cannot be sent; `ERR_UPGRADE_REFUSED` (400) for a WebSocket handshake
 * @see RFC 9113, sections 8.2.2 and 8.3.1
 */
export function requestFields({ origin, method, path, headers, isUpgrade }: UpstreamRequest): OutgoingHttpHeaders {
  if (isUpgrade)
    throw new GatewayError('ERR_UPGRADE_REFUSED', 'the service speaks HTTP/2, to which no WebSocket is handed on', { status: 400 })
  let isGood = isToken(method) && isTarget(path)
  for (let index = 0; index < headers.length; index += 2) {
    isGood &&= isToken(headers[index] ?? '') && isValue(headers[index + 1] ?? '')
  }
  if (!isGood) throw unsendable()
  const { host, ...fields } = fieldsOf(headers)
  const url = new URL(origin)
  return {
    ...fields,
    ':method': method,
    ':scheme': url.protocol.slice(0, -1),
    ':authority': typeof host === 'string' ? host : url.host,
    ':path': path,
    ...(headerOf(headers, 'te') === 'trailers' && { te: 'trailers' }),
  }
}

/** What is wrong with a request that cannot be sent. The client's fault: blaming the upstream would let anybody open its breaker. */
export function unsendable(cause?: unknown): GatewayError {
  return new GatewayError('ERR_REQUEST_INVALID', 'the request has a header or a target that cannot be forwarded', { status: 400, cause })
}
