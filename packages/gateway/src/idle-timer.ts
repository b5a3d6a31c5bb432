import type { World } from '@banyan/core'

/** Goes off each time nothing has happened for a while. */
export interface IdleTimer {
  /** Something happened. */
  touch(): void
  stop(): void
}

/** Creates an {@link IdleTimer}. Touching it costs one reading of the clock: its timer looks again when it has gone off. */
export function idleTimer(world: World, idleMs: number, onIdle: () => void): IdleTimer {
  let touchedAt = world.monotonic()
  let isStopped = false
  let timer = world.after(idleMs, look)
  function look(): void {
    if (touchedAt + idleMs <= world.monotonic()) onIdle()
    if (!isStopped) timer = world.after(Math.max(1, touchedAt + idleMs - world.monotonic()), look)
  }
  return {
    touch() {
      touchedAt = world.monotonic()
    },
    stop() {
      isStopped = true
      timer.cancel()
    },
  }
}
