import type { Call } from './call.ts'
import type { Policy } from './policy.ts'

/**
 * A function with a policy around it. `work` is given the call (its signal, attempt, remaining time) before its own arguments, and keeps
 * its `this`; where it needs neither, `policy.wrap` is shorter.
 */
export function guard<This, A extends unknown[], T, P extends Policy<unknown>>(
  policy: P,
  work: (this: This, call: Call, ...args: A) => T | PromiseLike<T>,
): (this: This, ...args: A) => Promise<Awaited<T> | AnswerOf<P>> {
  return function (this: This, ...args: A) {
    // What a policy answers in place of the function is the Alt of its own type.
    return policy.run((call) => work.call(this, call, ...args)) as Promise<Awaited<T> | AnswerOf<P>>
  }
}

/** What a policy may answer in place of the function; never, for most. */
export type AnswerOf<P extends Policy<unknown>> = P extends { readonly alt?: infer Alt } ? Alt : never

/**
 * A standard method decorator (TC39, stage 3; not TypeScript's older ones) that puts a policy around a method: `@guarded(stock)`. Of all
 * objects of the class, so breaker and bulkhead are theirs together. The method must be async, and what the policy may answer in its
 * place must fit its type.
 *
 * @throws {TypeError} where it is put on anything but a method
 */
export function guarded<P extends Policy<unknown>>(policy: P): GuardedMethod<AnswerOf<P>> {
  return (method, context) => {
    if (context.kind !== 'method') {
      throw new TypeError(`cannot guard "${String(context.name)}": it is a ${String(context.kind)}, wanted a method`)
    }
    return function (...args) {
      // What a method promises is no promise itself, so awaiting changes nothing of its type.
      return policy.run(() => method.call(this, ...args)) as ReturnType<typeof method>
    }
  }
}

/** A decorator of async methods whose result has room for `Alt`. */
export type GuardedMethod<Alt> = <This, A extends unknown[], T>(
  method: (this: This, ...args: A) => Promise<T | Alt>,
  context: ClassMethodDecoratorContext<This, (this: This, ...args: A) => Promise<T | Alt>>,
) => (this: This, ...args: A) => Promise<T | Alt>
