import { CodedError } from '@banyan/core'
import { type Problem, readProblem, retryAfterMs, type TransportResponse } from '@banyan/service/internal'
import { GraphQLError } from 'graphql'

/** The codes of {@link GraphqlError}. */
export type GraphqlErrorCode = 'ERR_GRAPHQL_CONTRACT'

/** A contract cannot be served over GraphQL. */
export class GraphqlError extends CodedError<GraphqlErrorCode> {}

/** What `errors[].extensions` carries: a problem (RFC 9457) without what GraphQL says itself. */
export interface ErrorExtensions extends Pick<Problem, 'status' | 'code' | 'refused' | 'errors' | 'traceId'> {
  readonly retryAfterMs?: number
}

/** A problem as an error of one field. */
export function problemError(response: TransportResponse): GraphQLError {
  const { status, code, refused, errors, traceId, detail, title } = readProblem(response)
  const wait = retryAfterMs(response.headers, 0)
  const extensions = {
    ...{ code, status },
    ...(refused && { refused }),
    ...(errors && { errors }),
    ...(traceId !== undefined && { traceId }),
    ...(wait !== undefined && { retryAfterMs: wait }),
  } satisfies ErrorExtensions
  return new GraphQLError(detail ?? title, { extensions })
}

/** An error of a request that never got to an operation. */
export function requestError(message: string, code: string, status: number): GraphQLError {
  return new GraphQLError(message, { extensions: { code, status } satisfies ErrorExtensions })
}
