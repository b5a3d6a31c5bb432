import type { World } from '@banyan/core'

/** Something to wait on that loses no call: a call before the wait ends the wait at once. */
export interface Signal {
  set(): void
  /** Forgets earlier calls. Call it before looking, wait after. */
  reset(): void
  /** Resolves at the next `set`, or after `timeoutMs`. */
  wait(timeoutMs: number): Promise<void>
}

/** Creates a {@link Signal} for one waiter. */
export function signal(world: World): Signal {
  let isSet = false
  let resume: (() => void) | undefined
  return {
    set() {
      isSet = true
      resume?.()
    },
    reset() {
      isSet = false
    },
    wait(timeoutMs) {
      if (isSet) return Promise.resolve()
      return new Promise((resolve) => {
        const timer = world.after(timeoutMs, done)
        function done(): void {
          timer.cancel()
          resume = undefined
          resolve()
        }
        resume = done
      })
    },
  }
}
