import {
  type Api,
  codeOf,
  isRepeatable,
  type Operation,
  type OperationInput,
  type OperationOutput,
  systemWorld,
  type World,
} from '@banyan/core'
import { type Call, type Policy, ResilienceError } from '@banyan/resilience'
import type { Span } from '@opentelemetry/api'
import { readAnswer, statusError } from './client-answer.ts'
import { CALL_TIMEOUT_MS, defaultPolicy, RETRY_AFTER_MS } from './client-defaults.ts'
import { type CallInput, headersOf, pathOf } from './client-request.ts'
import { ServiceError } from './errors.ts'
import { currentRequest } from './request-scope.ts'
import { inClientSpan, instruments, traceHeaders } from './telemetry.ts'
import { TIMEOUT_HEADER, type Transport, type TransportRequest, type TransportResponse } from './transport.ts'

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
    const target: Target = { service: api.name, name: `${api.name}.${name}`, operation, transport, policy, world }
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
  const { service, name, operation, world } = target
  const caller = currentRequest()?.service
  const labels = { 'peer.service': service, 'http.request.method': operation.method, 'http.route': operation.path }
  const attributes = { ...labels, ...(caller !== undefined && { 'banyan.service': caller }) }
  const started = world.monotonic()
  return inClientSpan(name, attributes, async (span) => {
    let status = 0
    try {
      const response = await callThrough(target, input, options, span)
      status = response.status
      return await readAnswer(name, operation, response)
    } finally {
      instruments().clientDuration.record((world.monotonic() - started) / 1_000, { ...labels, 'http.response.status_code': status })
    }
  })
}

/** The call through its policy; answers that may be worth another attempt are errors in there. */
async function callThrough(target: Target, input: CallInput, options: CallOptions, span: Span): Promise<TransportResponse> {
  const { service, name, operation, transport, policy, world } = target
  const { timeoutMs = operation.timeoutMs ?? CALL_TIMEOUT_MS } = options
  if (!(timeoutMs > 0)) throw new RangeError(`cannot call ${name}: "timeoutMs" is ${timeoutMs}, wanted a number above 0`)
  const request = currentRequest()
  const deadlineMs = Math.min(timeoutMs, request?.remainingMs() ?? Number.POSITIVE_INFINITY)
  const signal = joinSignals(options.signal, request?.signal)
  const path = pathOf(name, operation, input)
  const headers = headersOf(operation, input)
  const body = input.body === undefined ? undefined : JSON.stringify(input.body)
  const tried = new Set<string>()

  async function attempt(call: Call): Promise<TransportResponse> {
    // Rounded up: the last fraction of a millisecond is not "no time at all".
    const remainingMs = Math.ceil(Math.min(call.remainingMs, deadlineMs))
    const sent: TransportRequest = {
      service,
      method: operation.method,
      path,
      headers: { ...headers, ...traceHeaders(), [TIMEOUT_HEADER]: String(remainingMs) },
      body,
      signal: call.signal,
      timeoutMs: remainingMs,
      tried,
    }
    if (call.attempt > 1) span.setAttribute('http.request.resend_count', call.attempt - 1)
    const response = await transport.call(sent)
    span.setAttribute('http.response.status_code', response.status)
    const error = statusError(name, response, world)
    if (error && isWorthRetrying(response.status)) throw error
    return response
  }

  try {
    return await policy.run(attempt, {
      deadlineMs,
      idempotent: isRepeatable(operation, input.key),
      ...(signal && { signal }),
      ...(input.key !== undefined && { key: input.key }),
    })
  } catch (error) {
    throw callerError(name, error, deadlineMs)
  }
}

/** Server errors, 408 and 429 (RFC 9110, 15.5.9; RFC 6585): the next attempt may fare better, and the breaker should know. */
function isWorthRetrying(status: number): boolean {
  return status >= 500 || status === 408 || status === 429
}

/** What a policy says, in this room's words. */
function callerError(name: string, error: unknown, deadlineMs: number): unknown {
  if (error instanceof ResilienceError) {
    const { code, retryAfterMs = RETRY_AFTER_MS, cause } = error
    if (code === 'ERR_TIMEOUT') {
      const ms = Math.max(0, Math.round(deadlineMs))
      return new ServiceError('ERR_REQUEST_TIMEOUT', `${name} did not answer within ${ms} ms`, { status: 504, cause: error })
    }
    if (code === 'ERR_RETRY_BUDGET' && cause !== undefined) return callerError(name, cause, deadlineMs)
    return new ServiceError('ERR_SERVICE_UNAVAILABLE', `${name} was not called: ${error.message}`, {
      status: 503,
      retryAfterMs,
      cause: error,
    })
  }
  if (codeOf(error) === 'ERR_SERVICE_UNAVAILABLE' && error instanceof ServiceError && error.retryAfterMs === undefined) {
    return new ServiceError('ERR_SERVICE_UNAVAILABLE', error.message, { status: 503, retryAfterMs: RETRY_AFTER_MS, cause: error.cause })
  }
  return error
}

function joinSignals(first: AbortSignal | undefined, second: AbortSignal | undefined): AbortSignal | undefined {
  return first && second ? AbortSignal.any([first, second]) : (first ?? second)
}
