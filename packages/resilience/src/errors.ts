import { CodedError, type CodedErrorOptions } from '@banyan/core'

/** The codes of {@link ResilienceError}. */
export type ResilienceErrorCode = 'ERR_CIRCUIT_OPEN' | 'ERR_TIMEOUT' | 'ERR_BULKHEAD_FULL' | 'ERR_RETRY_BUDGET'

/** Which part of a policy said no. */
export type RejectedBy = 'breaker' | 'timeout' | 'bulkhead' | 'budget' | 'cancelled'

const STATUS: Readonly<Record<ResilienceErrorCode, number>> = {
  ERR_CIRCUIT_OPEN: 503,
  ERR_TIMEOUT: 504,
  ERR_BULKHEAD_FULL: 503,
  ERR_RETRY_BUDGET: 503,
}

/** What the policy says for each code. */
export const rejectedBy: Readonly<Record<ResilienceErrorCode, RejectedBy>> = {
  ERR_CIRCUIT_OPEN: 'breaker',
  ERR_TIMEOUT: 'timeout',
  ERR_BULKHEAD_FULL: 'bulkhead',
  ERR_RETRY_BUDGET: 'budget',
}

/**
 * A policy ended the call or did not let it through. At a server's edge it becomes 503, or 504 for `ERR_TIMEOUT`; with
 * `retryAfterMs` where the policy knows when trying again makes sense.
 */
export class ResilienceError extends CodedError<ResilienceErrorCode> {
  /** The name of the policy. */
  readonly policy: string

  constructor(code: ResilienceErrorCode, policy: string, message: string, options: Omit<CodedErrorOptions, 'status'> = {}) {
    super(code, message, { ...options, status: STATUS[code] })
    this.policy = policy
  }
}
