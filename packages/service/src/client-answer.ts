import { describeIssues, messageOf, type Operation, refuse, type Validation, type World } from '@banyan/core'
import { checked } from './checked.ts'
import { ServiceError } from './errors.ts'
import { type Problem, readProblem, retryAfterMs } from './problem.ts'
import type { TransportResponse } from './transport.ts'

/** The error of an answer that is a problem, a refusal excepted; `undefined` for the others. */
export function statusError(name: string, response: TransportResponse, world: World): ServiceError | undefined {
  if (response.status < 400) return undefined
  const problem = readProblem(response)
  if (isRefused(problem)) return undefined
  const wait = retryAfterMs(response.headers, world.now())
  const options = { problem, status: problem.status, ...(wait !== undefined && { retryAfterMs: wait }) }
  if (problem.status === 504 && problem.code === 'ERR_REQUEST_TIMEOUT') {
    return new ServiceError('ERR_REQUEST_TIMEOUT', `${name}: ${problem.detail ?? 'out of time'}`, options)
  }
  const detail = problem.detail === undefined ? '' : `: ${problem.detail}`
  return new ServiceError('ERR_PROBLEM', `${name} answered ${problem.status} ${problem.code}${detail}`, options)
}

/** What was asked, and by whose clock. */
interface Asked {
  readonly name: string
  readonly operation: Operation
  readonly world: World
}

/**
 * What a caller gets of an answer; a promise of it where the contract's schema needs time.
 *
 * @throws {ServiceError} `ERR_PROBLEM`, `ERR_RESPONSE_INVALID`
 */
export function readAnswer({ name, operation, world }: Asked, response: TransportResponse): unknown {
  const error = statusError(name, response, world)
  if (error) throw error
  if (response.status >= 400) {
    const { code, detail } = readProblem(response)
    return refuse(code, detail)
  }
  if (response.status >= 300) throw invalid(name, `status ${response.status}, wanted 2xx`)
  if (!operation.response) return undefined
  const result = checked(operation.response, parse(name, response))
  return result instanceof Promise ? result.then((late) => fitting(name, late)) : fitting(name, result)
}

function fitting(name: string, result: Validation<unknown>): unknown {
  if (result.ok) return result.value
  throw invalid(name, describeIssues(result.issues), { issues: result.issues })
}

function isRefused(problem: Problem): boolean {
  return problem.status === 409 && problem.refused === true
}

function parse(name: string, { body }: TransportResponse): unknown {
  if (body === '') return undefined
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw invalid(name, `it is not JSON: ${messageOf(cause)}`, { cause })
  }
}

function invalid(name: string, what: string, options: { issues?: ServiceError['issues'] & object; cause?: unknown } = {}): ServiceError {
  return new ServiceError('ERR_RESPONSE_INVALID', `the answer of ${name} does not fit the contract: ${what}`, { ...options, status: 502 })
}
