import { setTimeout as pause } from 'node:timers/promises'
import { settingsOfContestant, tell } from '../contestant.ts'
import { countStatements } from '../statements.ts'
import type { SagaSite, SagaSubject } from './subject.ts'

// One engine in a process of its own: npm run bench -- saga starts it.

export interface SagaTask extends SagaSite {
  readonly subject: string
  /** Either some time with so many in flight, or so many sagas and then nothing until `lastsMs` are over: for counting. */
  readonly levels?: readonly number[]
  readonly seconds?: number
  readonly count?: { readonly sagas: number; readonly inFlight: number; readonly lastsMs: number }
}

export interface LevelResult {
  readonly inFlight: number
  readonly sagasPerSecond: number
  /** Milliseconds from the call to the stored end. */
  readonly p50: number
  readonly p99: number
}

export interface SagaResult {
  readonly levels: readonly LevelResult[]
  /** Sent since the process began. */
  readonly statements: number
  /** How long the sagas took that were counted, milliseconds. */
  readonly countedMs: number
}

/** How each engine is opened. */
const subjects: Readonly<Record<string, () => Promise<(site: SagaSite) => Promise<SagaSubject>>>> = {
  postgres: async () => (await import('./banyan.ts')).openBanyan('postgres'),
  sqlite: async () => (await import('./banyan.ts')).openBanyan('sqlite'),
  dbos: async () => (await import('./dbos.ts')).openDbos,
  restate: async () => (await import('./restate.ts')).openRestate,
  bare: async () => (await import('./bare.ts')).openBare,
}

const task = settingsOfContestant<SagaTask>()
const load = subjects[task.subject]
if (!load) throw new RangeError(`there is no engine "${task.subject}"`)
const statements = countStatements()
const subject = await (await load())(task)
let next = 0

const levels: LevelResult[] = []
const startedAt = performance.now()
let countedMs = 0
if (task.count) {
  const { sagas, inFlight, lastsMs } = task.count
  await drive(subject, inFlight, () => next < sagas)
  countedMs = performance.now() - startedAt
  await pause(Math.max(0, lastsMs - countedMs))
} else {
  const { seconds = 1 } = task
  await driveFor(subject, 16, seconds / 2)
  for (const inFlight of task.levels ?? []) levels.push(await driveFor(subject, inFlight, seconds))
}
await subject.close()
await tell('result', { levels, statements: statements(), countedMs } satisfies SagaResult)
// What a peer has left open must not keep the process.
process.exit(0)

async function driveFor(one: SagaSubject, inFlight: number, seconds: number): Promise<LevelResult> {
  // What the level before has left gets a moment.
  await pause(200)
  const begun = performance.now()
  const tookMs = await drive(one, inFlight, () => performance.now() < begun + seconds * 1_000)
  const elapsed = (performance.now() - begun) / 1_000
  const sorted = tookMs.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { inFlight, sagasPerSecond: sorted.length / elapsed, p50: at(0.5), p99: at(0.99) }
}

/** So many at a time, each followed by the next. @returns how long each took, milliseconds */
async function drive(one: SagaSubject, inFlight: number, more: () => boolean): Promise<number[]> {
  const tookMs: number[] = []
  const loop = async () => {
    while (more()) {
      next += 1
      const begun = performance.now()
      await one.run(`order-${next}`)
      tookMs.push(performance.now() - begun)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
  return tookMs
}
