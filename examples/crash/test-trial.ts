import { rmSync } from 'node:fs'
import type { CrashDeed, Mishap } from '@banyan/testing/crash'
import { runTrial, type TrialOptions, type TrialResult } from './trial.ts'

// Trials in tests.

/** What happens at a point of a role: it is killed, where nothing else is said. */
export function at(role: string, point: string, hit: number, deed: CrashDeed = { kind: 'kill' }): Mishap {
  return { role, when: { kind: 'point', point, hit, withinMs: 20_000 }, deed }
}

/** What happens at a time. */
export function after(role: string, afterMs: number, deed: CrashDeed = { kind: 'kill' }): Mishap {
  return { role, when: { kind: 'time', afterMs }, deed }
}

/** A trial in which something is wrong on purpose: its files are of no use to anybody. */
export async function brokenTrial(options: TrialOptions): Promise<TrialResult> {
  const result = await runTrial({ timeoutMs: 4_000, ...options })
  if (result.folder) rmSync(result.folder, { recursive: true, force: true })
  return result
}
