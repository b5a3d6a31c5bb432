import type { Call } from './call.ts'
import type { Policy } from './policy.ts'

/**
 * A function with a policy around it. `work` is given the call (its signal, attempt, remaining time) before its own arguments, and keeps
 * its `this`; where it needs neither, `policy.wrap` is shorter.
 */
export function guard<This, A extends unknown[], T, Alt>(
  policy: Policy<Alt>,
  work: (this: This, call: Call, ...args: A) => T | PromiseLike<T>,
): (this: This, ...args: A) => Promise<Awaited<T> | Alt> {
  return function (this: This, ...args: A) {
    return policy.run((call) => work.call(this, call, ...args))
  }
}

/**
 * A standard method decorator (TC39, stage 3; not TypeScript's older ones) that puts a policy around a method: `@guarded(stock)`. Of all
 * objects of the class, so breaker and bulkhead are theirs together. The method must be async, and what the policy may answer in its
 * place must fit its type.
 *
 * @throws {TypeError} where it is put on anything but a method
 */
export function guarded<Alt = never>(policy: Policy<Alt>) {
  return <This, A extends unknown[], T>(
    method: (this: This, ...args: A) => Promise<T | Alt>,
    context: ClassMethodDecoratorContext<This, (this: This, ...args: A) => Promise<T | Alt>>,
  ): ((this: This, ...args: A) => Promise<T | Alt>) => {
    if (context.kind !== 'method')
      throw new TypeError(`cannot guard "${String(context.name)}": it is a ${String(context.kind)}, wanted a method`)
    return function (this: This, ...args: A) {
      // Awaited<T | Alt> is T | Alt for what a promise gives.
      return policy.run(() => method.call(this, ...args)) as Promise<T | Alt>
    }
  }
}
