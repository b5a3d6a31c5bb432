import type { GatewayRequest } from '../exchange.ts'
import { type HeaderList, headerOf, withoutHeaders } from '../headers.ts'
import { normalisePath } from '../path.ts'
import { cacheControlOf, type Directives } from './cache-control.ts'

/** Requests on these conditions are for the service to judge; a part of an answer is not kept; some services take these for the method. */
const PASSED_ON = ['range', 'if-range', 'if-match', 'if-unmodified-since', 'x-http-method-override', 'x-http-method', 'x-method-override']

/** Whether a request by GET or HEAD is none that a cache could answer. */
export function isPassedOn({ isUpgrade, body, headers }: GatewayRequest): boolean {
  return isUpgrade || body.length !== 0 || PASSED_ON.some((name) => headerOf(headers, name) !== undefined)
}

/**
 * What a request is for: all that a service is told of the address, as it is told. No two requests of one key get different answers, but by
 * headers that `Vary` names.
 */
export function keyOf(request: Pick<GatewayRequest, 'headers' | 'path' | 'query'>): string {
  return `${placeOf(request.headers)} ${request.path}${request.query}`
}

/** The key of an address that an answer names; `undefined` for one that is elsewhere. */
export function keyOfReference(
  { headers, host, path }: Pick<GatewayRequest, 'headers' | 'host' | 'path'>,
  reference: string,
): string | undefined {
  const base = `http://${host}${path}`
  const url = URL.canParse(reference, base) ? new URL(reference, base) : undefined
  if (url?.hostname !== host) return undefined
  const named = normalisePath(url.pathname)
  return typeof named === 'string' ? `${placeOf(headers)} ${named}${url.search}` : undefined
}

/** With the port, and what a proxy before this one said of host and scheme: services write all of it into their answers. */
function placeOf(headers: HeaderList): string {
  const [scheme, host, before] = ['x-forwarded-proto', 'host', 'x-forwarded-host'].map((name) => headerOf(headers, name)?.toLowerCase())
  return before === host ? `${scheme} ${host}` : `${scheme} ${host} ${before}`
}

/** The directives of a request; `Pragma: no-cache` is what HTTP/1.0 had. @see RFC 9111, section 5.4 */
export function directivesOf(headers: HeaderList): Directives {
  const directives = cacheControlOf(headers)
  if (directives.size > 0 || !/(?:^|,)\s*no-cache\s*(?:,|$)/i.test(headerOf(headers, 'pragma') ?? '')) return directives
  return new Map([['no-cache', '']])
}

/** Whether a client has an answer already, and wants another only. */
export function hasCondition(headers: HeaderList): boolean {
  return headerOf(headers, 'if-none-match') !== undefined || headerOf(headers, 'if-modified-since') !== undefined
}

export function withoutConditions(headers: HeaderList): HeaderList {
  return withoutHeaders(headers, (name) => name === 'if-none-match' || name === 'if-modified-since')
}

/** On the condition that the service has another answer than the stored one. @see RFC 9111, section 4.3.1 */
export function withValidators(headers: HeaderList, stored: HeaderList): HeaderList {
  const [tag, changed] = [headerOf(stored, 'etag'), headerOf(stored, 'last-modified')]
  return [
    ...withoutConditions(headers),
    ...(tag === undefined ? [] : ['if-none-match', tag]),
    ...(changed === undefined ? [] : ['if-modified-since', changed]),
  ]
}
