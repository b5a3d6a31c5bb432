import { AsyncLocalStorage } from 'node:async_hooks'
import { ExploreError, type ExploreErrorCode } from './explore-errors.ts'

const noticed = new AsyncLocalStorage<{ first?: ExploreError }>()

/**
 * The error for a body that wants what is not simulated, to be thrown at it. The exploration ends by it whatever the body makes of
 * it: for the engine it would be one more error of a step, and a saga that cannot be run would look like one that is rightly undone.
 */
export function misuse(code: ExploreErrorCode, message: string, options?: ErrorOptions): ExploreError {
  const error = new ExploreError(code, message, options)
  const run = noticed.getStore()
  if (run) run.first ??= error
  return error
}

/** What `run` gives. @throws {ExploreError} the first {@link misuse} in it, also one that it caught */
export async function unlessMisused<T>(run: () => Promise<T>): Promise<T> {
  const seen: { first?: ExploreError } = {}
  const [ended] = await Promise.allSettled([noticed.run(seen, run)])
  if (seen.first) throw seen.first
  if (ended.status === 'rejected') throw ended.reason
  return ended.value
}
