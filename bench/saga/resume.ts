import { runContestant, startContestant } from '../contestant.ts'
import { inFolder } from '../folder.ts'
import { median, writeReport } from '../report.ts'
import type { Server } from '../server.ts'
import { alone, note, printVerdicts, series, type Verdict } from '../verdict.ts'
import type { ResumeResult, ResumeTask } from './resume-child.ts'

export const RESUME_HELP = `
--resume: instead, 100,000 sagas of ours on PostgreSQL and on SQLite, and 10,000 of DBOS (with more it takes many minutes), hang in
their second step or stand in line; the process is killed with kill -9 and started again under the same name. Time is counted from the start of
the new process, Node's own start included: to the first step, until every saga has made a step, until every saga has ended.
About 3 minutes a round. A resume that fails is not tried again: it ends the run and says how far it got.
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
      const { firstStepMs, allTakenUpMs, allEndedMs } = result
      const times = `first step ${inSeconds(firstStepMs)}, all taken up ${inSeconds(allTakenUpMs)}, all ended ${inSeconds(allEndedMs)}`
      console.error(`round ${round} of ${rounds}: ${engine.padEnd(8)} ${sagas[engine].toLocaleString('en')} sagas, ${times}`)
    }
  }
  const of = (engine: Engine, pick: (result: ResumeResult) => number) => median(results[engine].map(pick)) / 1_000
  const verdicts = ENGINES.flatMap((engine) => judge(engine, sagas[engine], (pick) => of(engine, pick)))
  console.log(
    `\nafter kill -9, seconds from the start of the new process, median of ${rounds} rounds, PostgreSQL ${server.version}, fsync on\n`,
  )
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const figures = Object.fromEntries(ENGINES.map((engine) => [engine, figuresOf(results[engine])]))
  const settings = { rounds, sagas, concurrency: 10_000, postgres: { version: server.version, ...server.settings } }
  console.log(`\n${writeReport('resume', { settings, verdicts, figures, met })}`)
}

function judge(engine: Engine, sagas: number, of: (pick: (result: ResumeResult) => number) => number): Verdict[] {
  const name = { sqlite: 'SQLite FULL', postgres: 'PostgreSQL', dbos: 'DBOS' }[engine]
  const what = (part: string) => `${name}, ${sagas.toLocaleString('en')} in flight: ${part}`
  const first = of((result) => result.firstStepMs)
  const taken = of((result) => result.allTakenUpMs)
  const ended = of((result) => result.allEndedMs)
  if (engine === 'dbos') {
    const theirs = `first step ${first.toFixed(2)} s, all taken up ${taken.toFixed(2)} s, all ended ${ended.toFixed(2)} s`
    return [{ what: what('beside'), ours: '', theirs }]
  }
  return [
    alone(what('first step'), first, { atMost: 1 }, ' s'),
    alone(what('all taken up'), taken, { atMost: 10 }, ' s'),
    note(what('all ended'), ended, ' s'),
  ]
}

function figuresOf(results: readonly ResumeResult[]): object {
  return {
    firstStepMs: series(results.map((result) => result.firstStepMs)),
    allTakenUpMs: series(results.map((result) => result.allTakenUpMs)),
    allEndedMs: series(results.map((result) => result.allEndedMs)),
  }
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
