import { runTrial, type TrialOptions, type TrialResult } from './trial.ts'

export interface SittingOptions extends Omit<TrialOptions, 'plan'> {
  readonly trials: number
  /** How many run at once. */
  readonly parallel: number
  readonly onTrial: (result: TrialResult) => void
  /** How many trials may fail before no new one is begun. */
  readonly mayFail: number
}

/** Many trials, several at once; the seeds count up from `seed`. None is begun after `signal` has aborted, and those under way are not told of. */
export async function runSitting({ trials, parallel, onTrial, mayFail, seed, ...options }: SittingOptions): Promise<void> {
  let next = 0
  let failed = 0
  async function lane(): Promise<void> {
    while (next < trials && failed <= mayFail && !options.signal?.aborted) {
      const result = await runTrial({ ...options, seed: seed + next++ })
      if (result.interrupted) return
      if (result.failed) failed += 1
      onTrial(result)
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, trials) }, lane))
}
