import { CodedError, type CodedErrorOptions, type Issue } from '@banyan/core'
import type { Problem } from './problem.ts'

/** The codes of {@link ServiceError}. */
export type ServiceErrorCode =
  // A service's life
  | 'ERR_PORT_TAKEN'
  | 'ERR_LISTEN_FAILED'
  | 'ERR_SERVICE_STATE'
  // What a client's call may end with
  | 'ERR_SERVICE_UNAVAILABLE'
  | 'ERR_REQUEST_TIMEOUT'
  | 'ERR_RESPONSE_INVALID'
  | 'ERR_PROBLEM'
  // What is wrong with a request, on either side
  | 'ERR_REQUEST_INVALID'
  | 'ERR_ROUTE_UNKNOWN'
  | 'ERR_METHOD_NOT_ALLOWED'
  | 'ERR_PATH_INVALID'
  | 'ERR_TIMEOUT_INVALID'
  | 'ERR_BODY_TOO_LARGE'
  | 'ERR_BODY_INCOMPLETE'
  | 'ERR_CONTENT_TYPE'
  | 'ERR_JSON_INVALID'
  | 'ERR_IDEMPOTENCY_KEY_REQUIRED'
  | 'ERR_IDEMPOTENCY_KEY_INVALID'

export interface ServiceErrorOptions extends CodedErrorOptions {
  /** What it says at a server's edge. Default: its message, which may be for the log alone. */
  detail?: string | undefined
  /** What the other side answered. */
  problem?: Problem
  /** Each thing that is wrong with a request or an answer. */
  issues?: readonly Issue[]
  /** Headers of the answer it becomes at a server's edge; values in Latin-1, as HTTP has it. */
  headers?: Readonly<Record<string, string>>
}

/**
 * Something went wrong between a service and those who call it.
 *
 * @throws {TypeError} for headers that cannot be sent
 */
export class ServiceError extends CodedError<ServiceErrorCode> {
  /** What it says at a server's edge in place of its message. */
  readonly detail: string | undefined
  /** What the other side answered, for `ERR_PROBLEM`; `status` is that answer's then. */
  readonly problem: Problem | undefined
  /** Each thing that is wrong, for `ERR_REQUEST_INVALID` and `ERR_RESPONSE_INVALID`. */
  readonly issues: readonly Issue[] | undefined
  /** Headers of the answer it becomes at a server's edge, by their names in lower case. */
  readonly headers: Readonly<Record<string, string>> | undefined

  constructor(code: ServiceErrorCode, message: string, options: ServiceErrorOptions = {}) {
    super(code, message, options)
    this.detail = options.detail
    this.problem = options.problem
    this.issues = options.issues
    this.headers = options.headers && sendable(options.headers)
  }
}

/** Found out where the answer is written, it would be too late for any answer. */
function sendable(headers: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => {
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(name) && typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      return [name.toLowerCase(), value]
    throw new TypeError(`cannot create ServiceError: the header "${name}" is ${JSON.stringify(value)}, wanted what a header can say`)
  })
  return Object.fromEntries(entries)
}
