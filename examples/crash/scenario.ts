import type { Database } from '@banyan/core'
import type { CrashVictim } from '@banyan/testing/crash'
import type { Wanted, WantedBus } from './engine.ts'

/** A little system with its work, and what must be true of it when all has happened. */
export interface Scenario {
  readonly name: string
  /** The programs, by role: the file beside the scenario, without its extension. */
  readonly programs: Readonly<Record<string, string>>
  /** Who may be hit, and where. */
  readonly victims: readonly CrashVictim[]
  /** Roles that die together when the bus dies. */
  readonly onBus: readonly string[]
  readonly wanted: readonly Wanted[]
  readonly bus: WantedBus | undefined
  /** What `--break` knows here. */
  readonly breaks: readonly string[]
  watch(trial: WatchOptions): Watch
}

export interface WatchOptions {
  readonly seed: number
  readonly folder: string
  /** By service. */
  readonly databases: Readonly<Record<string, Database>>
}

/** A trial's system from outside. */
export interface Watch {
  /** All mishaps have happened: no new work. */
  close(): Promise<void>
  isDone(): Promise<boolean>
  /** Words that change when something has moved. */
  progress(): Promise<string>
  check(): Promise<Verdict>
}

/** What the checker found. */
export interface Verdict {
  /** What is wrong, by kind: each entry names one thing. */
  readonly faults: Readonly<Record<string, readonly string[]>>
  /** What was counted, for the sums. */
  readonly counts: Readonly<Record<string, number>>
}
