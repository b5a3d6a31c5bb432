import { codeOf, isServedOver, type Logger, messageOf, type Operation, type Protocol, type World } from '@banyan/core'
import type { Attributes, Span } from '@opentelemetry/api'
import { withinDeadline } from './deadline.ts'
import { inFlightGauge } from './in-flight.ts'
import { problemResponse } from './problem.ts'
import { problemOf } from './problem-of.ts'
import { type PlainRequest, readRequest } from './read-request.ts'
import { type RequestScope, requestScope, timeoutOf } from './request-scope.ts'
import { routeTable } from './route-table.ts'
import { bodyTooLarge, pathOf, strayProblem, unmatched } from './stray.ts'
import { inServerSpan, instruments, labelsByStatus, newTraceId, noteError, traceIdOf } from './telemetry.ts'
import type { TransportRequest, TransportResponse, UniversalHandler } from './transport.ts'
import { writeResponse } from './write-response.ts'

/** One operation and what answers it. */
export interface Served {
  /** `orders.placeOrder`. */
  readonly name: string
  readonly operation: Operation
  answer(request: PlainRequest, scope: RequestScope): unknown
}

/** The contracts of one service, answered; the same for every transport. */
export interface Endpoint {
  /** @throws {TypeError} when its method and path are served already */
  add(served: Served): void
  /** Answers every operation: the way for calls inside one process. */
  readonly handle: UniversalHandler
  /** Answers the operations that have this protocol; there are no others for who comes this way. */
  over(protocol: Protocol): UniversalHandler
  /** Whether an operation is served: `orders.placeOrder`. */
  serves(name: string): boolean
  /** Resolves with true when no handler runs any more, with false after `timeoutMs`. */
  idle(timeoutMs: number): Promise<boolean>
}

export interface EndpointOptions {
  service: string
  world: World
  log: Logger
  /** Larger bodies are refused with 413. */
  maxBodyBytes: number
}

const PROTOCOLS: readonly Protocol[] = ['http', 'grpc', 'graphql']

/** How long an operation may take that does not say. */
export const OPERATION_TIMEOUT_MS: number = 5_000

/** Creates an {@link Endpoint}: routing, deadline, contract, trace, and a problem for whatever goes wrong. */
export function endpoint(options: EndpointOptions): Endpoint {
  const { service, world, log, maxBodyBytes } = options
  const routes = routeTable<Route>()
  const byProtocol = { http: routeTable<Route>(), grpc: routeTable<Route>(), graphql: routeTable<Route>() }
  const names = new Set<string>()
  const running = inFlightGauge(world)
  const deadline = { world, log, running }
  const active = { 'banyan.service': service }

  async function respond(span: Span, request: TransportRequest, served: Served, params: Readonly<Record<string, string>>) {
    let known: string | undefined
    // Made when somebody wants it: where nothing is traced, most requests have no use for one.
    const traceId = () => {
      known ??= traceIdOf(span) ?? newTraceId(world)
      return known
    }
    const at = () => ({ instance: pathOf(request), traceId: traceId() })
    try {
      if (request.body !== undefined && Buffer.byteLength(request.body) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes)
      const timeoutMs = timeoutOf(request.headers, served.operation.timeoutMs ?? OPERATION_TIMEOUT_MS)
      const scope = requestScope({ world, service, timeoutMs, traceId, caller: () => request.signal })
      const read = readRequest(served.operation, params, request)
      const input = read instanceof Promise ? await read : read
      const answer = await withinDeadline(deadline, scope, served.name, () => served.answer(input, scope))
      return await writeResponse(served.name, served.operation, answer, at)
    } catch (error) {
      const problem = problemOf(error)
      if (problem.status >= 500) report(span, served, problem.status, traceId(), error)
      return problemResponse({ ...problem, ...at() })
    }
  }

  /** 500 is a defect; 502, 503 and 504 tell of others that did not answer. */
  function report(span: Span, { name }: Served, status: number, traceId: string, error: unknown): void {
    noteError(span, error)
    if (status === 500) log.error({ error, operation: name, traceId }, `${name} failed: ${messageOf(error)}`)
    else log.warn({ code: codeOf(error), operation: name, traceId }, `${name} answered ${status}: ${messageOf(error)}`)
  }

  function handle(request: TransportRequest, protocol?: Protocol): Promise<TransportResponse> {
    const path = pathOf(request)
    const match = (protocol ? byProtocol[protocol] : routes).match(request.method, path)
    if (match.kind !== 'found') return Promise.resolve(strayProblem(request, unmatched(request, match), world))
    const { params, value: route } = match
    const leave = running.enter()
    const started = world.monotonic()
    const { serverActive, serverDuration } = instruments()
    serverActive.add(1, active)
    const attributes: Attributes = { ...route.attributes, 'url.path': path }
    if (protocol && protocol !== 'http') attributes['banyan.protocol'] = protocol
    return inServerSpan(route.span, request.headers, attributes, async (span) => {
      try {
        const response = await respond(span, request, route.served, params)
        span.setAttribute('http.response.status_code', response.status)
        serverDuration.record((world.monotonic() - started) / 1_000, route.labels(response.status))
        return response
      } finally {
        serverActive.add(-1, active)
        leave()
      }
    })
  }

  return {
    add(served) {
      const { name, operation } = served
      const route = routeOf(service, served)
      routes.add(operation.method, operation.path, route)
      for (const protocol of PROTOCOLS)
        if (isServedOver(operation, protocol)) byProtocol[protocol].add(operation.method, operation.path, route)
      names.add(name)
    },
    handle: (request) => handle(request),
    over: (protocol) => (request) => handle(request, protocol),
    serves: (name) => names.has(name),
    idle: running.idle,
  }
}

/** One operation, with the words that its spans and metrics have in common. */
interface Route {
  readonly served: Served
  /** The name of its spans. */
  readonly span: string
  readonly attributes: Attributes
  /** Of its metrics, by the status of the answer. */
  readonly labels: (status: number) => Attributes
}

function routeOf(service: string, served: Served): Route {
  const { name, operation } = served
  const { method, path } = operation
  const shared = { 'banyan.service': service, 'http.request.method': method, 'http.route': path }
  return {
    served,
    span: `${service} ${method} ${path}`,
    attributes: { ...shared, 'banyan.operation': name },
    labels: labelsByStatus(shared),
  }
}
