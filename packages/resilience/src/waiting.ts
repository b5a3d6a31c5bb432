import type { Scope } from './call.ts'
import type { AbortListener } from './cancellation.ts'
import { type Deadline, deadlinesOf } from './deadlines.ts'
import type { End } from './end.ts'

/** What one who waits may become. */
export interface WaitingRules {
  /** It is its turn. */
  readonly go: () => void
  /** It has waited as long as it may. */
  readonly late: () => void
  /** It is no longer to be found among the others, whatever comes next. */
  readonly leave?: () => void
}

/** A call that waits for its turn. It leaves once: when its turn has come, when it has waited too long, or aborted. */
export class Waiting implements AbortListener, Deadline {
  at: number = Number.POSITIVE_INFINITY
  place: number = -1
  readonly #scope: Scope
  readonly #end: End
  readonly #rules: WaitingRules
  #open = true

  constructor(scope: Scope, end: End, rules: WaitingRules) {
    this.#scope = scope
    this.#end = end
    this.#rules = rules
  }

  /** Begins to wait, `maxWaitMs` milliseconds at most. Left out: as long as the call has. */
  begin(maxWaitMs?: number): void {
    const { world } = this.#scope.run
    if (maxWaitMs !== undefined) {
      this.at = world.monotonic() + maxWaitMs
      deadlinesOf(world).add(this)
    }
    this.#scope.cancel?.listen(this)
  }

  /** Its turn. */
  go(): void {
    if (this.#close()) this.#rules.go()
  }

  /** Ends it with `error`. */
  refuse(error: unknown): void {
    if (this.#close()) this.#end.bad(error)
  }

  onAbort(reason: unknown): void {
    this.refuse(reason)
  }

  expire(): void {
    if (this.#close()) this.#rules.late()
  }

  #close(): boolean {
    if (!this.#open) return false
    this.#open = false
    this.#rules.leave?.()
    deadlinesOf(this.#scope.run.world).remove(this)
    this.#scope.cancel?.unlisten(this)
    return true
  }
}
