import type { Call, Scope } from './call.ts'
import { deliver, type End, Race } from './end.ts'
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

  const around = (policy: string, next: Next): Next => {
    return (scope, end) => next(scope, new Answering(policy, answer, answerIf, scope, end))
  }
  return { facts: { kind: 'fallback' }, around }
}

/** One call that is answered when it fails. */
class Answering<R> implements End {
  readonly #policy: string
  readonly #answer: (error: unknown, call: Call) => R | PromiseLike<R>
  readonly #answerIf: (error: unknown) => boolean
  readonly #scope: Scope
  readonly #end: End

  constructor(
    policy: string,
    answer: (error: unknown, call: Call) => R | PromiseLike<R>,
    answerIf: (error: unknown) => boolean,
    scope: Scope,
    end: End,
  ) {
    this.#policy = policy
    this.#answer = answer
    this.#answerIf = answerIf
    this.#scope = scope
    this.#end = end
  }

  ok(value: unknown): void {
    this.#end.ok(value)
  }

  bad(error: unknown): void {
    const { cancel, aborted, reason } = this.#scope
    if (aborted && !isTimeout(reason)) {
      this.#end.bad(error)
      return
    }
    try {
      if (!this.#answerIf(error)) {
        this.#end.bad(error)
        return
      }
    } catch (thrown) {
      this.#end.bad(thrown)
      return
    }
    if (isHeard('fallback')) tell('fallback', { policy: this.#policy, error })
    // Once the deadline has passed there is nothing left to race against.
    const end = cancel && !aborted ? new Race(cancel, this.#end) : this.#end
    deliver(() => this.#answer(error, this.#scope), end)
  }
}
