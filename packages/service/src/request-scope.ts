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
  /** When the caller stops waiting, on the world's monotonic clock. */
  readonly deadline: number
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
  readonly world: World
  readonly service: string
  /** Read, at most once, when somebody wants it. */
  traceId(): string
  /** Read, at most once, when somebody wants the signal. */
  caller(): AbortSignal
}

/** Creates the scope of one request, which has `timeoutMs` from now on. */
export function requestScope(options: RequestScopeOptions, timeoutMs: number): OwnedScope {
  return new Scope(options, timeoutMs)
}

/**
 * A class, as one is made for each request: an object literal with getters has a hidden class of its own each time, which holds all
 * that its getters know until the next full collection.
 */
class Scope implements OwnedScope {
  readonly service: string
  readonly deadline: number
  readonly #options: RequestScopeOptions
  #traceId: string | undefined
  #controller: AbortController | undefined
  #aborted: { readonly reason: unknown } | undefined
  #over = false
  #leave: (() => void) | undefined

  constructor(options: RequestScopeOptions, timeoutMs: number) {
    this.service = options.service
    this.deadline = options.world.monotonic() + timeoutMs
    this.#options = options
  }

  get traceId(): string {
    this.#traceId ??= this.#options.traceId()
    return this.#traceId
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#listen()
    return this.#controller.signal
  }

  get over(): boolean {
    return this.#over
  }

  remainingMs(): number {
    return Math.max(0, this.deadline - this.#options.world.monotonic())
  }

  abort(reason: unknown): void {
    if (this.#over) return
    this.#aborted ??= { reason }
    this.#controller?.abort(reason)
  }

  end(): void {
    this.#over = true
    this.#leave?.()
  }

  #listen(): AbortController {
    const made = new AbortController()
    const signal = this.#options.caller()
    const onAbort = () => this.abort(signal.reason)
    if (this.#aborted) made.abort(this.#aborted.reason)
    else if (signal.aborted) made.abort(signal.reason)
    else signal.addEventListener('abort', onAbort, { once: true })
    this.#leave = () => signal.removeEventListener('abort', onAbort)
    return made
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
