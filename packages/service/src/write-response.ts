import { describeIssues, isRefusal, type Operation, type Validation } from '@banyan/core'
import { checked } from './checked.ts'
import { ServiceError } from './errors.ts'
import { problemResponse } from './problem.ts'
import type { TransportResponse } from './transport.ts'

/** Where a problem came up, for who wants to know. */
export interface ProblemPlace {
  at(): { readonly instance: string; readonly traceId: string }
}

/**
 * Makes an answer of what a handler gave back. What goes out is the value after its schema: fields that the contract does not
 * name stay inside, defaults are filled in. So a response's schema must accept its own output.
 *
 * @throws {ServiceError} `ERR_RESPONSE_INVALID` (no status: it is our fault, and says nothing to the caller) when the handler
 *   broke its contract
 */
export function writeResponse(
  name: string,
  operation: Operation,
  answer: unknown,
  place: ProblemPlace,
): TransportResponse | Promise<TransportResponse> {
  if (isRefusal(answer)) {
    const { refused, detail = `refused: ${refused}` } = answer
    return problemResponse({ status: 409, code: refused, detail, refused: true, ...place.at() })
  }
  const { response, status = response ? 200 : 204 } = operation
  if (!response) return { status, headers: {}, body: '' }
  const result = checked(response, answer)
  return result instanceof Promise ? result.then((late) => fitting(name, status, late)) : fitting(name, status, result)
}

function fitting(name: string, status: number, result: Validation<unknown>): TransportResponse {
  if (result.ok) return { status, headers: JSON_HEADERS, body: JSON.stringify(result.value) ?? '' }
  throw new ServiceError('ERR_RESPONSE_INVALID', `the handler of "${name}" broke its contract: ${describeIssues(result.issues)}`, {
    issues: result.issues,
  })
}

/** One object for all answers, so that what a transport makes of it can be kept. */
const JSON_HEADERS: Readonly<Record<string, string>> = Object.freeze({ 'content-type': 'application/json' })
