import { codeOf, isServedOver, type Logger, messageOf, type Operation, type Protocol, type World } from '@banyan/core'
import type { Attributes, Span } from '@opentelemetry/api'
import { outOfTime, withinDeadline } from './deadline.ts'
import { type InFlight, inFlightGauge } from './in-flight.ts'
import { problemResponse } from './problem.ts'
import { problemOf } from './problem-of.ts'
import { type PlainRequest, readRequest } from './read-request.ts'
import { type OwnedScope, type RequestScope, type RequestScopeOptions, requestScope, timeoutOf } from './request-scope.ts'
import { routeTable } from './route-table.ts'
import { bodyTooLarge, pathOf, strayProblem, unmatched } from './stray.ts'
import { inServerSpan, instruments, isTracing, labelsByStatus, NO_SPAN, newTraceId, noteError, traceIdOf } from './telemetry.ts'
import type { TransportRequest, TransportResponse, UniversalHandler } from './transport.ts'
import { type ProblemPlace, writeResponse } from './write-response.ts'

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
  const { service, world } = options
  const routes = routeTable<Route>()
  const byProtocol = { http: routeTable<Route>(), grpc: routeTable<Route>(), graphql: routeTable<Route>() }
  const names = new Set<string>()
  const running = inFlightGauge(world)
  const shared: Shared = { ...options, running, active: { 'banyan.service': service } }

  function handle(request: TransportRequest, protocol?: Protocol): TransportResponse | Promise<TransportResponse> {
    const path = pathOf(request)
    const match = (protocol ? byProtocol[protocol] : routes).match(request.method, path)
    if (match.kind !== 'found') return strayProblem(request, unmatched(request, match), world)
    const { params, value: route } = match
    const answering = new Answering(shared, request, route, params)
    if (!isTracing()) return answering.answer(NO_SPAN)
    const attributes: Attributes = { ...route.attributes, 'url.path': path }
    if (protocol && protocol !== 'http') attributes['banyan.protocol'] = protocol
    return inServerSpan(route.span, request.headers, attributes, async (span) => answering.answer(span))
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
    idle: (timeoutMs) => running.idle(timeoutMs),
  }
}

/** What all requests of an endpoint have in common. */
interface Shared extends EndpointOptions {
  readonly running: InFlight
  /** The words of the gauge of active requests. */
  readonly active: Attributes
}

/**
 * One request on its way through its operation: without a promise as far as neither the contract's schemas nor the handler make one. A
 * class, as one is made for each: see `Scope` in request-scope.ts.
 */
class Answering implements RequestScopeOptions, ProblemPlace {
  readonly world: World
  readonly service: string
  readonly #shared: Shared
  readonly #request: TransportRequest
  readonly #route: Route
  readonly #params: Readonly<Record<string, string>>
  #span: Span = NO_SPAN
  /** `NaN` where nobody measured when it began. */
  #startedAt = Number.NaN
  #traceId: string | undefined

  constructor(shared: Shared, request: TransportRequest, route: Route, params: Readonly<Record<string, string>>) {
    this.world = shared.world
    this.service = shared.service
    this.#shared = shared
    this.#request = request
    this.#route = route
    this.#params = params
  }

  answer(span: Span): TransportResponse | Promise<TransportResponse> {
    this.#span = span
    this.#begin()
    try {
      const response = this.#respond()
      if (!(response instanceof Promise)) return this.#end(response)
      return response.then(
        (late) => this.#end(late),
        (error: unknown) => this.#end(this.#problem(error)),
      )
    } catch (error) {
      return this.#end(this.#problem(error))
    }
  }

  /** Made when somebody wants it: where nothing is traced, most requests have no use for one. */
  traceId(): string {
    this.#traceId ??= traceIdOf(this.#span) ?? newTraceId(this.world)
    return this.#traceId
  }

  caller(): AbortSignal {
    return this.#request.signal
  }

  at(): { instance: string; traceId: string } {
    return { instance: pathOf(this.#request), traceId: this.traceId() }
  }

  #begin(): void {
    this.#shared.running.enter()
    const { isHeard, serverActive } = instruments()
    if (!isHeard) return
    this.#startedAt = this.world.monotonic()
    serverActive.add(1, this.#shared.active)
  }

  #end(response: TransportResponse): TransportResponse {
    const { running, active } = this.#shared
    this.#span.setAttribute('http.response.status_code', response.status)
    if (!Number.isNaN(this.#startedAt)) {
      const { serverActive, serverDuration } = instruments()
      serverDuration.record((this.world.monotonic() - this.#startedAt) / 1_000, this.#route.labels(response.status))
      serverActive.add(-1, active)
    }
    running.leave()
    return response
  }

  #respond(): TransportResponse | Promise<TransportResponse> {
    const { name, operation } = this.#route.served
    const { body, headers } = this.#request
    const { maxBodyBytes } = this.#shared
    // No character takes more than three bytes.
    if (body !== undefined && body.length * 3 > maxBodyBytes && Buffer.byteLength(body) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes)
    const timeoutMs = timeoutOf(headers, operation.timeoutMs ?? OPERATION_TIMEOUT_MS)
    const scope = requestScope(this, timeoutMs)
    const answer = withinDeadline(this.#shared, scope, name, () => this.#answered(scope))
    return answer instanceof Promise ? answer.then((late) => this.#write(late)) : this.#write(answer)
  }

  /** What the handler gives; the time of the request runs while a schema takes its own. */
  #answered(scope: OwnedScope): unknown {
    const { served } = this.#route
    const input = readRequest(served.operation, this.#params, this.#request)
    if (!(input instanceof Promise)) return served.answer(input, scope)
    return input.then((late) => {
      if (scope.remainingMs() <= 0) throw outOfTime(served.name)
      return served.answer(late, scope)
    })
  }

  #write(answer: unknown): TransportResponse | Promise<TransportResponse> {
    const { name, operation } = this.#route.served
    return writeResponse(name, operation, answer, this)
  }

  /** 500 is a defect; 502, 503 and 504 tell of others that did not answer. */
  #problem(error: unknown): TransportResponse {
    const { name } = this.#route.served
    const { log } = this.#shared
    const problem = problemOf(error)
    if (problem.status >= 500) {
      const traceId = this.traceId()
      noteError(this.#span, error)
      if (problem.status === 500) log.error({ error, operation: name, traceId }, `${name} failed: ${messageOf(error)}`)
      else log.warn({ code: codeOf(error), operation: name, traceId }, `${name} answered ${problem.status}: ${messageOf(error)}`)
    }
    return problemResponse({ ...problem, ...this.at() })
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
