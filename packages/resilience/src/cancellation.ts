import type { World } from '@banyan/core'

/** Is told, once, that a call ends before its time. Must not throw. */
export interface AbortListener {
  onAbort(reason: unknown): void
}

/**
 * The end of a call, foreseen (a deadline) or not (an abort). Like an `AbortController`, but the signal itself is only made when
 * somebody reads it, and listening costs a pointer: for those who make a hundred thousand a second. Everybody else takes a signal.
 * A class, as are the other things that every call needs: their methods are made once.
 */
export class Cancellation {
  /** When it must be over, on the world's monotonic clock. `Infinity`: never. What holds to it is somebody else's: this only knows. */
  readonly deadline: number
  readonly #world: World
  /** Most have one listener; only the others pay for a set. */
  #listener: AbortListener | undefined
  #more: Set<AbortListener> | undefined
  #controller: AbortController | undefined
  #aborted = false
  #reason: unknown

  constructor(world: World, deadline: number = Number.POSITIVE_INFINITY) {
    this.#world = world
    this.deadline = deadline
  }

  /** Whether it was aborted. */
  get aborted(): boolean {
    return this.#aborted
  }

  /** What it was aborted with. */
  get reason(): unknown {
    return this.#reason
  }

  /** Milliseconds until the deadline, 0 when it has passed. */
  get remainingMs(): number {
    return Math.max(0, this.deadline - this.#world.monotonic())
  }

  /** For what takes an `AbortSignal`. Made when first read. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#aborted) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Ends the call. Only the first time counts. */
  abort(reason: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#reason = reason
    const first = this.#listener
    const more = this.#more
    this.#listener = undefined
    this.#more = undefined
    first?.onAbort(reason)
    if (more) for (const listener of more) listener.onAbort(reason)
    this.#controller?.abort(reason)
  }

  /** Tells `listener` of the abort, at once when it is past. */
  listen(listener: AbortListener): void {
    if (this.#aborted) listener.onAbort(this.#reason)
    else if (this.#listener === undefined) this.#listener = listener
    else {
      this.#more ??= new Set()
      this.#more.add(listener)
    }
  }

  /** Takes a listener out; nothing happens when it is none. */
  unlisten(listener: AbortListener): void {
    if (this.#listener === listener) this.#listener = undefined
    else this.#more?.delete(listener)
  }
}
