import { AsyncLocalStorage } from 'node:async_hooks'
import type { World } from '@banyan/core'
import { ServiceError } from './errors.ts'
import { TIMEOUT_HEADER } from './transport.ts'

/** The request that is being handled, as clients called by its handler see it: its deadline bounds theirs. */
export interface RequestScope {
  /** The service that handles it. */
  readonly service: string
  readonly traceId: string
  /** Milliseconds until the caller stops waiting, 0 when that has passed. */
  remainingMs(): number
  /** Aborted when the time is up or the caller has gone. Made when first read. */
  readonly signal: AbortSignal
  /** Whether the handler is done. What it left running goes on for itself, without the request's deadline. */
  readonly over: boolean
}

/** The scope as its owner sees it. */
export interface OwnedScope extends RequestScope {
  abort(reason: unknown): void
  /** The handler is done. */
  end(): void
}

const scopes = new AsyncLocalStorage<RequestScope | undefined>()

/** The request being handled here, `undefined` outside of handlers and after they are done. */
export function currentRequest(): RequestScope | undefined {
  const scope = scopes.getStore()
  return scope?.over ? undefined : scope
}

/** Calls `work` such that {@link currentRequest} is `scope`, through all that `work` waits for. */
export function runInScope<T>(scope: RequestScope, work: () => T): T {
  return scopes.run(scope, work)
}

/** Calls `work` outside of any request: for work that a request sets off and that lives longer than it. */
export function runOutOfScope<T>(work: () => T): T {
  return scopes.run(undefined, work)
}

export interface RequestScopeOptions {
  world: World
  service: string
  timeoutMs: number
  /** Read, at most once, when somebody wants it. */
  traceId: () => string
  caller: () => AbortSignal
}

/** Creates the scope of one request. `caller` is read, at most once, when somebody wants the signal. */
export function requestScope(options: RequestScopeOptions): OwnedScope {
  const { world, service, timeoutMs, traceId, caller } = options
  const deadline = world.monotonic() + timeoutMs
  let controller: AbortController | undefined
  let aborted: { reason: unknown } | undefined
  let over = false
  let leave = () => {}

  function abort(reason: unknown): void {
    if (over) return
    aborted ??= { reason }
    controller?.abort(reason)
  }

  function listen(): AbortController {
    const made = new AbortController()
    const signal = caller()
    const onAbort = () => abort(signal.reason)
    if (aborted) made.abort(aborted.reason)
    else if (signal.aborted) made.abort(signal.reason)
    else signal.addEventListener('abort', onAbort, { once: true })
    leave = () => signal.removeEventListener('abort', onAbort)
    return made
  }

  let known: string | undefined

  return {
    service,
    get traceId() {
      known ??= traceId()
      return known
    },
    remainingMs: () => Math.max(0, deadline - world.monotonic()),
    get signal() {
      controller ??= listen()
      return controller.signal
    },
    get over() {
      return over
    },
    abort,
    end() {
      over = true
      leave()
    },
  }
}

/** No request may ask for more time than this, unless its operation itself takes longer. */
const MAX_TIMEOUT_MS = 60_000

/**
 * How long a request may take: what its caller says, at most a minute (or the operation's own time, when longer); else the
 * operation's own.
 *
 * @throws {ServiceError} `ERR_TIMEOUT_INVALID` (400) for a header that is no number of milliseconds
 */
export function timeoutOf(headers: Readonly<Record<string, string>>, operationMs: number): number {
  const text = headers[TIMEOUT_HEADER]
  if (text === undefined) return operationMs
  if (!/^\d{1,12}$/.test(text)) {
    throw new ServiceError('ERR_TIMEOUT_INVALID', `the header "${TIMEOUT_HEADER}" is "${text}", wanted a whole number of milliseconds`, {
      status: 400,
    })
  }
  return Math.min(Number(text), Math.max(operationMs, MAX_TIMEOUT_MS))
}
