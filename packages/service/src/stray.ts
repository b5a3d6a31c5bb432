import type { World } from '@banyan/core'
import { ServiceError } from './errors.ts'
import { problemResponse } from './problem.ts'
import { problemOf } from './problem-of.ts'
import type { Match } from './route-table.ts'
import { newTraceId, traceIdOfHeaders } from './telemetry.ts'
import type { TransportRequest, TransportResponse } from './transport.ts'

type Stray = Pick<TransportRequest, 'path' | 'headers'>

/** The problem of a request that never got to an operation. */
export function strayProblem(request: Stray, error: unknown, world: World): TransportResponse {
  const traceId = traceIdOfHeaders(request.headers) ?? newTraceId(world)
  return problemResponse({ ...problemOf(error), instance: pathOf(request), traceId })
}

/** Why no operation fits a request: 404, 405 with `Allow`, or 400 for a path that cannot be read. */
export function unmatched(request: Stray & { readonly method: string }, match: Exclude<Match<unknown>, { kind: 'found' }>): ServiceError {
  const path = pathOf(request)
  switch (match.kind) {
    case 'malformed':
      return new ServiceError('ERR_PATH_INVALID', `the path "${path}" has a percent sign that encodes nothing`, { status: 400 })
    case 'method': {
      const allow = [...match.allow, ...(match.allow.includes('GET') ? ['HEAD'] : [])].join(', ')
      const message = `"${path}" does not take ${request.method}, only ${allow}`
      return new ServiceError('ERR_METHOD_NOT_ALLOWED', message, { status: 405, headers: { allow } })
    }
    case 'none':
      return new ServiceError('ERR_ROUTE_UNKNOWN', `there is no "${path}" here`, { status: 404 })
  }
}

/** The error of a body over the limit. */
export function bodyTooLarge(maxBodyBytes: number): ServiceError {
  return new ServiceError('ERR_BODY_TOO_LARGE', `the body is larger than ${maxBodyBytes} bytes`, { status: 413 })
}

/** The path of a request without its query. */
export function pathOf({ path }: Pick<TransportRequest, 'path'>): string {
  const end = path.indexOf('?')
  return end < 0 ? path : path.slice(0, end)
}
