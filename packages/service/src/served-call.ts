import type { Operation } from '@banyan/core'
import { type CallInput, headersOf, pathOf } from './client-request.ts'
import { KEY_HEADER, TIMEOUT_HEADER, type TransportRequest } from './transport.ts'

export interface ServedCallOptions {
  service: string
  /** For messages: `orders.placeOrder`. */
  name: string
  operation: Operation
  input: CallInput
  /** What came along with the call, lower-case names: trace context, authorization and the like. */
  headers: Readonly<Record<string, string>>
  /** Aborted when the caller has gone. Called when somebody wants it, if ever. */
  signal: () => AbortSignal
  /** How long the answer is waited for, milliseconds. Default: the operation's own time. */
  timeoutMs?: number
}

/** What belongs to the connection, or to the text of another body, and not to the call. */
const NOT_OF_THE_CALL = new Set([
  'accept',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'host',
  'te',
  'transfer-encoding',
])

/**
 * A call that came over another protocol, as the request that a service's endpoint answers.
 *
 * @throws {ServiceError} `ERR_REQUEST_INVALID` for a path parameter that is missing or cannot stand in a path
 */
export function servedCall(options: ServedCallOptions): TransportRequest {
  const { service, name, operation, input, signal, timeoutMs } = options
  let made: AbortSignal | undefined
  const came = Object.entries(options.headers).filter(([header]) => !NOT_OF_THE_CALL.has(header))
  const { [KEY_HEADER]: key } = options.headers
  return {
    service,
    method: operation.method,
    path: pathOf(name, operation, input),
    headers: {
      ...Object.fromEntries(came),
      ...headersOf(operation, { ...input, ...(input.key === undefined && key !== undefined && { key }) }),
      ...(timeoutMs !== undefined && { [TIMEOUT_HEADER]: String(Math.max(0, Math.floor(timeoutMs))) }),
    },
    body: input.body === undefined ? undefined : JSON.stringify(input.body),
    get signal() {
      made ??= signal()
      return made
    },
    ...(timeoutMs !== undefined && { timeoutMs }),
  }
}
