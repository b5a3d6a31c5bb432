import { GatewayError } from './errors.ts'
import type { Inbound } from './inbound.ts'
import { readTarget } from './path.ts'
import { type RequestHeaders, readRequestHeaders } from './request-headers.ts'

/** A request that may be looked at further. */
export interface Screened {
  readonly method: string
  /** As the client sent it. */
  readonly hostHeader: string
  /** Lower case, without port. */
  readonly host: string
  /** Normalised. */
  readonly path: string
  readonly query: string
  /** The length of the body: 0 for none, `undefined` for chunks. */
  readonly bodyLength: number | undefined
  readonly headers: RequestHeaders
  /** As they came, for routes that ask for some. */
  readonly rawHeaders: readonly string[]
}

/**
 * Lets only requests pass that every server behind reads in the same way. Node's strict parser has refused much already (bare CR,
 * folded headers, two different lengths); what it lets through is refused here.
 *
 * @param via this gateway's own mark in `Via`
 * @throws {GatewayError} with the status to answer with
 * @see RFC 9112, sections 3.2, 6.3 and 11.2
 */
export function screen(message: Inbound, via: string): Screened {
  const { httpVersion, method = '', rawHeaders } = message
  if (httpVersion !== '1.1' && httpVersion !== '1.0' && httpVersion !== '2')
    throw refused(505, `HTTP/${httpVersion} is not spoken here; wanted HTTP/1.1`)
  if (method === 'CONNECT' || method === 'TRACE') {
    throw new GatewayError('ERR_METHOD_NOT_ALLOWED', `the method ${method} is not allowed`, { status: 405 })
  }
  const headers = readRequestHeaders(rawHeaders)
  if (headers.repeated !== undefined) throw refused(400, `the request has the header ${headers.repeated} more than once`)
  const bodyLength = framingOf(headers, httpVersion)
  const hostHeader = headers.host
  if (hostHeader === undefined) throw refused(400, 'the request has no Host header')
  const host = HOST.exec(hostHeader)?.[1]
  if (host === undefined) throw refused(400, 'the Host header is not a host name')
  const target = readTarget(message.url ?? '')
  if ('rejected' in target) throw refused(400, target.rejected)
  if (target.authority !== undefined && target.authority.toLowerCase() !== hostHeader.toLowerCase()) {
    throw refused(400, 'the request target names another host than the Host header')
  }
  if (headers.via.some((value) => value.includes(via))) {
    throw new GatewayError('ERR_LOOP', 'the request has been through this gateway already: a route leads back to it', { status: 508 })
  }
  return { method, hostHeader, host: host.toLowerCase(), path: target.path, query: target.query, bodyLength, headers, rawHeaders }
}

const HOST = /^([\w.~-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i

function framingOf({ transferEncoding: encoding, contentLength: length }: RequestHeaders, httpVersion: string): number | undefined {
  if (encoding === undefined) {
    if (length === undefined) return httpVersion === '2' ? undefined : 0
    if (!/^\d{1,15}$/.test(length)) throw refused(400, 'the Content-Length is not a number')
    return Number(length)
  }
  if (length !== undefined) throw refused(400, 'the request has both Transfer-Encoding and Content-Length')
  if (encoding.toLowerCase() !== 'chunked') throw refused(501, 'the only Transfer-Encoding taken is "chunked"')
  if (httpVersion === '1.0') throw refused(400, 'HTTP/1.0 has no Transfer-Encoding')
  return undefined
}

function refused(status: number, detail: string): GatewayError {
  return new GatewayError('ERR_REQUEST_INVALID', detail, { status })
}
