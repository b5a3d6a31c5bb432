import type { Logger, World } from '@banyan/core'
import type { Cancellation } from '@banyan/resilience'
import { context, type Histogram } from '@opentelemetry/api'
import { clientCertificateOf } from './client-certificate.ts'
import { GatewayError } from './errors.ts'
import type { GatewayRequest, GatewayResponse } from './exchange.ts'
import { arrivalOf } from './forwarded.ts'
import { type HeaderList, headerOf, withHeader } from './headers.ts'
import type { Inbound } from './inbound.ts'
import { measuredMethod, requests } from './metrics.ts'
import { problem, problemOf } from './problem.ts'
import { bodyTooLarge, type ClientBody, clientBody, noBody } from './request-body.ts'
import { type Screened, screen } from './screen.ts'
import { type CompiledRoute, defaultIdleTimeoutMs, type Snapshot } from './snapshot.ts'
import { endSpan, isTracing, startServerSpan, type Traced, traceIdOf } from './trace.ts'

/** What the way of a request needs. */
export interface PipelineOptions {
  /** The snapshot in force; read once per request. */
  readonly current: () => Snapshot
  /** The service's name in spans, metrics and logs. */
  readonly name: string
  /** This gateway's mark in `Via`, unlike that of any other. */
  readonly via: string
  readonly world: World
  readonly log: Logger
}

/** A request that is being answered. */
export interface Exchange {
  readonly response: GatewayResponse
  readonly body: ClientBody
  /** How long the client may take nothing of the answer, milliseconds. */
  readonly idleTimeoutMs: number
  /** Writes the log line, the metric and the span. `status` is what the client got, 499 when it had gone. */
  finish(status: number, end: string): void
}

/** Where the request came from, and what to tell its client. */
export interface Client {
  /** Aborted when it has gone. */
  readonly cancellation: Cancellation
  readonly isUpgrade: boolean
  /** Sends `100 Continue` to a client that waits for it. */
  readonly onBodyWanted: () => void
  /** Sends `103 Early Hints`. Left out: the client would not know what to do with it. */
  readonly onEarlyHints?: ((headers: HeaderList) => void) | undefined
}

/** Takes a request from the listener to an answer. Never rejects. */
export type Pipeline = (message: Inbound, client: Client) => Promise<Exchange>

/** Creates the way of a request: screen, route, plugins, target. */
export function pipeline(options: PipelineOptions): Pipeline {
  const { name, world } = options
  const durations = requests()

  // One random number for all requests of this start; a count tells them apart.
  const idFront = world.uuid()
  let count = 0

  return async (message, client) => {
    const startedAt = world.monotonic()
    const admitted = admit(message, client, options)
    const traced = isTracing() ? startSpan(message, admitted, name) : undefined
    count += 1
    const id = ownRequestId(message, admitted) ?? `${idFront}.${count.toString(36)}`
    const response =
      'refusal' in admitted ? admitted.refusal : await handleIn(traced, admitted, toRequest(message, admitted, client, options, id))
    const record = { message, admitted, traced, response, startedAt, durations, id }
    return {
      response: { ...response, headers: withHeader(response.headers, 'x-request-id', id) },
      body: admitted.body,
      idleTimeoutMs: admitted.route?.idleTimeoutMs ?? defaultIdleTimeoutMs,
      finish: (status, end) => finish(record, status, end, options),
    }
  }
}

function startSpan({ method = '', rawHeaders }: Inbound, { route, screened }: Admitted, name: string): Traced {
  return startServerSpan(`${measuredMethod(method)} ${route?.path ?? ''}`.trim(), rawHeaders, {
    'banyan.service': name,
    'http.request.method': measuredMethod(method),
    ...(screened && { 'url.path': screened.path }),
    ...(route && { 'http.route': route.path }),
  })
}

function handleIn(traced: Traced | undefined, { route }: Taken, request: GatewayRequest): Promise<GatewayResponse> {
  return traced ? context.with(traced.context, () => route.handle(request)) : route.handle(request)
}

type Admitted =
  | {
      readonly route: CompiledRoute
      readonly screened: Screened
      readonly params: GatewayRequest['params']
      readonly body: ClientBody
      readonly snapshot: Snapshot
    }
  | { readonly route?: CompiledRoute; readonly screened?: Screened; readonly refusal: GatewayResponse; readonly body: ClientBody }

function admit(message: Inbound, client: Client, { current, via, world }: PipelineOptions): Admitted {
  let screened: Screened
  try {
    screened = screen(message, via)
    if (client.isUpgrade && screened.bodyLength !== 0) {
      throw new GatewayError('ERR_UPGRADE_REFUSED', 'a WebSocket handshake has no body', { status: 400 })
    }
  } catch (error) {
    return { refusal: problemOf(error), body: bodyOf(message, undefined, 0, client, world) }
  }
  const snapshot = current()
  const found = snapshot.routes.match(screened)
  if (!found.route)
    return { screened, refusal: unknownRoute(screened, found.allow), body: bodyOf(message, screened.bodyLength, 0, client, world) }
  const { route, params } = found
  const body = bodyOf(message, screened.bodyLength, route.maxBodyBytes, client, world)
  if ((screened.bodyLength ?? 0) > route.maxBodyBytes)
    return { route, screened, refusal: problemOf(bodyTooLarge(route.maxBodyBytes)), body }
  return { route, screened, params, body, snapshot }
}

function bodyOf(message: Inbound, length: number | undefined, maxBytes: number, client: Client, world: World): ClientBody {
  if (length === 0 || client.isUpgrade) return noBody
  return clientBody(message, { length, maxBytes, trailers: () => message.rawTrailers, world, onWanted: client.onBodyWanted })
}

function unknownRoute({ method, path }: Screened, allow: readonly string[]): GatewayResponse {
  if (allow.length === 0) return problem({ status: 404, code: 'ERR_ROUTE_UNKNOWN', detail: `there is nothing at ${path}` })
  return problem({
    status: 405,
    code: 'ERR_METHOD_NOT_ALLOWED',
    detail: `${path} does not take ${method}`,
    headers: ['allow', allow.join(', ')],
  })
}

type Taken = Extract<Admitted, { params: unknown }>

function toRequest(
  message: Inbound,
  { screened, params, body, snapshot }: Taken,
  client: Client,
  options: PipelineOptions,
  id: string,
): GatewayRequest {
  const { rawHeaders, socket } = message
  const isTls = 'encrypted' in socket && socket.encrypted === true
  const by = { peer: socket.remoteAddress ?? '', host: screened.hostHeader, scheme: isTls ? 'https' : 'http' } as const
  const arrival = arrivalOf(rawHeaders, by, snapshot.isTrusted)
  const { method, host, path, query } = screened
  const headers = screened.headers.forwarded
  headers.push(...arrival.headers, 'x-request-id', id, 'via', `${message.httpVersion} ${options.via}`)
  return {
    id,
    method,
    host,
    path,
    query,
    params,
    headers,
    clientIp: arrival.clientIp,
    clientCertificate: isTls ? clientCertificateOf(socket) : undefined,
    subject: undefined,
    body,
    cancellation: client.cancellation,
    isUpgrade: client.isUpgrade,
    onEarlyHints: client.onEarlyHints,
  }
}

/** A client's own id is kept when it cannot be mistaken for something else in a log. */
function ownRequestId({ rawHeaders }: Inbound, { screened }: Admitted): string | undefined {
  const given = screened ? screened.headers.requestId : headerOf(rawHeaders, 'x-request-id')
  return given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : undefined
}

interface Record {
  readonly message: Inbound
  readonly admitted: Admitted
  readonly traced: Traced | undefined
  readonly response: GatewayResponse
  readonly startedAt: number
  readonly durations: Histogram | undefined
  readonly id: string
}

function finish(
  { message, admitted, traced, response, startedAt, durations, id }: Record,
  status: number,
  end: string,
  options: PipelineOptions,
): void {
  // Its text is most of what a line costs.
  const isLogged = options.log.isLevelEnabled?.('info') !== false
  if (!traced && !durations && !isLogged) return
  const { route, screened } = admitted
  const ms = Math.round((options.world.monotonic() - startedAt) * 10) / 10
  const method = message.method ?? ''
  if (traced) endSpan(traced.span, { status }, (code) => code >= 500)
  durations?.record(ms / 1_000, {
    'http.request.method': measuredMethod(method),
    'http.response.status_code': status,
    'banyan.service': options.name,
    ...(route && { 'http.route': route.path }),
  })
  if (!isLogged) return
  // Without the query: it may carry secrets.
  const path = screened?.path ?? message.url?.split('?')[0] ?? ''
  const { upstream, upstreamMs } = response
  const traceId = traceIdOf(traced?.span, message.rawHeaders)
  const fields = {
    method,
    path,
    status,
    ms,
    route: route?.name,
    upstream,
    upstreamMs,
    requestId: id,
    traceId,
    ...(end !== 'sent' && { end }),
  }
  options.log.info(fields, `${method} ${path} ${status} ${ms} ms`)
}
