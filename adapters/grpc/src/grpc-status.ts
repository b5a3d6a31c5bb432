import type { Issue } from '@banyan/core'
import type { Problem } from '@banyan/service/internal'
import { problemResponse, readProblem, retryAfterMs, type TransportResponse } from '@banyan/service/internal'
import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { DETAILS_KEY, decodeRpcStatus, encodeRpcStatus } from './rpc-status.ts'

/** What a status of HTTP is in gRPC. The details say the HTTP status itself, so nothing is lost between two of ours. */
const CODES: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  405: status.UNIMPLEMENTED,
  408: status.DEADLINE_EXCEEDED,
  409: status.ABORTED,
  412: status.FAILED_PRECONDITION,
  413: status.RESOURCE_EXHAUSTED,
  415: status.INVALID_ARGUMENT,
  416: status.OUT_OF_RANGE,
  422: status.INVALID_ARGUMENT,
  423: status.ABORTED,
  425: status.UNAVAILABLE,
  428: status.FAILED_PRECONDITION,
  429: status.RESOURCE_EXHAUSTED,
  499: status.CANCELLED,
  501: status.UNIMPLEMENTED,
  502: status.UNAVAILABLE,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
}

/** The way back, for servers that are not ours. From google/rpc/code.proto. */
const STATUSES: Readonly<Record<number, number>> = {
  [status.CANCELLED]: 499,
  [status.INVALID_ARGUMENT]: 400,
  [status.DEADLINE_EXCEEDED]: 504,
  [status.NOT_FOUND]: 404,
  [status.ALREADY_EXISTS]: 409,
  [status.PERMISSION_DENIED]: 403,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.FAILED_PRECONDITION]: 400,
  [status.ABORTED]: 409,
  [status.OUT_OF_RANGE]: 400,
  [status.UNIMPLEMENTED]: 501,
  [status.UNAVAILABLE]: 503,
  [status.UNAUTHENTICATED]: 401,
}

/**
 * A problem (RFC 9457) as a status of gRPC, with google.rpc details: ErrorInfo (the code, and the HTTP status beside it), BadRequest (each
 * field that is wrong), RetryInfo, RequestInfo (the trace id). A refusal is FAILED_PRECONDITION with its reason.
 */
export function statusOfProblem(response: TransportResponse, domain: string): Pick<StatusObject, 'code' | 'details' | 'metadata'> {
  const problem = readProblem(response)
  const code = problem.refused
    ? status.FAILED_PRECONDITION
    : (CODES[problem.status] ?? (problem.status < 500 ? status.UNKNOWN : status.INTERNAL))
  const details = shortened(problem.detail ?? problem.title, MAX_DETAILS)
  const wait = retryAfterMs(response.headers, 0)
  const encoded = encodeRpcStatus(code, details, {
    info: {
      reason: shortened(problem.code, MAX_TEXT),
      domain,
      metadata: {
        status: String(problem.status),
        ...(problem.refused && { refused: 'true' }),
        ...(problem.instance !== undefined && { instance: shortened(problem.instance, MAX_TEXT) }),
      },
    },
    ...(problem.errors && { violations: problem.errors.slice(0, MAX_VIOLATIONS).map(violation) }),
    ...(wait !== undefined && { retryAfterMs: wait }),
    ...(problem.traceId !== undefined && { requestId: problem.traceId }),
  })
  const metadata = new Metadata()
  metadata.set(DETAILS_KEY, Buffer.from(encoded))
  return { code, details, metadata }
}

// All of it goes in trailers, of which clients of gRPC take 8 KiB unless they are told otherwise. In bytes, but for the number of violations.
const MAX_DETAILS = 400
const MAX_VIOLATIONS = 20
const MAX_TEXT = 100

function violation({ path, message }: Issue) {
  return { field: shortened(path, MAX_TEXT), description: shortened(message, MAX_TEXT) }
}

function shortened(text: string, mostBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= mostBytes) return text
  // Three bytes for the dots; of a letter that was cut through nothing is left.
  return `${new TextDecoder().decode(bytes.subarray(0, mostBytes - 3)).replace(/\ufffd$/, '')}…`
}

/** A status of gRPC as the problem that it was, or that it comes nearest to. */
export function problemOfStatus({ code, details, metadata }: Pick<StatusObject, 'code' | 'details' | 'metadata'>): TransportResponse {
  const [encoded] = metadata.get(DETAILS_KEY)
  const { info, violations, retryAfterMs: wait, requestId } = (encoded instanceof Uint8Array && decodeRpcStatus(encoded)) || {}
  const told = Number(info?.metadata.status)
  const httpStatus = told >= 400 && told <= 599 ? told : statusWithoutDetails(code, details)
  const instance = info?.metadata.instance
  const problem: Omit<Problem, 'type' | 'title'> = {
    ...{ status: httpStatus, code: info?.reason || codeWithoutDetails(code) },
    ...(details !== '' && { detail: details }),
    ...(instance !== undefined && { instance }),
    ...(requestId !== undefined && { traceId: requestId }),
    ...(info?.metadata.refused === 'true' && { refused: true as const }),
    ...(violations && { errors: violations.map(({ field, description }) => ({ path: field, message: description })) }),
  }
  return problemResponse({ ...problem, ...(wait !== undefined && { retryAfterMs: wait }) })
}

/** A deadline that passed is, for who calls, the same whoever saw it first. */
function codeWithoutDetails(code: number): string {
  return code === status.DEADLINE_EXCEEDED ? 'ERR_REQUEST_TIMEOUT' : `ERR_GRPC_${status[code] ?? code}`
}

/** What gRPC itself says of a deadline that passed and of a message that is too large has no details. */
function statusWithoutDetails(code: number, details: string): number {
  if (code === status.RESOURCE_EXHAUSTED && /larger than max/.test(details)) return 413
  return STATUSES[code] ?? 500
}
