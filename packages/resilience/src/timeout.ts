import { systemWorld, type World } from '@banyan/core'
import type { Scope } from './call.ts'
import { type AbortListener, Cancellation } from './cancellation.ts'
import { type Deadline, type Deadlines, deadlinesOf } from './deadlines.ts'
import type { End } from './end.ts'
import { ResilienceError, rejection } from './errors.ts'
import { isHeard, tell } from './events.ts'
import type { Layer, Next } from './layer.ts'
import { checkDuration } from './option-checks.ts'

export interface TimeoutOptions {
  /** Default: the system's. */
  world?: World
}

/**
 * Ends what is inside it after `timeoutMs` milliseconds: aborts the signal and rejects at once, also when the function does not
 * listen to the signal. A nearer deadline of the caller or of a timeout outside goes first. All calls of a world share one timer.
 *
 * @param timeoutMs 1 to 2,147,483,647
 * @throws {RangeError} for another duration. Calls reject with {@link ResilienceError} `ERR_TIMEOUT`
 * @see Nygard, Release It!, 2nd ed., "Timeouts"
 */
export function timeout(timeoutMs: number, options: TimeoutOptions = {}): Layer {
  const { world = systemWorld } = options
  checkDuration('create timeout', 'timeoutMs', timeoutMs, 1)
  const deadlines = deadlinesOf(world)

  function around(policy: string, next: Next): Next {
    const rules: Rules = { policy, timeoutMs, deadlines }
    return (scope, end) => {
      const outer = scope.cancel
      if (outer && (outer.aborted || outer.deadline - scope.startedAt <= timeoutMs)) return next(scope, end)
      const timed = new Timed(rules, scope, end)
      next(scope.within(timed.cancel), timed)
    }
  }

  return { facts: { kind: 'timeout', timeoutMs }, world, around }
}

interface Rules {
  readonly policy: string
  readonly timeoutMs: number
  readonly deadlines: Deadlines
}

/** One call under its timeout. */
class Timed implements End, AbortListener, Deadline {
  readonly cancel: Cancellation
  readonly at: number
  place = -1
  readonly #rules: Rules
  readonly #scope: Scope
  readonly #end: End
  /** The call's own cancellation outside; the one made when somebody reads the outer signal is not it. */
  readonly #outer: Cancellation | undefined
  #open = true

  constructor(rules: Rules, scope: Scope, end: End) {
    this.at = scope.startedAt + rules.timeoutMs
    this.#rules = rules
    this.#scope = scope
    this.#end = end
    this.#outer = scope.cancel
    this.cancel = new Cancellation(scope.run.world, this.at)
    rules.deadlines.add(this)
    this.#outer?.listen(this)
  }

  ok(value: unknown): void {
    if (this.#close()) this.#end.ok(value)
  }

  bad(error: unknown): void {
    if (this.#close()) this.#end.bad(error)
  }

  onAbort(reason: unknown): void {
    if (!this.#close()) return
    this.cancel.abort(reason)
    this.#end.bad(reason)
  }

  expire(): void {
    if (!this.#close()) return
    const { policy, timeoutMs } = this.#rules
    if (isHeard('timeout')) tell('timeout', { policy, timeoutMs })
    const error = rejection(this.#scope.run.asValue, () => timedOut(policy, timeoutMs))
    this.cancel.abort(error)
    this.#end.bad(error)
  }

  #close(): boolean {
    if (!this.#open) return false
    this.#open = false
    this.#rules.deadlines.remove(this)
    this.#outer?.unlisten(this)
    return true
  }
}

/** The error of a call that took longer than it had. */
export function timedOut(policy: string, timeoutMs: number): ResilienceError {
  return new ResilienceError('ERR_TIMEOUT', policy, `the call of "${policy}" took longer than ${timeoutMs} ms`)
}
