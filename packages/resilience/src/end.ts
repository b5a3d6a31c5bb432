import type { AbortListener, Cancellation } from './cancellation.ts'

/** Where the outcome of a call goes: the layer outside, at last the caller. Told once. Neither throws. */
export interface End {
  ok(value: unknown): void
  bad(error: unknown): void
}

/** Calls `work` and says how it ended: at once when it gives a value or throws, else when its promise settles. */
export function deliver(work: () => unknown, end: End): void {
  let result: unknown
  try {
    result = work()
  } catch (error) {
    end.bad(error)
    return
  }
  deliverResult(result, end)
}

/** Says how `result` ended: at once for a value, else when the promise settles. */
export function deliverResult(result: unknown, end: End): void {
  let promise: Promise<unknown> | undefined
  try {
    promise = isThenable(result) ? Promise.resolve(result) : undefined
  } catch (error) {
    // A value that cannot even be asked whether it is a promise: with `await` it would reject too.
    end.bad(error)
    return
  }
  if (promise === undefined) end.ok(result)
  else
    whenSettled(
      promise,
      (value) => end.ok(value),
      (error) => end.bad(error),
    )
}

/** As `await` does it: whatever `then` the promise has of its own is not asked. */
export function whenSettled(
  promise: Promise<unknown>,
  ok: (value: unknown) => unknown,
  bad: (error: unknown) => unknown,
): Promise<unknown> {
  return Promise.prototype.then.call(promise, ok, bad)
}

/** The outcome of what runs towards it, or the reason at the moment `cancel` is aborted, whatever runs does then. */
export class Race implements End, AbortListener {
  readonly #end: End
  readonly #cancel: Cancellation
  #open = true

  constructor(cancel: Cancellation, end: End) {
    this.#end = end
    this.#cancel = cancel
    cancel.listen(this)
  }

  ok(value: unknown): void {
    if (this.#close()) this.#end.ok(value)
  }

  bad(error: unknown): void {
    if (this.#close()) this.#end.bad(error)
  }

  onAbort(reason: unknown): void {
    if (this.#close()) this.#end.bad(reason)
  }

  #close(): boolean {
    if (!this.#open) return false
    this.#open = false
    this.#cancel.unlisten(this)
    return true
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value instanceof Promise ||
    ((typeof value === 'object' || typeof value === 'function') && value !== null && 'then' in value && typeof value.then === 'function')
  )
}
