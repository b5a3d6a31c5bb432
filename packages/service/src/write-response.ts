import { describeIssues, isRefusal, type Operation, type Refusal, type Validation } from '@banyan/core'
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
  const { response, refusals = [], status = response ? 200 : 204 } = operation
  if (isRefusal(answer) && (refusals.length > 0 || !response)) return refused(answer, place)
  if (!response) return { status, headers: {}, body: '' }
  const result = checked(response, answer)
  if (result instanceof Promise)
    return result.then((late) => (isRefused(answer, late) ? refused(answer, place) : fitting(name, status, late)))
  return isRefused(answer, result) ? refused(answer, place) : fitting(name, status, result)
}

/** A contract without refusals may have a field of that name; where it has none, a refusal that is given all the same is no good answer. */
function isRefused(answer: unknown, result: Validation<unknown>): answer is Refusal {
  return isRefusal(answer) && !(result.ok && isRefusal(result.value))
}

function refused({ refused: code, detail = `refused: ${code}` }: Refusal, place: ProblemPlace): TransportResponse {
  return problemResponse({ status: 409, code, detail, refused: true, ...place.at() })
}

function fitting(name: string, status: number, result: Validation<unknown>): TransportResponse {
  if (result.ok) return { status, headers: JSON_HEADERS, body: JSON.stringify(result.value) ?? '' }
  throw new ServiceError('ERR_RESPONSE_INVALID', `the handler of "${name}" broke its contract: ${describeIssues(result.issues)}`, {
    issues: result.issues,
  })
}

/** One object for all answers, so that what a transport makes of it can be kept. */
const JSON_HEADERS: Readonly<Record<string, string>> = Object.freeze({ 'content-type': 'application/json' })
