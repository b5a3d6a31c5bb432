import { CodedError } from '@banyan/core'
import { ServiceError } from './errors.ts'
import type { ProblemOptions } from './problem.ts'

/**
 * The problem of an error that a handler threw. Errors with a status are meant for the caller; of all others the caller
 * learns nothing but the trace id. What another service answered to this one is this one's failure, not its caller's: 502, or
 * 503 when that one asked to be left alone for a while.
 */
export function problemOf(error: unknown): ProblemOptions {
  try {
    return told(error) ?? HIDDEN
  } catch {
    // A handler throws what it likes: a proxy may not be looked at.
    return HIDDEN
  }
}

const HIDDEN: ProblemOptions = {
  status: 500,
  code: 'ERR_INTERNAL',
  detail: 'the service failed on this request; its log has the details under the trace id',
}

/** `undefined` where it is not meant for the caller. */
function told(error: unknown): ProblemOptions | undefined {
  if (!(error instanceof CodedError) || !isErrorStatus(error.status)) return undefined
  const { code, message: detail, retryAfterMs, status } = error
  // Anything else might not be written as JSON, and then nobody would be answered.
  if (typeof code !== 'string' || typeof detail !== 'string') return undefined
  if (!(error instanceof ServiceError)) return { status, code, detail, retryAfterMs }
  if (code === 'ERR_PROBLEM') return { status: status === 503 || status === 429 ? 503 : 502, code, detail, retryAfterMs }
  const { issues, headers } = error
  return { status, code, detail: error.detail ?? detail, retryAfterMs, headers, ...(issues && { errors: issues }) }
}

/** Any other would make a good answer of it, or none that can be sent. */
function isErrorStatus(status: number | undefined): status is number {
  return Number.isInteger(status) && status !== undefined && status >= 400 && status <= 599
}
