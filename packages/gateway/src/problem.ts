import { CodedError } from '@banyan/core'
import type { GatewayResponse } from './exchange.ts'
import type { HeaderList } from './headers.ts'

/** What {@link problem} is made of. */
export interface ProblemOptions {
  readonly status: number
  /** A stable code that programs match on. */
  readonly code: string
  /** A sentence for people, without anything internal. */
  readonly detail: string
  /** Sent as `Retry-After`, whole seconds, rounded up. */
  readonly retryAfterMs?: number
  /** Further headers. */
  readonly headers?: HeaderList
  /** Further members. */
  readonly more?: Readonly<Record<string, unknown>>
}

/**
 * An answer that says what is wrong.
 *
 * @see RFC 9457, "Problem Details for HTTP APIs"
 */
export function problem(options: ProblemOptions): GatewayResponse {
  const { status, code, detail, retryAfterMs, headers = [], more } = options
  const body = JSON.stringify({ type: 'about:blank', title: TITLES[status] ?? 'Error', status, code, detail, ...more })
  const wait = retryAfterMs === undefined ? [] : ['retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1_000)))]
  return { status, headers: ['content-type', 'application/problem+json', ...wait, ...headers], body }
}

/** The problem of an error. Errors without a status say nothing of what happened inside. */
export function problemOf(error: unknown): GatewayResponse {
  if (!(error instanceof CodedError) || error.status === undefined) {
    return problem({ status: 500, code: 'ERR_INTERNAL', detail: 'the gateway failed on this request' })
  }
  const { status, code, message, retryAfterMs } = error
  return problem({ status, code, detail: message, ...(retryAfterMs !== undefined && { retryAfterMs }) })
}

/** The sentence for people in a body that {@link problem} made; `undefined` for any other body. */
export function detailOf(body: unknown): string | undefined {
  if (typeof body !== 'string' || !body.startsWith('{"type":')) return undefined
  const { detail } = JSON.parse(body) as { detail?: unknown }
  return typeof detail === 'string' ? detail : undefined
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  499: 'Client Closed Request',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  508: 'Loop Detected',
}
