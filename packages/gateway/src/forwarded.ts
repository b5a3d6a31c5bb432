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
  const said = headerValues(headers, 'x-forwarded-for').flatMap((value) => value.split(',').map((hop) => hop.trim()))
  const hops = said.filter((hop) => hop !== '').map(addressOf)
  // What stands before one that cannot be read was said by nobody knows whom: it may be the client's own invention.
  const chain = [...hops.slice(hops.lastIndexOf(undefined) + 1).filter((hop) => hop !== undefined), peerIp]
  const saidProto = headerOf(headers, 'x-forwarded-proto')
  const proto = saidProto === 'https' || saidProto === 'http' ? saidProto : scheme
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

/** Of a hop, which some proxies write with its port: `1.2.3.4:5678`, `[fd00::1]:5678`; `undefined` for none. */
function addressOf(hop: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(hop) ?? []
  const address = plainIp(bracketed ?? plain ?? hop)
  return isIP(address) > 0 ? address : undefined
}

/** `::ffff:10.0.0.1`, as dual-stack sockets say it, is 10.0.0.1. */
function plainIp(address: string): string {
  return address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address
}
