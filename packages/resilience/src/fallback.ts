import type { Call } from './call.ts'
import { race } from './cancellation.ts'
import { isHeard, tell } from './events.ts'
import { isTimeout } from './failure.ts'
import type { Layer, Next } from './layer.ts'

export interface FallbackOptions {
  /** Which errors are answered. Default: all. */
  answerIf?: (error: unknown) => boolean
}

/**
 * Answers in place of a failure: with a value, or with what a function makes of the error. Its type joins the result's. When the
 * caller itself has aborted, nobody waits for an answer and the abort goes through. As the outermost layer it also answers when
 * the caller's deadline has passed, so a fallback function must be quick.
 *
 * @throws what a fallback function throws
 */
export function fallback<R>(to: (error: unknown, call: Call) => R | PromiseLike<R>, options?: FallbackOptions): Layer<R>
export function fallback<R>(to: R, options?: FallbackOptions): Layer<R>
export function fallback<R>(
  to: R | ((error: unknown, call: Call) => R | PromiseLike<R>),
  { answerIf = () => true }: FallbackOptions = {},
): Layer<R> {
  // The overloads say that a function is never the value itself, which TypeScript cannot see for an open R.
  const answer = typeof to === 'function' ? (to as (error: unknown, call: Call) => R | PromiseLike<R>) : () => to

  function around(policy: string, next: Next): Next {
    return async (scope) => {
      try {
        return await next(scope)
      } catch (error) {
        const { cancel } = scope
        if (cancel.aborted && !isTimeout(cancel.reason)) throw error
        if (!answerIf(error)) throw error
        if (isHeard('fallback')) tell('fallback', { policy, error })
        const work = Promise.resolve(answer(error, scope))
        // Once the deadline has passed there is nothing left to race against.
        return cancel.aborted ? work : race(cancel, work)
      }
    }
  }
  return { facts: { kind: 'fallback' }, around }
}
