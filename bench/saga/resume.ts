import { runContestant, startContestant } from '../contestant.ts'
import { inFolder } from '../folder.ts'
import { median, writeReport } from '../report.ts'
import type { Server } from '../server.ts'
import { alone, note, printVerdicts, series, type Verdict } from '../verdict.ts'
import type { ResumeResult, ResumeTask } from './resume-child.ts'

export const RESUME_HELP = `
--resume: instead, 100,000 sagas of ours on PostgreSQL and on SQLite, and 10,000 of DBOS (with more it takes many minutes), hang in
their second step (10,000 of ours) or stand in line; the process is killed with kill -9 and started again under the same name. Time is counted from
the start of the new process, Node's own start included:
  first step     a step was called
  all claimed    ours only: each saga's row says, committed, that it is the new process's
  all taken up   a step of each saga has been called in the new process: this is what the target is about
  all ended      the end of each is stored
Behind a time stands what that is a second: so many sagas by so much time. About 2 minutes a round. A resume that fails is not tried again: it
ends the run and says how far it got.
`

const ENGINES = ['sqlite', 'postgres', 'dbos'] as const
type Engine = (typeof ENGINES)[number]
const TIMEOUT_MS = 300_000

/** Kills and resumes, and reports. */
export async function measureResume(server: Server, { rounds, quick }: { rounds: number; quick: boolean }): Promise<void> {
  const sagas: Record<Engine, number> = quick
    ? { sqlite: 5_000, postgres: 5_000, dbos: 500 }
    : { sqlite: 100_000, postgres: 100_000, dbos: 10_000 }
  const results: Record<Engine, ResumeResult[]> = { sqlite: [], postgres: [], dbos: [] }
  for (let round = 1; round <= rounds; round += 1) {
    for (const engine of ENGINES) {
      const result = await killAndResume(server, engine, sagas[engine])
      results[engine].push(result)
      const count = sagas[engine].toLocaleString('en')
      console.error(`round ${round} of ${rounds}: ${engine.padEnd(8)} ${count} sagas, ${inWords(result, sagas[engine])}`)
    }
  }
  const of = (engine: Engine, pick: (result: ResumeResult) => number) => median(results[engine].map(pick))
  const verdicts = ENGINES.flatMap((engine) => judge(engine, sagas[engine], (pick) => of(engine, pick)))
  console.log(
    `\nafter kill -9, seconds from the start of the new process, median of ${rounds} rounds, PostgreSQL ${server.version}, fsync on\n`,
  )
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const figures = Object.fromEntries(ENGINES.map((engine) => [engine, figuresOf(results[engine])]))
  const settings = {
    rounds,
    sagas,
    concurrency: { killed: 10_000, resumed: 2_000 },
    postgres: { version: server.version, ...server.settings },
  }
  console.log(`\n${writeReport('resume', { settings, verdicts, figures, met })}`)
}

function judge(engine: Engine, sagas: number, of: (pick: (result: ResumeResult) => number) => number): Verdict[] {
  const name = { sqlite: 'SQLite FULL', postgres: 'PostgreSQL', dbos: 'DBOS' }[engine]
  const what = (part: string) => `${name}, ${sagas.toLocaleString('en')} in flight: ${part}`
  const middle: ResumeResult = {
    firstStepMs: of((result) => result.firstStepMs),
    allTakenUpMs: of((result) => result.allTakenUpMs),
    allEndedMs: of((result) => result.allEndedMs),
    peakMb: of((result) => result.peakMb),
  }
  if (engine === 'dbos') return [{ what: what('beside'), ours: '', theirs: inWords(middle, sagas) }]
  const claimedMs = of(claimedOf)
  return [
    alone(what('first step'), middle.firstStepMs / 1_000, { atMost: 1 }, ' s'),
    note(what('all claimed by the new process'), claimedMs / 1_000, ` s (${aSecond(sagas, claimedMs)})`),
    alone(what('all taken up: a step of each was called'), middle.allTakenUpMs / 1_000, { atMost: 10 }, ' s'),
    note(what('taken up'), sagas / (middle.allTakenUpMs / 1_000), '/s'),
    note(what('all ended'), middle.allEndedMs / 1_000, ` s (${aSecond(sagas, middle.allEndedMs)})`),
    note(what('memory at its peak'), middle.peakMb, ' MB'),
  ]
}

function figuresOf(results: readonly ResumeResult[]): object {
  const of = (pick: (result: ResumeResult) => number) => series(results.map(pick))
  return {
    firstStepMs: of((result) => result.firstStepMs),
    ...(results[0]?.allClaimedMs !== undefined && { allClaimedMs: of(claimedOf) }),
    allTakenUpMs: of((result) => result.allTakenUpMs),
    allEndedMs: of((result) => result.allEndedMs),
    peakMb: of((result) => result.peakMb),
  }
}

function claimedOf({ allClaimedMs = Number.NaN }: ResumeResult): number {
  return allClaimedMs
}

function inWords({ firstStepMs, allClaimedMs, allTakenUpMs, allEndedMs }: ResumeResult, sagas: number): string {
  const timed = (what: string, ms: number) => `${what} ${inSeconds(ms)} (${aSecond(sagas, ms)})`
  return [
    `first step ${inSeconds(firstStepMs)}`,
    ...(allClaimedMs === undefined ? [] : [timed('all claimed', allClaimedMs)]),
    timed('all taken up', allTakenUpMs),
    timed('all ended', allEndedMs),
  ].join(', ')
}

function aSecond(sagas: number, ms: number): string {
  return `${Math.round(sagas / (ms / 1_000)).toLocaleString('en')}/s`
}

function killAndResume(server: Server, engine: Engine, sagas: number): Promise<ResumeResult> {
  return server.withDatabase((url) =>
    inFolder(async (folder) => {
      const task = { engine, sagas, url, folder }
      const first = startContestant('saga/resume-child.ts', { ...task, life: 'first' } satisfies ResumeTask, TIMEOUT_MS)
      await first.heard<number>('ready')
      await first.kill()
      return await runContestant<ResumeResult>('saga/resume-child.ts', { ...task, life: 'second' } satisfies ResumeTask, TIMEOUT_MS)
    }),
  )
}

function inSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`
}
