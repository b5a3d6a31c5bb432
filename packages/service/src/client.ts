import {
  type Api,
  codeOf,
  isRepeatable,
  type Operation,
  type OperationInput,
  type OperationOutput,
  shown,
  systemWorld,
  type World,
} from '@banyan/core'
import { type Call, type Cancellation, type Policy, ResilienceError, type RunOptions } from '@banyan/resilience'
import type { Attributes, Span } from '@opentelemetry/api'
import { readAnswer, statusError } from './client-answer.ts'
import { CALL_TIMEOUT_MS, defaultPolicy, RETRY_AFTER_MS } from './client-defaults.ts'
import { type CallInput, headersOf, textsOf } from './client-request.ts'
import { ServiceError } from './errors.ts'
import { currentRequest, type RequestScope } from './request-scope.ts'
import { inClientSpan, injectTrace, instruments, isTracing, labelsByStatus, NO_SPAN } from './telemetry.ts'
import { MAX_TIMEOUT_HEADER, TIMEOUT_HEADER, type Transport, type TransportRequest, type TransportResponse } from './transport.ts'

export interface ClientOptions {
  /** How calls reach the service. */
  transport: Transport
  /**
   * What protects the calls. Default: one a service and transport, see client-defaults.ts. It is told for each call whether it may
   * be repeated, so `retry` in it never repeats what is not safe.
   */
  policy?: Policy
  world?: World
}

export interface CallOptions {
  /** Ends the call when it aborts. The signal of the request being handled does so too, by itself. */
  signal?: AbortSignal
  /** How long the call may take, retries included, milliseconds. Default: the operation's, or 5,000. */
  timeoutMs?: number
}

/** One operation, to be called. */
export type ClientMethod<O extends Operation> =
  Record<never, never> extends OperationInput<O>
    ? (input?: OperationInput<O>, options?: CallOptions) => Promise<OperationOutput<O>>
    : (input: OperationInput<O>, options?: CallOptions) => Promise<OperationOutput<O>>

/** A contract as its callers see it: one method for each operation. */
export type Client<A extends Api> = { readonly [Name in keyof A['operations']]: ClientMethod<A['operations'][Name]> }

/**
 * Creates a typed client of a contract. Refusals come back as values; everything else that is not a good answer is thrown:
 *
 * - {@link ServiceError} `ERR_PROBLEM`: the service said so, see `problem` and `status`
 * - `ERR_SERVICE_UNAVAILABLE`: no instance could be reached, or the breaker is open; with `retryAfterMs`
 * - `ERR_REQUEST_TIMEOUT`: it took too long. What it was to do may have been done
 * - `ERR_RESPONSE_INVALID`: the answer breaks the contract
 * - `ERR_REQUEST_INVALID`: the input cannot be sent
 * - the reason of the caller's signal, when that aborts
 *
 * Called inside a handler, a call never outlasts the request: the remaining time is its bound and is handed on.
 */
export function client<A extends Api>(api: A, options: ClientOptions): Client<A> {
  const { transport, world = systemWorld } = options
  const policy = options.policy ?? sharedPolicy(transport, api.name, world)
  const methods = Object.entries<Operation>(api.operations).map(([name, operation]) => {
    const attributes = { 'peer.service': api.name, 'http.request.method': operation.method, 'http.route': operation.path }
    const labels = labelsByStatus(attributes)
    const target: Target = {
      ...{ service: api.name, name: `${api.name}.${name}`, operation, transport, policy, world, attributes, labels },
      shared: undefined,
    }
    return [name, (input: CallInput = {}, callOptions: CallOptions = {}) => callIn(target, input, callOptions)] as const
  })
  // Built from the contract's own operations; TypeScript cannot follow Object.entries.
  return Object.fromEntries(methods) as Client<A>
}

interface Target {
  readonly service: string
  /** `inventory.reserve`. */
  readonly name: string
  readonly operation: Operation
  readonly transport: Transport
  readonly policy: Policy
  readonly world: World
  /** What its spans have in common. */
  readonly attributes: Attributes
  /** Of its metrics, by the status of the answer; 0 for none. */
  readonly labels: (status: number) => Attributes
  /** Of the last call that had no headers of its own. */
  shared: SharedHeaders | undefined
}

const policies = new WeakMap<Transport, Map<string, Policy>>()

/** One breaker, one budget for all clients of a service over one transport. */
function sharedPolicy(transport: Transport, service: string, world: World): Policy {
  const known = policies.get(transport) ?? new Map<string, Policy>()
  policies.set(transport, known)
  const found = known.get(service) ?? defaultPolicy(service, world)
  known.set(service, found)
  return found
}

/** The call in its span, measured. */
function callIn(target: Target, input: CallInput, options: CallOptions): Promise<unknown> {
  const request = currentRequest()
  if (!isTracing()) return callThrough(target, input, options, request, NO_SPAN)
  const attributes = request === undefined ? target.attributes : { ...target.attributes, 'banyan.service': request.service }
  return inClientSpan(target.name, attributes, (span) => callThrough(target, input, options, request, span))
}

/** The call through its policy, measured; answers that may be worth another attempt are errors in there. */
function callThrough(
  target: Target,
  input: CallInput,
  options: CallOptions,
  request: RequestScope | undefined,
  span: Span,
): Promise<unknown> {
  const { name, operation, policy, world } = target
  const started = world.monotonic()
  const measure = (status: number) => {
    const { isHeard, clientDuration } = instruments()
    if (isHeard) clientDuration.record((world.monotonic() - started) / 1_000, target.labels(status))
  }
  try {
    const deadlineMs = deadlineOf(target, options, request)
    const signal = joinSignals(options.signal, request?.signal)
    const sent = new Sent(target, input, deadlineMs, span)
    const run: RunOptions = { deadlineMs, idempotent: isRepeatable(operation, input.key), signal, key: input.key }
    return policy
      .run((call) => attempt(target, sent, call), run)
      .then(
        (response) => {
          measure(response.status)
          return readAnswer(target, response)
        },
        (error: unknown) => {
          measure(0)
          throw callerError(name, error, Math.min(deadlineMs, world.monotonic() - started))
        },
      )
  } catch (error) {
    measure(0)
    return Promise.reject(error)
  }
}

/** Milliseconds that the call has: its own time, and never more than the request being handled has left. */
function deadlineOf(
  { name, operation }: Target,
  { timeoutMs = operation.timeoutMs ?? CALL_TIMEOUT_MS }: CallOptions,
  request: RequestScope | undefined,
): number {
  if (!(timeoutMs > 0)) throw new RangeError(`cannot call ${name}: "timeoutMs" is ${shown(timeoutMs)}, wanted a number above 0`)
  return request === undefined ? timeoutMs : Math.min(timeoutMs, request.remainingMs())
}

/** What all attempts of a call have in common. */
class Sent {
  readonly input: CallInput
  readonly path: string
  readonly body: string | undefined
  readonly deadlineMs: number
  readonly span: Span

  constructor({ name, operation }: Target, input: CallInput, deadlineMs: number, span: Span) {
    this.input = input
    const { path, body } = textsOf(name, operation, input)
    this.path = path
    this.body = body
    this.deadlineMs = deadlineMs
    this.span = span
  }
}

function attempt(target: Target, sent: Sent, call: Call): Promise<TransportResponse> {
  const { name, transport, world } = target
  const { span } = sent
  // Rounded up: the last fraction of a millisecond is not "no time at all".
  const remainingMs = Math.ceil(Math.min(call.remainingMs, sent.deadlineMs))
  if (remainingMs <= 0) throw outOfTime(name, sent.deadlineMs)
  if (call.attempt > 1) span.setAttribute('http.request.resend_count', call.attempt - 1)
  return transport.call(new Sending(target, call, sent, remainingMs)).then((response) => {
    span.setAttribute('http.response.status_code', response.status)
    if (response.status < 400) return response
    const error = statusError(name, response, world)
    if (error && isWorthRetrying(response.status)) throw error
    return response
  })
}

/** The headers of calls that differ in nothing but their bodies, as most without a key or a trace do: made for the first of them. */
interface SharedHeaders {
  readonly remainingMs: number
  readonly hasBody: boolean
  readonly headers: Readonly<Record<string, string>>
}

/** The headers of an attempt that has neither a key nor a trace; those before, where nothing has changed. */
function sharedHeaders(target: Target, { input, body }: Sent, remainingMs: number): Readonly<Record<string, string>> {
  const known = target.shared
  const hasBody = body !== undefined
  if (known?.remainingMs === remainingMs && known.hasBody === hasBody) return known.headers
  const headers = Object.freeze(ownHeaders(target, input, remainingMs))
  target.shared = { remainingMs, hasBody, headers }
  return headers
}

function ownHeaders({ operation }: Target, input: CallInput, remainingMs: number): Record<string, string> {
  const headers = headersOf(operation, input)
  headers[TIMEOUT_HEADER] = String(Math.min(remainingMs, MAX_TIMEOUT_HEADER))
  return headers
}

/** A request of one attempt. A class, so that the signal of the call is only made for transports that read it. */
class Sending implements TransportRequest {
  readonly service: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly sharesHeaders: boolean
  readonly body: string | undefined
  readonly timeoutMs: number
  readonly cancellation: Cancellation | undefined
  readonly tried: Set<string>
  readonly #call: Call

  constructor(target: Target, call: Call, sent: Sent, timeoutMs: number) {
    const { service, operation } = target
    this.service = service
    this.method = operation.method
    this.path = sent.path
    this.sharesHeaders = sent.span === NO_SPAN && sent.input.key === undefined
    if (this.sharesHeaders) this.headers = sharedHeaders(target, sent, timeoutMs)
    else {
      const headers = ownHeaders(target, sent.input, timeoutMs)
      injectTrace(headers)
      this.headers = headers
    }
    this.body = sent.body
    this.timeoutMs = timeoutMs
    this.cancellation = call.cancellation
    this.tried = call.tried
    this.#call = call
  }

  get signal(): AbortSignal {
    return this.#call.signal
  }
}

function outOfTime(name: string, waitedMs: number, cause?: unknown): ServiceError {
  const ms = Math.max(0, Math.round(waitedMs))
  return new ServiceError('ERR_REQUEST_TIMEOUT', `${name} did not answer within ${ms} ms`, { status: 504, cause })
}

/** Server errors, 408 and 429 (RFC 9110, 15.5.9; RFC 6585): the next attempt may fare better, and the breaker should know. */
function isWorthRetrying(status: number): boolean {
  return status >= 500 || status === 408 || status === 429
}

/** What a policy says, in this room's words. */
function callerError(name: string, error: unknown, tookMs: number): unknown {
  if (error instanceof ResilienceError) {
    const { code, retryAfterMs = RETRY_AFTER_MS, cause } = error
    if (code === 'ERR_TIMEOUT') return outOfTime(name, tookMs, error)
    if (code === 'ERR_RETRY_BUDGET' && cause !== undefined) return callerError(name, cause, tookMs)
    return new ServiceError('ERR_SERVICE_UNAVAILABLE', `${name} was not called: ${error.message}`, {
      status: 503,
      retryAfterMs,
      cause: error,
    })
  }
  if (codeOf(error) === 'ERR_SERVICE_UNAVAILABLE' && error instanceof ServiceError && error.retryAfterMs === undefined) {
    const { message, detail, cause } = error
    return new ServiceError('ERR_SERVICE_UNAVAILABLE', message, { status: 503, detail, retryAfterMs: RETRY_AFTER_MS, cause })
  }
  return error
}

function joinSignals(first: AbortSignal | undefined, second: AbortSignal | undefined): AbortSignal | undefined {
  return first && second ? AbortSignal.any([first, second]) : (first ?? second)
}
