import { failures, runContestant, twice } from './contestant.ts'
import { inFolder } from './folder.ts'
import { readOptions } from './options.ts'
import { installPeers } from './peers.ts'
import { median, writeReport } from './report.ts'
import type { LevelResult, SagaResult, SagaTask } from './saga/child.ts'
import { EMBEDDED_HELP, measureEmbedded } from './saga/embedded.ts'
import { measureResume, RESUME_HELP } from './saga/resume.ts'
import { type Server, startServer } from './server.ts'
import { alone, beside, compared, note, printVerdicts, series, type Verdict } from './verdict.ts'

const HELP = `npm run bench -- saga [--rounds 5] [--quick] [--resume | --sqlite]

Sagas a second of four remote steps that do nothing, so that only the engine is measured, with 1, 16 and 64 in flight:
  postgres, sqlite   ours, on PostgreSQL and on one SQLite file with synchronous=FULL
  dbos               DBOS Transact on the same PostgreSQL: a workflow of four steps, called directly
  restate            Restate, its server from npm on the same disk: a handler of four ctx.run
  bare               no engine: node:sqlite that commits as often and as much, one at a time; faster than that the disk does not allow
Rounds take turns, each engine in a new process on a new database or folder. Then commits and statements a saga are counted,
as the difference of two runs of fixed length. About 8 minutes for 5 rounds; --quick takes one.
${RESUME_HELP}${EMBEDDED_HELP}
Writes bench/results/saga.json, with --resume bench/results/resume.json; --quick writes nothing. Fails when a target is missed.`

const ENGINES = ['postgres', 'dbos', 'restate', 'sqlite', 'bare'] as const
type Engine = (typeof ENGINES)[number]
const LEVELS = [1, 16, 64]
const levelsOf = (engine: Engine) => (engine === 'bare' ? [1] : LEVELS)

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP, ['resume', 'sqlite'])
  if (!options) return
  if (options.given.has('sqlite')) return measureEmbedded(options)
  installPeers()
  const server = await startServer()
  try {
    if (options.given.has('resume')) await measureResume(server, options)
    else await measureRates(server, options)
  } finally {
    await server.stop()
  }
}

async function measureRates(server: Server, { rounds, quick }: { rounds: number; quick: boolean }): Promise<void> {
  const seconds = quick ? 1 : 4
  const results: Record<Engine, (readonly LevelResult[])[]> = { postgres: [], dbos: [], restate: [], sqlite: [], bare: [] }
  for (let round = 1; round <= rounds; round += 1) {
    for (const engine of ENGINES) {
      const { levels } = await twice(engine, () => runEngine(server, engine, { levels: levelsOf(engine), seconds }))
      results[engine].push(levels)
      const rates = levels.map(({ inFlight, sagasPerSecond }) => `${Math.round(sagasPerSecond)}/s at ${inFlight}`)
      console.error(`round ${round} of ${rounds}: ${engine.padEnd(8)} ${rates.join(', ')}, p50 alone ${levels[0]?.p50.toFixed(2)} ms`)
    }
  }
  const costs = {
    postgres: await countCosts(server, 'postgres', quick),
    dbos: await countCosts(server, 'dbos', quick),
  }
  report(server, { results, costs, rounds, seconds, quick })
}

interface Task {
  levels?: readonly number[]
  seconds?: number
  count?: SagaTask['count']
}

/** One engine in a process of its own, on a database and a folder of its own. */
function runEngine(server: Server, subject: Engine, task: Task): Promise<SagaResult & { commits: number }> {
  return server.withDatabase((url) =>
    inFolder(async (folder) => {
      await server.settle()
      const result = await runContestant<SagaResult>('saga/child.ts', { subject, url, folder, ...task }, 180_000)
      return { ...result, commits: await server.commits(url) }
    }),
  )
}

interface Costs {
  readonly commits: number
  readonly statements: number
}

/**
 * A long run and a short one, which then waits until it has lasted as long: starting up, renewing leases and looking for work cost the same
 * in both, so that the difference is what the sagas cost.
 */
async function countCosts(server: Server, engine: Engine, quick: boolean): Promise<{ alone: Costs; at64: Costs }> {
  const measure = async (inFlight: number, sagas: number): Promise<Costs> => {
    const many = await twice(engine, () => runEngine(server, engine, { count: { sagas: 3 * sagas, inFlight, lastsMs: 0 } }))
    const few = await twice(engine, () => runEngine(server, engine, { count: { sagas, inFlight, lastsMs: many.countedMs } }))
    console.error(`counted ${engine} at ${inFlight} in flight`)
    return { commits: (many.commits - few.commits) / (2 * sagas), statements: (many.statements - few.statements) / (2 * sagas) }
  }
  const scale = (engine === 'dbos' ? 1 : 5) / (quick ? 4 : 1)
  return { alone: await measure(1, 200 * scale), at64: await measure(64, 800 * scale) }
}

interface Measured {
  readonly results: Record<Engine, readonly (readonly LevelResult[])[]>
  readonly costs: Record<'postgres' | 'dbos', { alone: Costs; at64: Costs }>
  readonly rounds: number
  readonly seconds: number
  readonly quick: boolean
}

function report(server: Server, measured: Measured): void {
  const { results, costs, rounds, seconds, quick } = measured
  const figures = Object.fromEntries(ENGINES.map((engine) => [engine, levelFigures(levelsOf(engine), results[engine])]))
  const verdicts = judge(measured)
  console.log(`\nsagas of four steps, median of ${rounds} rounds of ${seconds} s each, PostgreSQL ${server.version}, fsync on\n`)
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const settings = { rounds, seconds, postgres: { version: server.version, ...server.settings }, ...PEER_SETTINGS }
  console.log(`\n${writeReport('saga', { settings, verdicts, figures, costs, met, failures })}`)
}

const PEER_SETTINGS = {
  dbos: 'systemDatabasePoolSize 20, workflows called directly, logLevel error',
  restate: 'one node, 4 partitions, log synced (its default), called through the ingress',
}

function levelFigures(levels: readonly number[], rounds: readonly (readonly LevelResult[])[]): object[] {
  return levels.map((inFlight, index) => {
    const of = (pick: (level: LevelResult) => number) => series(rounds.map((round) => picked(round, index, pick)))
    return { inFlight, sagasPerSecond: of((one) => one.sagasPerSecond), p50Ms: of((one) => one.p50), p99Ms: of((one) => one.p99) }
  })
}

function picked(levels: readonly LevelResult[], index: number, pick: (level: LevelResult) => number): number {
  const level = levels[index]
  return level ? pick(level) : Number.NaN
}

function judge({ results, costs }: Measured): Verdict[] {
  const of = (engine: Engine, inFlight: number, pick: (level: LevelResult) => number) =>
    median(results[engine].map((levels) => picked(levels, LEVELS.indexOf(inFlight), pick)))
  const rate = (engine: Engine, inFlight: number) => of(engine, inFlight, (level) => level.sagasPerSecond)
  const p50 = (engine: Engine) => of(engine, 1, (level) => level.p50)
  const p99 = (engine: Engine) => of(engine, 1, (level) => level.p99)
  return [
    beside('PostgreSQL, 64 in flight', rate('postgres', 64), 'DBOS', rate('dbos', 64), { atLeast: 10 }, '/s'),
    beside('PostgreSQL, one at a time', rate('postgres', 1), 'DBOS', rate('dbos', 1), { atLeast: 3 }, '/s'),
    beside('PostgreSQL, one at a time, p50', p50('postgres'), 'DBOS', p50('dbos'), { atMost: 0.4 }, ' ms'),
    beside('PostgreSQL, 64 in flight', rate('postgres', 64), 'Restate', rate('restate', 64), { atLeast: 6 }, '/s'),
    alone('SQLite FULL, 64 in flight', rate('sqlite', 64), { atLeast: 6_000 }, '/s'),
    {
      ...alone('SQLite FULL, one at a time', rate('sqlite', 1), { atLeast: 1_200 }, '/s'),
      ...compared(rate('sqlite', 1), 'bare node:sqlite', rate('bare', 1), '/s'),
    },
    alone('commits a saga, 64 in flight', costs.postgres.at64.commits, { atMost: 0.3 }, ''),
    // What is counted by time comes out a little uneven: a hundredth is not a commit.
    alone('commits a saga of 4 steps, one at a time', Number(costs.postgres.alone.commits.toFixed(1)), { atMost: 5 }, ''),
    note('statements a saga, 64 in flight', costs.postgres.at64.statements, ''),
    note('statements a saga, one at a time', costs.postgres.alone.statements, ''),
    { ...note('DBOS: commits and statements a saga', Number.NaN, ''), ours: '', theirs: textOf(costs.dbos.alone) },
    { what: 'PostgreSQL, 16 in flight', ours: `${Math.round(rate('postgres', 16)).toLocaleString('en')}/s`, theirs: others(rate, 16) },
    note('SQLite FULL, 16 in flight', rate('sqlite', 16), '/s'),
    { what: 'PostgreSQL, one at a time, p99', ours: `${p99('postgres').toFixed(2)} ms`, theirs: `DBOS ${p99('dbos').toFixed(2)} ms` },
    {
      what: 'PostgreSQL, one at a time, p50',
      ours: `${p50('postgres').toFixed(2)} ms`,
      theirs: `Restate ${p50('restate').toFixed(2)} ms`,
    },
  ]
}

function textOf({ commits, statements }: Costs): string {
  return `DBOS ${commits.toFixed(1)}, ${statements.toFixed(1)}`
}

function others(rate: (engine: Engine, inFlight: number) => number, inFlight: number): string {
  return `DBOS ${Math.round(rate('dbos', inFlight))}/s, Restate ${Math.round(rate('restate', inFlight))}/s`
}
