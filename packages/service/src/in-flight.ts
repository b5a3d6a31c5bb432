import type { World } from '@banyan/core'

/** Counts what runs, so that a stop can wait for it. */
export interface InFlight {
  /** Something begins. */
  enter(): void
  /** It ends: once for each `enter`. */
  leave(): void
  readonly count: number
  /** Resolves with true when nothing runs any more, with false after `timeoutMs`. */
  idle(timeoutMs: number): Promise<boolean>
}

/** Creates an {@link InFlight}. */
export function inFlightGauge(world: World): InFlight {
  const waiting = new Set<() => void>()
  let count = 0

  function leave(): void {
    count -= 1
    if (count === 0) for (const resolve of [...waiting]) resolve()
  }

  return {
    enter() {
      count += 1
    },
    leave,
    get count() {
      return count
    },
    idle(timeoutMs) {
      if (count === 0) return Promise.resolve(true)
      return new Promise((resolve) => {
        const end = (idle: boolean) => {
          timer.cancel()
          waiting.delete(onIdle)
          resolve(idle)
        }
        const onIdle = () => end(true)
        const timer = world.after(timeoutMs, () => end(false))
        waiting.add(onIdle)
      })
    },
  }
}
