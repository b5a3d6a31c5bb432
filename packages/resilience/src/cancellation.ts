import type { World } from '@banyan/core'

/**
 * The end of a call, foreseen (a deadline) or not (an abort). Like an `AbortSignal`, but the signal itself is only made when
 * somebody reads it.
 */
export class Cancellation {
  /** When the call must be over, on the world's monotonic clock. `Infinity`: never. */
  readonly deadline: number
  readonly #world: World
  readonly #listeners: Set<(reason: unknown) => void> = new Set()
  #controller: AbortController | undefined
  #aborted = false
  #reason: unknown

  constructor(world: World, deadline: number) {
    this.#world = world
    this.deadline = deadline
  }

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
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener(reason)
    this.#controller?.abort(reason)
  }

  /** Calls `listener` at the abort, at once when it is past. Gives back a function that takes the listener out. */
  onAbort(listener: (reason: unknown) => void): () => void {
    if (this.#aborted) {
      listener(this.#reason)
      return () => {}
    }
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

/** The outcome of `work`, or a rejection with the reason at the moment `cancel` is aborted, whatever `work` does then. */
export function race<T>(cancel: Cancellation, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = cancel.onAbort(reject)
    work.then(
      (value) => {
        leave()
        resolve(value)
      },
      (error) => {
        leave()
        reject(error)
      },
    )
  })
}
