import type { World } from '@banyan/core'

/** Lets one loop sleep until there is something to do. */
export interface Waker {
  /** Ends the sleep at hand, or the next one when nobody sleeps. */
  wake(): void
  /** Resolves after `delayMs`, or sooner when woken; says which: true when woken. Only one loop may sleep at a time. */
  sleep(delayMs: number): Promise<boolean>
}

/** Creates a {@link Waker}. No call of `wake` is ever lost. */
export function waker(world: World): Waker {
  let woken = false
  let end: (() => void) | undefined
  return {
    wake() {
      woken = true
      end?.()
    },
    sleep(delayMs) {
      return new Promise((resolve) => {
        const finish = () => {
          timer.cancel()
          const byWake = woken
          woken = false
          end = undefined
          resolve(byWake)
        }
        const timer = world.after(delayMs, finish)
        if (woken) finish()
        else end = finish
      })
    },
  }
}

/** Resolves after `delayMs`, or as soon as `signal` aborts. */
export function pause(world: World, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const finish = () => {
      timer.cancel()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = world.after(delayMs, finish)
    signal.addEventListener('abort', finish)
  })
}
