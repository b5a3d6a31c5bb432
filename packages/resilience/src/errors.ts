import { CodedError, type CodedErrorOptions } from '@banyan/core'

/** The codes of {@link ResilienceError}. */
export type ResilienceErrorCode =
  | 'ERR_CIRCUIT_OPEN'
  | 'ERR_TIMEOUT'
  | 'ERR_BULKHEAD_FULL'
  | 'ERR_RETRY_BUDGET'
  | 'ERR_RATE_LIMITED'
  | 'ERR_OVERLOADED'

/** Which part of a policy said no. */
export type RejectedBy = 'breaker' | 'timeout' | 'bulkhead' | 'budget' | 'rate-limit' | 'adaptive' | 'cancelled'

const STATUS: Readonly<Record<ResilienceErrorCode, number>> = {
  ERR_CIRCUIT_OPEN: 503,
  ERR_TIMEOUT: 504,
  ERR_BULKHEAD_FULL: 503,
  ERR_RETRY_BUDGET: 503,
  ERR_RATE_LIMITED: 429,
  ERR_OVERLOADED: 503,
}

/** What the policy says for each code. */
export const rejectedBy: Readonly<Record<ResilienceErrorCode, RejectedBy>> = {
  ERR_CIRCUIT_OPEN: 'breaker',
  ERR_TIMEOUT: 'timeout',
  ERR_BULKHEAD_FULL: 'bulkhead',
  ERR_RETRY_BUDGET: 'budget',
  ERR_RATE_LIMITED: 'rate-limit',
  ERR_OVERLOADED: 'adaptive',
}

/**
 * A policy ended the call or did not let it through. At a server's edge it becomes 503, 504 for `ERR_TIMEOUT`, 429 for
 * `ERR_RATE_LIMITED`; with `retryAfterMs` where the policy knows when trying again makes sense.
 */
export class ResilienceError extends CodedError<ResilienceErrorCode> {
  /** The name of the policy. */
  readonly policy: string

  constructor(code: ResilienceErrorCode, policy: string, message: string, options: Omit<CodedErrorOptions, 'status'> = {}) {
    super(code, message, { ...options, status: STATUS[code] })
    this.policy = policy
  }
}

/** `error` when a policy made it. Never throws, whatever it is given. */
export function asResilienceError(error: unknown): ResilienceError | undefined {
  return asked(() => (error instanceof ResilienceError ? error : undefined))
}

/**
 * What `ask` finds out of a value that somebody else threw; `undefined` where asking itself throws, as a proxy may at each question and a
 * getter too. Whoever is told how a call ended must not throw, or nobody hears of it.
 */
export function asked<T>(ask: () => T): T | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}

/** Not where built-ins are frozen, and only engines like V8 know it. */
const canLimitStacks = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true

/**
 * What `create` makes, without a stack when it goes to the caller as a value: nobody throws it, and its stack costs more than all the
 * rest of a rejection.
 */
export function rejection(asValue: boolean, create: () => ResilienceError): ResilienceError {
  if (!asValue || !canLimitStacks) return create()
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return create()
  } finally {
    Error.stackTraceLimit = limit
  }
}
