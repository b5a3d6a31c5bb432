import { isIP, isIPv4 } from 'node:net'
import { type HeaderList, headerOf, headerValues } from './headers.ts'
import type { Networks } from './networks.ts'

/** How a request came in, as far as it can be believed. */
export interface Arrival {
  /** The address of the client: the nearest one that is not a trusted proxy. */
  readonly clientIp: string
  /** `X-Forwarded-*` for the service. */
  readonly headers: HeaderList
}

/** How a request came to us. */
export interface ArrivedBy {
  /** The address at the other end of the connection. */
  readonly peer: string
  /** Its `Host`. */
  readonly host: string
  readonly scheme: 'http' | 'https'
}

/**
 * Works out who calls and what to tell the service. What an untrusted peer says about itself is not handed on.
 *
 * @param isTrusted whether an address belongs to a proxy of our own, whose `X-Forwarded-*` headers may be believed
 */
export function arrivalOf(headers: HeaderList, { peer, host, scheme }: ArrivedBy, isTrusted: Networks): Arrival {
  const peerIp = plainIp(peer)
  if (!isTrusted(peerIp)) {
    return { clientIp: peerIp, headers: ['x-forwarded-for', peerIp, 'x-forwarded-proto', scheme, 'x-forwarded-host', host] }
  }
  const hops = headerValues(headers, 'x-forwarded-for').flatMap((value) => value.split(',').map((hop) => plainIp(hop.trim())))
  const chain = [...hops.filter((hop) => isIP(hop) > 0), peerIp]
  const said = headerOf(headers, 'x-forwarded-proto')
  const proto = said === 'https' || said === 'http' ? said : scheme
  const forwardedHost = headerOf(headers, 'x-forwarded-host') ?? host
  return {
    clientIp: chain.findLast((address) => !isTrusted(address)) ?? chain[0] ?? peerIp,
    headers: ['x-forwarded-for', chain.join(', '), 'x-forwarded-proto', proto, 'x-forwarded-host', forwardedHost],
  }
}

/** Whether a header, by its lower-case name, says where a request came from or went to. */
export function isForwardedHeader(lowerCaseName: string): boolean {
  const first = lowerCaseName.charCodeAt(0)
  // Most begin with neither, and then no pattern need be asked.
  return (first === X || first === F) && CLAIMS.test(lowerCaseName)
}

const X = 'x'.charCodeAt(0)
const F = 'f'.charCodeAt(0)

// The last two make some frameworks serve another path than the one that was matched.
const CLAIMS = /^(?:forwarded|x[-_]forwarded[-_].*|x[-_]real[-_]ip|x[-_]original[-_]url|x[-_]rewrite[-_]url)$/

/** `::ffff:10.0.0.1`, as dual-stack sockets say it, is 10.0.0.1. */
function plainIp(address: string): string {
  return address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address
}
