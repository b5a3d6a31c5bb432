import type { CheckStatus } from './consul-json.ts'
import type { Thresholds } from './registry-records.ts'

/** How many results of one kind came in a row. */
export interface CheckRun {
  readonly good: number
  readonly bad: number
}

/** No result yet. */
export const noRun: CheckRun = { good: 0, bad: 0 }

/** The run after a result: one of the other kind ends it. */
export function afterResult(run: CheckRun, found: CheckStatus): CheckRun {
  return found === 'critical' ? { good: 0, bad: run.bad + 1 } : { good: run.good + 1, bad: 0 }
}

/**
 * The status a check has after a result, `undefined` when it stays as it is: too few in a row yet.
 *
 * @see https://developer.hashicorp.com/consul/docs/services/configuration/checks-configuration-reference, `success_before_passing`
 */
export function statusAfter(run: CheckRun, found: CheckStatus, thresholds: Thresholds): CheckStatus | undefined {
  if (found !== 'critical') return run.good >= thresholds.passing ? found : undefined
  if (run.bad >= thresholds.critical) return 'critical'
  return run.bad >= thresholds.warning ? 'warning' : undefined
}
