import { expect, test } from 'vitest'
import { afterResult, noRun, statusAfter } from './check-thresholds.ts'
import type { CheckStatus } from './consul-json.ts'
import { atOnce, type Thresholds } from './registry-records.ts'

function statuses(results: readonly CheckStatus[], thresholds: Thresholds): readonly (CheckStatus | undefined)[] {
  let run = noRun
  return results.map((found) => {
    run = afterResult(run, found)
    return statusAfter(run, found, thresholds)
  })
}

test('each result counts unless more are asked for', () => {
  expect(statuses(['passing', 'critical', 'warning'], atOnce)).toEqual(['passing', 'critical', 'warning'])
})

test('bad results warn, then fail; a good one between them starts the count anew', () => {
  const thresholds = { passing: 1, warning: 2, critical: 3 }
  expect(statuses(['critical', 'critical', 'critical', 'critical'], thresholds)).toEqual([undefined, 'warning', 'critical', 'critical'])
  expect(statuses(['critical', 'passing', 'critical', 'critical'], thresholds)).toEqual([undefined, 'passing', undefined, 'warning'])
})

test('good results pass when enough came in a row', () => {
  const thresholds = { passing: 3, warning: 1, critical: 1 }
  expect(statuses(['passing', 'passing', 'critical', 'passing', 'warning', 'passing'], thresholds)).toEqual([
    undefined,
    undefined,
    'critical',
    undefined,
    undefined,
    'passing',
  ])
})
