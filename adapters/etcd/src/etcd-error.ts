import { CodedError } from '@banyan/core'

/** The codes of {@link EtcdError}; they are those of every registry. */
export type EtcdErrorCode = 'ERR_REGISTRY_UNAVAILABLE' | 'ERR_REGISTRY_REFUSED'

/** etcd could not be reached, or said no. */
export class EtcdError extends CodedError<EtcdErrorCode> {}

/** No answer, or one that says "not now": trying again makes sense. */
export function unavailable(url: string, what: string, cause?: unknown): EtcdError {
  return new EtcdError('ERR_REGISTRY_UNAVAILABLE', `cannot reach etcd at "${url}": ${what}`, { cause, status: 503, retryAfterMs: 1_000 })
}

/** An answer that trying again does not change. */
export function refused(action: string, what: string): EtcdError {
  return new EtcdError('ERR_REGISTRY_REFUSED', `cannot ${action}: etcd answered ${what}`)
}

/** A watch that says no more; listing again makes sense. */
export function brokenWatch(what: string, cause?: unknown): EtcdError {
  return new EtcdError('ERR_REGISTRY_UNAVAILABLE', `a watch of etcd has broken off: ${what}`, { cause, status: 503, retryAfterMs: 1_000 })
}
