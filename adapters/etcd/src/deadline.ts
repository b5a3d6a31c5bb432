import type { World } from '@banyan/core'

/** A signal that aborts after a time, or with another one. */
export interface Deadline {
  readonly signal: AbortSignal
  /** It was the time. */
  passed(): boolean
  /** Lets go of the timer. */
  end(): void
}

/** Aborts after `timeoutMs` or with `outer`, whichever is first. */
export function deadline(world: World, timeoutMs: number, outer: AbortSignal | undefined): Deadline {
  const controller = new AbortController()
  let passed = false
  const timer = world.after(timeoutMs, () => {
    passed = true
    controller.abort()
  })
  const abort = () => controller.abort(outer?.reason)
  if (outer?.aborted) abort()
  outer?.addEventListener('abort', abort, { once: true })
  return {
    signal: controller.signal,
    passed: () => passed,
    end() {
      timer.cancel()
      outer?.removeEventListener('abort', abort)
    },
  }
}
