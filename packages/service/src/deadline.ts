import type { Logger, World } from '@banyan/core'
import { type Deadline, deadlinesOf } from '@banyan/resilience'
import { ServiceError } from './errors.ts'
import type { InFlight } from './in-flight.ts'
import { type OwnedScope, runInScope } from './request-scope.ts'

/** What {@link withinDeadline} works with. */
export interface DeadlineOptions {
  readonly world: World
  readonly log: Logger
  /** Handlers count until they are really done, also when their answer is no longer waited for. */
  readonly running: InFlight
}

/**
 * The handler's answer, or an error when the caller's time is up; not called when it is up already. A promise only where `work`
 * gives one: what answers at once needs neither a deadline nor a place among those that run.
 *
 * @throws {ServiceError} `ERR_REQUEST_TIMEOUT` (504), or what `work` throws
 */
export function withinDeadline(options: DeadlineOptions, scope: OwnedScope, name: string, work: () => unknown): unknown {
  if (scope.remainingMs() <= 0) throw outOfTime(name)
  try {
    const result = runInScope(scope, work)
    // What is only like a promise may answer twice, or throw; made into one it does neither.
    if (isThenable(result)) return settled(options, scope, name, Promise.resolve(result))
    scope.end()
    return result
  } catch (error) {
    scope.end()
    throw error
  }
}

function settled(options: DeadlineOptions, scope: OwnedScope, name: string, result: Promise<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const handled = new Handled(options, scope, name, reject)
    result.then(
      (value) => {
        handled.end()
        resolve(value)
      },
      (error: unknown) => {
        handled.fail(error)
        reject(error)
      },
    )
  })
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return value instanceof Promise || (typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function')
}

/** One handler under way. A class, as one is made for each request: see `Scope` in request-scope.ts. */
class Handled implements Deadline {
  readonly at: number
  place = -1
  readonly #options: DeadlineOptions
  readonly #scope: OwnedScope
  readonly #name: string
  readonly #reject: (error: unknown) => void
  #isLate = false

  constructor(options: DeadlineOptions, scope: OwnedScope, name: string, reject: (error: unknown) => void) {
    this.#options = options
    this.#scope = scope
    this.#name = name
    this.#reject = reject
    this.at = scope.deadline
    options.running.enter()
    deadlinesOf(options.world).add(this)
  }

  expire(): void {
    this.#isLate = true
    const error = outOfTime(this.#name)
    this.#scope.abort(error)
    this.#reject(error)
  }

  end(): void {
    deadlinesOf(this.#options.world).remove(this)
    this.#scope.end()
    this.#options.running.leave()
  }

  fail(error: unknown): void {
    const { traceId } = this.#scope
    if (this.#isLate) this.#options.log.debug({ error, operation: this.#name, traceId }, `${this.#name} failed after its deadline`)
    this.end()
  }
}

/** The caller's time is up. */
export function outOfTime(name: string): ServiceError {
  return new ServiceError('ERR_REQUEST_TIMEOUT', `${name}: the time of the request is up`, { status: 504 })
}
