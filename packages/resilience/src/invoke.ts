import { LoneCall, type Protected, type Scope } from './call.ts'
import { deliverResult, type End } from './end.ts'

/** The innermost of all: calls the function. */
export function invoke(scope: Scope, end: End): void {
  if (scope.aborted) {
    end.bad(scope.reason)
    return
  }
  const { run } = scope
  let result: unknown
  try {
    run.attempts += 1
    result = run.work(scope)
  } catch (error) {
    end.bad(error)
    return
  }
  deliverResult(result, end)
}

/** The same for a call whose layer watches its promise. */
export function begin(work: Protected<unknown>): Promise<unknown> {
  try {
    return Promise.resolve(work(new LoneCall()))
  } catch (error) {
    return Promise.reject(error)
  }
}
