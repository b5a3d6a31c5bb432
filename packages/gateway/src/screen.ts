import type { IncomingMessage } from 'node:http'
import { GatewayError } from './errors.ts'
import { type HeaderList, headerValues } from './headers.ts'
import { readTarget } from './path.ts'

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
}

/**
 * Lets only requests pass that every server behind reads in the same way. Node's strict parser has refused much already (bare CR,
 * folded headers, two different lengths); what it lets through is refused here.
 *
 * @param via this gateway's own mark in `Via`
 * @throws {GatewayError} with the status to answer with
 * @see RFC 9112, sections 3.2, 6.3 and 11.2
 */
export function screen(message: IncomingMessage, via: string): Screened {
  const { httpVersion, method = '', rawHeaders } = message
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw refused(505, `HTTP/${httpVersion} is not spoken here; wanted HTTP/1.1`)
  if (method === 'CONNECT' || method === 'TRACE') {
    throw new GatewayError('ERR_METHOD_NOT_ALLOWED', `the method ${method} is not allowed`, { status: 405 })
  }
  const bodyLength = framingOf(rawHeaders, httpVersion)
  const hostHeader = single(rawHeaders, 'host')
  if (hostHeader === undefined) throw refused(400, 'the request has no Host header')
  const host = /^([\w.~-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.exec(hostHeader)?.[1]
  if (host === undefined) throw refused(400, 'the Host header is not a host name')
  // Which of two a service would take is a matter of luck.
  single(rawHeaders, 'authorization')
  const target = readTarget(message.url ?? '')
  if ('rejected' in target) throw refused(400, target.rejected)
  if (target.authority !== undefined && target.authority.toLowerCase() !== hostHeader.toLowerCase()) {
    throw refused(400, 'the request target names another host than the Host header')
  }
  if (headerValues(rawHeaders, 'via').some((value) => value.includes(via))) {
    throw new GatewayError('ERR_LOOP', 'the request has been through this gateway already: a route leads back to it', { status: 508 })
  }
  return { method, hostHeader, host: host.toLowerCase(), path: target.path, query: target.query, bodyLength }
}

function framingOf(headers: HeaderList, httpVersion: string): number | undefined {
  const encoding = single(headers, 'transfer-encoding')
  const length = single(headers, 'content-length')
  if (encoding === undefined) {
    if (length !== undefined && !/^\d{1,15}$/.test(length)) throw refused(400, 'the Content-Length is not a number')
    return Number(length ?? 0)
  }
  if (length !== undefined) throw refused(400, 'the request has both Transfer-Encoding and Content-Length')
  if (encoding.toLowerCase() !== 'chunked') throw refused(501, 'the only Transfer-Encoding taken is "chunked"')
  if (httpVersion === '1.0') throw refused(400, 'HTTP/1.0 has no Transfer-Encoding')
  return undefined
}

function single(headers: HeaderList, name: string): string | undefined {
  const values = headerValues(headers, name)
  if (values.length > 1) throw refused(400, `the request has the header ${name} more than once`)
  return values[0]
}

function refused(status: number, detail: string): GatewayError {
  return new GatewayError('ERR_REQUEST_INVALID', detail, { status })
}
