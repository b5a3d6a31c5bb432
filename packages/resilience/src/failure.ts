import { codeOf, isRefusal } from '@banyan/core'
import { asked, asResilienceError, type ResilienceErrorCode } from './errors.ts'

/** How a call ended. */
export type Settled = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown }

/**
 * Whether the outcome says that the dependency is not well. Values are no failures; errors are, except refusals and errors
 * whose `status` blames the request (400 to 499, but for 408, 425 and 429).
 */
export function isFailure(settled: Settled): boolean {
  return !settled.ok && !isRefusal(settled.error) && !blamesRequest(settled.error)
}

/**
 * Whether trying again may help: {@link isFailure}, and not a layer that said no before anything was tried (an open circuit,
 * a full bulkhead, a used-up retry budget).
 */
export function isRetryable(error: unknown): boolean {
  return isFailure({ ok: false, error }) && !isShed(error) && codeOf(error) !== 'ERR_RETRY_BUDGET'
}

/** Whether a policy turned the call away before it reached the dependency, so that it says nothing about it. */
export function isShed(error: unknown): boolean {
  const own = asResilienceError(error)
  return own !== undefined && SHED.has(own.code)
}

const SHED: ReadonlySet<ResilienceErrorCode> = new Set(['ERR_CIRCUIT_OPEN', 'ERR_BULKHEAD_FULL', 'ERR_RATE_LIMITED', 'ERR_OVERLOADED'])

/** Whether an abort's reason is that time ran out, of a policy or of an `AbortSignal.timeout`. */
export function isTimeout(reason: unknown): boolean {
  if (codeOf(reason) === 'ERR_TIMEOUT') return true
  return isError(reason) && asked(() => reason.name) === 'TimeoutError'
}

const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/**
 * Whether the error proves that no connection came about, so that nothing was done and even a call that is not idempotent can
 * be made again. Looks at the causes too, as `fetch` hides the reason there.
 */
export function wasNeverSent(error: unknown): boolean {
  // Ten levels: an error that is its own cause must not hang the call.
  for (let level = 0, current = error; level < 10 && isError(current); level += 1, current = causeOf(current)) {
    const code = codeOf(current)
    if (code !== undefined && NEVER_SENT.has(code) && !wasConnected(current)) return true
  }
  return false
}

/** A host may also become unreachable while an open connection is read or written: by then the request may have been carried out. */
function wasConnected(error: Error): boolean {
  const syscall = asked(() => ('syscall' in error ? error.syscall : undefined))
  return syscall === 'read' || syscall === 'write'
}

function isError(value: unknown): value is Error {
  return asked(() => value instanceof Error) === true
}

function causeOf(error: Error): unknown {
  return asked(() => error.cause)
}

/** When the other side wants to be asked again, milliseconds, as far as the error says so in `retryAfterMs`. */
export function retryAfterOf(error: unknown): number | undefined {
  const retryAfterMs = asked(() =>
    typeof error === 'object' && error !== null && 'retryAfterMs' in error ? error.retryAfterMs : undefined,
  )
  return typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? retryAfterMs : undefined
}

function blamesRequest(error: unknown): boolean {
  const status = statusOf(error)
  return status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429
}

/** The HTTP status that an error carries. */
export function statusOf(error: unknown): number | undefined {
  const status = asked(() => (typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined))
  return typeof status === 'number' ? status : undefined
}
