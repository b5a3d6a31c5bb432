import type { Run } from './call.ts'
import type { AbortListener, Cancellation } from './cancellation.ts'
import { type Deadline, deadlinesOf } from './deadlines.ts'
import type { End } from './end.ts'
import { type RejectedBy, rejection } from './errors.ts'
import { tell } from './events.ts'
import { rejectionOf } from './outcome.ts'
import { timedOut } from './timeout.ts'

/** What a caller set for a call. */
export interface Bounds {
  readonly signal: AbortSignal | undefined
  readonly outer: Cancellation | undefined
  readonly deadlineMs: number
  /** When `deadlineMs` is over. */
  readonly at: number
}

/** A call within what its caller set: ends it when the caller aborts or its time is up, and lets go of both at its end. */
export class Bound implements End, Deadline, AbortListener {
  readonly at: number
  place = -1
  readonly #name: string
  readonly #run: Run
  readonly #cancel: Cancellation
  readonly #bounds: Bounds
  readonly #end: End

  constructor(name: string, run: Run, cancel: Cancellation, bounds: Bounds, end: End) {
    this.#name = name
    this.#run = run
    this.#cancel = cancel
    this.#bounds = bounds
    this.#end = end
    const { signal, outer, deadlineMs, at } = bounds
    this.at = at
    if (signal?.aborted) cancel.abort(signal.reason)
    else if (deadlineMs <= 0) this.expire()
    else {
      signal?.addEventListener('abort', this.#onAbort, { once: true })
      if (deadlineMs < Number.POSITIVE_INFINITY) deadlinesOf(run.world).add(this)
    }
    outer?.listen(this)
  }

  ok(value: unknown): void {
    this.#leave()
    this.#end.ok(value)
  }

  bad(error: unknown): void {
    this.#leave()
    this.#end.bad(error)
  }

  onAbort(reason: unknown): void {
    this.#cancel.abort(reason)
  }

  readonly #onAbort = (): void => this.#cancel.abort(this.#bounds.signal?.reason)

  expire(): void {
    const deadlineMs = Math.max(0, this.#bounds.deadlineMs)
    this.#cancel.abort(rejection(this.#run.asValue, () => timedOut(this.#name, deadlineMs)))
  }

  #leave(): void {
    this.#bounds.signal?.removeEventListener('abort', this.#onAbort)
    this.#bounds.outer?.unlisten(this)
    deadlinesOf(this.#run.world).remove(this)
  }
}

/** Tells those who listen how the call ended. */
export class Heard implements End {
  readonly #name: string
  readonly #run: Run
  readonly #end: End
  readonly #startedAt: number

  constructor(name: string, run: Run, end: End) {
    this.#name = name
    this.#run = run
    this.#end = end
    this.#startedAt = run.world.monotonic()
  }

  ok(value: unknown): void {
    this.#tell(true, undefined)
    this.#end.ok(value)
  }

  bad(error: unknown): void {
    this.#tell(false, rejectionOf(this.#name, error, this.#run)?.rejectedBy)
    this.#end.bad(error)
  }

  #tell(ok: boolean, by: RejectedBy | undefined): void {
    const { attempts, world } = this.#run
    tell('call', { policy: this.#name, ok, durationMs: world.monotonic() - this.#startedAt, attempts, rejectedBy: by })
  }
}
