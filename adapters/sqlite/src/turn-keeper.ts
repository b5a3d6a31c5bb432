import type { World } from '@banyan/core'

/**
 * Lets the event loop turn. A chain of promises starves timers and sockets for as long as it goes on; asked before each
 * step of such a chain, this answers `undefined` until the chain has run for `maxTurnMs`, then a promise for the next turn.
 */
export function turnKeeper(world: World, maxTurnMs: number): { next(): Promise<void> | undefined } {
  let startedAt: number | undefined
  let resume: (() => void) | undefined

  /** Timers run only when the loop turns: this one tells that it did. */
  function turned(): void {
    startedAt = undefined
    resume?.()
    resume = undefined
  }

  return {
    next() {
      const now = world.monotonic()
      if (startedAt === undefined) {
        startedAt = now
        world.after(0, turned)
        return undefined
      }
      if (now - startedAt < maxTurnMs) return undefined
      return new Promise((resolve) => {
        resume = resolve
      })
    },
  }
}
