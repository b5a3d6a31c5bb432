import type { Logger, World } from '@banyan/core'
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
 * The handler's answer, or an error when the caller's time is up; not called when it is up already.
 *
 * @throws {ServiceError} `ERR_REQUEST_TIMEOUT` (504), or what `work` throws
 */
export function withinDeadline(options: DeadlineOptions, scope: OwnedScope, name: string, work: () => unknown): Promise<unknown> {
  const { world, log, running } = options
  const timeoutMs = scope.remainingMs()
  const outOfTime = () => new ServiceError('ERR_REQUEST_TIMEOUT', `${name}: the time of the request is up`, { status: 504 })
  if (timeoutMs <= 0) return Promise.reject(outOfTime())
  return new Promise((resolve, reject) => {
    let late = false
    const timer = world.after(timeoutMs, () => {
      late = true
      const error = outOfTime()
      scope.abort(error)
      reject(error)
    })
    const leave = running.enter()
    const settle = (answer: () => void) => {
      timer.cancel()
      scope.end()
      leave()
      answer()
    }
    runInScope(scope, async () => work()).then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => {
        if (late) log.debug({ error, operation: name, traceId: scope.traceId }, `${name} failed after its deadline`)
        settle(() => reject(error))
      },
    )
  })
}
