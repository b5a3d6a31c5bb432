import { systemWorld, type World } from '@banyan/core'
import { scopeOf } from './call.ts'
import { Cancellation, race } from './cancellation.ts'
import { deadlineList } from './deadline-list.ts'
import { ResilienceError } from './errors.ts'
import { isHeard, tell } from './events.ts'
import type { Layer, Next } from './layer.ts'
import { checkDuration } from './option-checks.ts'

export interface TimeoutOptions {
  /** Default: the system's. */
  world?: World
}

/**
 * Ends what is inside it after `timeoutMs` milliseconds: aborts the signal and rejects at once, also when the function does not
 * listen to the signal. A nearer deadline of the caller or of a timeout outside goes first. All calls of one layer share one
 * timer.
 *
 * @param timeoutMs 1 to 2,147,483,647
 * @throws {RangeError} for another duration. Calls reject with {@link ResilienceError} `ERR_TIMEOUT`
 * @see Nygard, Release It!, 2nd ed., "Timeouts"
 */
export function timeout(timeoutMs: number, options: TimeoutOptions = {}): Layer {
  const { world = systemWorld } = options
  checkDuration('create timeout', 'timeoutMs', timeoutMs, 1)
  const deadlines = deadlineList(world, timeoutMs)

  function around(policy: string, next: Next): Next {
    return (scope) => {
      const outer = scope.cancel
      if (outer.aborted || outer.remainingMs <= timeoutMs) return next(scope)
      const cancel = new Cancellation(world, world.monotonic() + timeoutMs)
      const entry = deadlines.add(() => {
        if (isHeard('timeout')) tell('timeout', { policy, timeoutMs })
        cancel.abort(timedOut(policy, timeoutMs))
      })
      const leave = outer.onAbort((reason) => cancel.abort(reason))
      return race(cancel, next(scopeOf(scope.run, cancel, scope.attempt))).finally(() => {
        entry.remove()
        leave()
      })
    }
  }

  return { facts: { kind: 'timeout', timeoutMs }, world, around }
}

/** The error of a call that took longer than it had. */
export function timedOut(policy: string, timeoutMs: number): ResilienceError {
  return new ResilienceError('ERR_TIMEOUT', policy, `the call of "${policy}" took longer than ${timeoutMs} ms`)
}
