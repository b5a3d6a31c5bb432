import type { GatewayResponse } from '../exchange.ts'
import { headerValues, withHeader } from '../headers.ts'

/**
 * Says what this cache did, behind what caches before it said.
 *
 * @param what as in `hit; ttl=5` or `fwd=stale; fwd-status=304`
 * @see RFC 9211
 */
export function withStatus(response: GatewayResponse, what: string): GatewayResponse {
  const all = [...headerValues(response.headers, 'cache-status'), `banyan; ${what}`].join(', ')
  return { ...response, headers: withHeader(response.headers, 'cache-status', all) }
}
