import { STATUS_CODES } from 'node:http'
import type { Issue } from '@banyan/core'
import type { TransportResponse } from './transport.ts'

/**
 * What is wrong, for programs and people.
 *
 * @see RFC 9457, "Problem Details for HTTP APIs"
 */
export interface Problem {
  /** A URI for the kind of problem; `about:blank` where `code` says it all. */
  readonly type: string
  /** The status in words. */
  readonly title: string
  readonly status: number
  /** A sentence for people, without anything internal. */
  readonly detail?: string
  /** What programs match on: an error's code, or the reason of a refusal. */
  readonly code: string
  /** The path of the request. */
  readonly instance?: string
  readonly traceId?: string
  /** Set for business refusals: understood, and the answer is no. */
  readonly refused?: true
  /** Each field that is wrong. */
  readonly errors?: readonly Issue[]
}

/** What {@link problemResponse} is made of. */
export interface ProblemOptions extends Pick<Problem, 'status' | 'code' | 'detail' | 'instance' | 'traceId' | 'refused' | 'errors'> {
  /** Sent as `Retry-After`, in whole seconds, rounded up. */
  readonly retryAfterMs?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export const PROBLEM_TYPE = 'application/problem+json'

/** An answer that says what is wrong. */
export function problemResponse(options: ProblemOptions): TransportResponse {
  const { status, retryAfterMs, headers, ...members } = options
  const problem: Problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, ...members }
  return {
    status,
    headers: {
      ...headers,
      'content-type': PROBLEM_TYPE,
      ...(Number.isFinite(retryAfterMs) && { 'retry-after': String(Math.max(1, Math.ceil(Number(retryAfterMs) / 1_000))) }),
    },
    body: JSON.stringify(problem),
  }
}

/** Reads the problem out of an answer; one that is none is made into one. */
export function readProblem(response: TransportResponse): Problem {
  const { status, headers, body } = response
  const plain: Problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, code: `ERR_HTTP_${status}` }
  if (!headers['content-type']?.includes('json')) return plain
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    // Not JSON after all, as some proxies answer: the status is all there is to know.
    return plain
  }
  if (typeof value !== 'object' || value === null) return plain
  return { ...plain, ...usable(value), status }
}

/** The members of a problem that are what they have to be, and those that only its sender knows. */
function usable(problem: object): object {
  return Object.fromEntries(Object.entries(problem).filter(([name, value]) => MEMBERS.get(name)?.(value) ?? true))
}

/** What the members that are known have to be; the status is the answer's own. */
const MEMBERS: ReadonlyMap<string, (value: unknown) => boolean> = new Map(
  Object.entries({
    ...{ type: isText, title: isText, detail: isText, code: isText, instance: isText, traceId: isText },
    refused: (value: unknown) => value === true,
    errors: (value: unknown) => Array.isArray(value) && value.every(isIssue),
  } satisfies { [Name in Exclude<keyof Problem, 'status'>]: (value: unknown) => boolean }),
)

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isIssue(value: unknown): value is Issue {
  return typeof value === 'object' && value !== null && 'path' in value && isText(value.path) && 'message' in value && isText(value.message)
}

/** A longer wait is as good as for ever; now and this much is still a date: ten years. */
const MAX_WAIT_MS = 315_360_000_000

/** The wait that `Retry-After` asks for, milliseconds, at most ten years; `undefined` without one. Dates are read against `now`. */
export function retryAfterMs(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const text = headers['retry-after']
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Math.min(MAX_WAIT_MS, Number(text) * 1_000)
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.min(MAX_WAIT_MS, Math.max(0, date - now))
}
