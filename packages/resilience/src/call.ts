import type { Cancellation } from './cancellation.ts'

/** What the protected function is given. */
export interface Call {
  /** Aborted when the caller gave up, a timeout fired or the deadline passed; its reason says which. Made when first read. */
  readonly signal: AbortSignal
  /** 1 for the first try. */
  readonly attempt: number
  /** Milliseconds until the nearest deadline around this call; `Infinity` without one. Hand it on to the other side. */
  readonly remainingMs: number
  /** The idempotency key given to `run`. */
  readonly key: string | undefined
}

/** The function a policy protects. */
export type Protected<T> = (call: Call) => T | PromiseLike<T>

/** How one call is to be treated. */
export interface RunOptions {
  /** Ends the call at once when it aborts, also while it waits or backs off. */
  signal?: AbortSignal
  /** Milliseconds from now in which the whole call must be done: the outer bound of every timeout inside. Default: none. */
  deadlineMs?: number
  /** Whether the call may be made twice. Default: true with a `key`, else what the retry layer's `idempotent` says. */
  idempotent?: boolean
  /** The idempotency key that the call carries to the other side; makes it safe to repeat. */
  key?: string
}

/** One `run` of a policy: what all its attempts share. */
export interface Run {
  readonly work: Protected<unknown>
  readonly idempotent: boolean | undefined
  readonly key: string | undefined
  /** How often the function was called so far. */
  attempts: number
}

/** A call as the layers see it: each layer may hand an own one inward. */
export interface Scope extends Call {
  readonly run: Run
  readonly cancel: Cancellation
}

/** Creates the {@link Scope} of one attempt under one cancellation. */
export function scopeOf(run: Run, cancel: Cancellation, attempt: number): Scope {
  return {
    get signal() {
      return cancel.signal
    },
    get remainingMs() {
      return cancel.remainingMs
    },
    attempt,
    key: run.key,
    run,
    cancel,
  }
}
