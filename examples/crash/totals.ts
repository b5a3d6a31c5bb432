import { describeMishap } from '@banyan/testing/crash'
import type { TrialResult } from './trial.ts'

/** Adds trials up, for the lines that are printed. */
export interface Totals {
  add(result: TrialResult): void
  readonly trials: number
  readonly failed: number
  /** `tookMs`: how long it all took, by the clock. */
  describe(tookMs: number): string
}

export function totals(): Totals {
  const faults = new Map<string, number>()
  const counts = new Map<string, number>()
  const mishaps = { kills: 0, pauses: 0, strikes: 0, atPoint: 0 }
  let trials = 0
  let failed = 0
  let slowestMs = 0
  let trialMs = 0
  return {
    get trials() {
      return trials
    },
    get failed() {
      return failed
    },
    add(result) {
      trials += 1
      failed += result.failed ? 1 : 0
      trialMs += result.tookMs
      slowestMs = Math.max(slowestMs, result.tookMs)
      for (const [kind, list] of Object.entries(result.faults)) faults.set(kind, (faults.get(kind) ?? 0) + list.length)
      for (const [what, count] of Object.entries(result.counts)) counts.set(what, (counts.get(what) ?? 0) + count)
      for (const what of ['kills', 'pauses', 'strikes', 'atPoint'] as const) mishaps[what] += result[what]
    },
    describe(tookMs) {
      const { kills, pauses, strikes, atPoint } = mishaps
      const all = kills + pauses + strikes
      const outside = strikes > 0 ? `, ${strikes} strikes from outside` : ''
      const minutes = tookMs / 60_000
      const lines = [
        `${trials} trials in ${Math.round(tookMs / 1_000)} s, ${(trials / minutes).toFixed(0)} a minute; a trial takes ${(trialMs / Math.max(1, trials) / 1_000).toFixed(2)} s, the slowest ${(slowestMs / 1_000).toFixed(1)} s`,
        `${kills} kills, ${pauses} pauses${outside}: ${atPoint} of ${all} at named points; ${list(counts)}`,
        `${list(faults)}; ${failed} trials failed`,
      ]
      return lines.join('\n')
    },
  }
}

/** A failed trial, and how to run it again. */
export function describeFailure({ seed, done, plan, faults, folder, tookMs }: TrialResult, command: string): string {
  const found = Object.entries(faults).filter(([, list]) => list.length > 0)
  const first = found.map(([kind, list]) => `${list.length} ${kind} (${list[0]})`)
  return [
    `FAILED  seed ${seed}: ${done ? 'done' : 'not done'} after ${tookMs} ms; ${first.join(', ') || 'nothing is wrong, only late'}`,
    `        plan: ${plan.map(describeMishap).join('; ')}`,
    `        files: ${folder}`,
    `        again: ${command}`,
  ].join('\n')
}

function list(numbers: ReadonlyMap<string, number>): string {
  return [...numbers].map(([what, count]) => `${count} ${what}`).join(', ')
}
