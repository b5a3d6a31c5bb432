import type { World } from '@banyan/core'
import type { Answer, Call, CallLimits } from './attempt.ts'
import type { RouteConfig } from './config.ts'
import type { Destination, Target } from './destination.ts'
import { GatewayError } from './errors.ts'
import type { GatewayRequest, GatewayResponse, Handler } from './exchange.ts'
import { grpcTimeoutMs, isGrpc } from './grpc.ts'
import { endToEnd, type HeaderList, headerOf, withoutHeaders } from './headers.ts'
import { segmentsOf } from './path.ts'
import type { UpstreamProtocol } from './upstream-client.ts'
import { weightedChooser } from './weighted-chooser.ts'

/** Finds the destination of a target; the same one each time. */
export type DestinationOf = (target: Target, protocol?: UpstreamProtocol) => Destination

/** The end of a route with `service`, `url` or `split`: forwards the request and streams the answer back. */
export function proxyHandler(route: RouteConfig, limits: CallLimits, destinationOf: DestinationOf, world: World): Handler {
  const choose = destinationChooser(route, destinationOf, world)
  const toCall = callWriter(route, limits)

  return (request) => {
    const destination = choose()
    const repeats = !request.isUpgrade && mayRepeat(request)
    return destination.call(toCall(request, destination), repeats, request.cancellation).then(toResponse)
  }
}

/** Where the next request goes. */
function destinationChooser({ split, protocol, ...target }: RouteConfig, destinationOf: DestinationOf, world: World): () => Destination {
  const shares = (split ?? [target]).map((share) => ({ ...share, weight: 'weight' in share ? share.weight : 1 }))
  const places = shares.filter(({ weight = 1 }) => weight > 0).map(({ weight = 1, ...share }) => ({ weight, share }))
  const destinations = places.map(({ share }) => destinationOf(targetOf(share), protocol))
  const [only] = destinations
  if (only && destinations.length === 1) return () => only
  const choose = weightedChooser(
    places.map(({ weight }) => weight),
    world,
  )
  // One of them: the chooser has as many.
  return () => destinations[choose()] as Destination
}

/** Of a route, a share, a mirror or a part. */
export function targetOf({ service, url = '' }: { readonly service?: string; readonly url?: string }): Target {
  return service === undefined ? { url } : { service }
}

/** Puts a request as its service gets it. */
export function callWriter(route: RouteConfig, limits: CallLimits): (request: GatewayRequest, destination: Destination) => Call {
  const rewrite = pathRewriter(route)
  const { upstream_host: host, preserve_host: keepsHost = false } = route

  return (request, destination) => {
    const path = `${destination.basePath}${rewrite(request)}${request.query}`
    const headers = withoutHops(request.headers, keepsHost)
    if (host !== undefined) headers.push('host', host)
    const { method, body, isUpgrade, onEarlyHints } = request
    const call = { method, path, headers, body, limits: withClientTimeout(limits, request), isUpgrade, onEarlyHints }
    return destination.protocol === 'http2' && isGrpc(headers) ? asGrpc(call) : call
  }
}

/** Without what each hop says itself. By the lengths of the names first: most headers are none of these. */
function withoutHops(headers: HeaderList, keepsHost: boolean): string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const { length } = name
    if ((length === 4 || length === 6 || length === 12 || length === 14) && isHops(name.toLowerCase(), keepsHost)) continue
    kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}

function isHops(name: string, keepsHost: boolean): boolean {
  return name === 'content-length' || name === 'x-timeout-ms' || name === 'expect' || (name === 'host' && !keepsHost)
}

/** A call of gRPC: its own deadline counts, and it needs trailers. */
function asGrpc(call: Call): Call {
  const timeoutMs = grpcTimeoutMs(call.headers)
  const headers = [...withoutHeaders(call.headers, (name) => name === 'grpc-timeout'), 'te', 'trailers']
  const limits = timeoutMs === undefined ? call.limits : within(timeoutMs, call.limits)
  return { ...call, headers, limits, grpc: { timeoutMs } }
}

function toResponse({ status, headers, body, trailers, tunnel, upstream, upstreamMs }: Answer): GatewayResponse {
  const response = { status, headers: endToEnd(headers), body, trailers, upstream, upstreamMs }
  if (!tunnel) return response
  if (headerOf(headers, 'upgrade')?.toLowerCase() === 'websocket') return { ...response, tunnel }
  tunnel.destroy()
  throw new GatewayError('ERR_UPSTREAM_INVALID', 'the service switched to another protocol than WebSocket', { status: 502 })
}

/** Safe methods, and requests that carry a key by which the service knows a repetition. */
function mayRepeat({ method, headers }: GatewayRequest): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || headerOf(headers, 'idempotency-key') !== undefined
}

/** The limits, but no longer than the client itself will wait, as it says in `x-timeout-ms`. */
export function withClientTimeout(limits: CallLimits, { headers }: Pick<GatewayRequest, 'headers'>): CallLimits {
  const value = headerOf(headers, 'x-timeout-ms')
  if (value === undefined || !/^[1-9]\d{0,8}$/.test(value)) return limits
  return within(Number(value), limits)
}

function within(clientMs: number, limits: CallLimits): CallLimits {
  if (clientMs >= limits.timeoutMs) return limits
  return { ...limits, timeoutMs: clientMs, routeTimeoutMs: limits.routeTimeoutMs ?? limits.timeoutMs }
}

/** From the path that was matched to the path that is forwarded: `/api/orders/1` to `/1`, or with an `upstream_path` to `/orders/1`. */
export function pathRewriter({
  path,
  strip_path = false,
  upstream_path = '',
  replace_path,
}: RouteConfig): (request: Pick<GatewayRequest, 'path' | 'params'>) => string {
  if (replace_path !== undefined) return (request) => fillPath(replace_path, request.params)
  if (!strip_path) return (request) => request.path
  const taken = segmentsOf(path).filter((segment) => segment !== '').length
  const front = upstream_path.replace(/\/$/, '')
  return (request) => {
    const rest = segmentsOf(request.path).slice(taken)
    const filled = fillPath(front, request.params)
    return rest.length === 0 ? filled || '/' : `${filled}/${rest.join('/')}`
  }
}

/**
 * Puts parameters into a path. They come from a normalised path, where a value is one segment and escaped, so it can add neither a
 * segment nor a query.
 */
export function fillPath(template: string, params: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => params[name] ?? '')
}
