import { type Contestant, runContestant, startContestant } from './contestant.ts'
import { inFolder } from './folder.ts'
import { readOptions } from './options.ts'
import type { HeldResult, HeldTask } from './registry/held.ts'
import type { RegistrationsResult, RegistrationsTask } from './registry/registrations.ts'
import type { Memory, ServerTask } from './registry/server.ts'
import type { WatchersResult, WatchersTask } from './registry/watchers.ts'
import { median, writeReport } from './report.ts'
import { alone, note, printVerdicts, series, type Verdict } from './verdict.ts'

const HELP = `npm run bench -- registry [--rounds 5] [--quick]

What the embedded registry takes and gives, over HTTP on this machine, its state in a file:
  change to 200 watchers   of a service with 5 instances: from sending a registration to each of 200 clients' being told (consulRegistry, a
                           connection each, all in one process and so on one core): 200 changes, 40,000 samples a round
  registrations            a second, of 1,000 instances of 50 services that register again, 50 in flight; and their heartbeats
  blocking queries held    10,000, each on a connection of its own: memory of the registry for each, and from a change to the last answer
The registry is a process, each of these another. About 2 minutes for 5 rounds; --quick takes one, a fifth of the size.

Writes bench/results/registry.json; --quick writes nothing. Fails when a target is missed.`

const TARGET_P99_MS = 25
const TIMEOUT_MS = 300_000

/** The figures of one round. */
interface Round {
  readonly watchersP50Ms: number
  readonly watchersP99Ms: number
  readonly watchersMaxMs: number
  readonly registrationsPerSecond: number
  readonly heartbeatsPerSecond: number
  readonly held: number
  readonly heldLastMs: number
  readonly rssPerWatcherBytes: number
  readonly heapPerWatcherBytes: number
}

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP)
  if (!options) return
  const { rounds, quick } = options
  const measured: Round[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const figures = await measure(quick ? 0.2 : 1)
    measured.push(figures)
    console.error(
      `round ${round} of ${rounds}: 99 % within ${figures.watchersP99Ms.toFixed(1)} ms, ${Math.round(figures.registrationsPerSecond)} registrations/s`,
    )
  }
  report(measured, { rounds, quick })
}

async function measure(size: number): Promise<Round> {
  const watched = await withServer(async (_, url) => {
    const task: WatchersTask = { url, watchers: 200, changes: Math.round(200 * size) }
    return (await runContestant<WatchersResult>('registry/watchers.ts', task, TIMEOUT_MS)).latenciesMs
  })
  const rate = (what: RegistrationsTask['what']) =>
    withServer(async (_, url) => {
      const task: RegistrationsTask = { url, inFlight: 50, instances: 1_000, seconds: 5 * size, what }
      return (await runContestant<RegistrationsResult>('registry/registrations.ts', task, TIMEOUT_MS)).perSecond
    })
  const [registrationsPerSecond, heartbeatsPerSecond] = [await rate('register'), await rate('heartbeat')]
  const held = await withServer((server, url) => hold(server, { url, queries: Math.round(10_000 * size) }))
  return {
    watchersP50Ms: quantile(watched, 0.5),
    watchersP99Ms: quantile(watched, 0.99),
    watchersMaxMs: quantile(watched, 1),
    registrationsPerSecond,
    heartbeatsPerSecond,
    ...held,
  }
}

/** Gives `work` a registry of its own. */
function withServer<T>(work: (server: Contestant, url: string) => Promise<T>): Promise<T> {
  return inFolder(async (folder) => {
    const server = startContestant('registry/server.ts', { folder } satisfies ServerTask, TIMEOUT_MS)
    try {
      return await work(server, await server.heard<string>('listening'))
    } finally {
      await server.kill()
    }
  })
}

async function hold(server: Contestant, task: HeldTask) {
  const memory = () => {
    server.go()
    return server.heard<Memory>('memory')
  }
  const before = await memory()
  const contestant = startContestant('registry/held.ts', task, TIMEOUT_MS)
  const holding = await contestant.heard<number>('holding')
  const after = await memory()
  contestant.go()
  const { answered, lastMs } = await contestant.heard<HeldResult>('result')
  await contestant.ended()
  return {
    held: answered,
    heldLastMs: lastMs,
    rssPerWatcherBytes: (after.rss - before.rss) / holding,
    heapPerWatcherBytes: (after.heap - before.heap) / holding,
  }
}

function quantile(sorted: readonly number[], at: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * at) - 1)] ?? Number.NaN
}

function report(measured: readonly Round[], { rounds, quick }: { rounds: number; quick: boolean }): void {
  const all = (name: keyof Round) => measured.map((round) => round[name])
  const of = (name: keyof Round) => median(all(name))
  const verdicts: Verdict[] = [
    alone('change to 200 watchers, 99 % within', of('watchersP99Ms'), { atMost: TARGET_P99_MS }, ' ms'),
    note('change to 200 watchers, half within', of('watchersP50Ms'), ' ms'),
    note('registrations, 1,000 instances', of('registrationsPerSecond'), '/s'),
    note('heartbeats, 1,000 instances', of('heartbeatsPerSecond'), '/s'),
    note('blocking queries held', of('held'), ''),
    note('from a change to the last of them', of('heldLastMs'), ' ms'),
    note('memory of the registry for each', of('rssPerWatcherBytes') / 1_024, ' KiB'),
  ]
  console.log(`\nthe embedded registry over HTTP on this machine, median of ${rounds} rounds\n`)
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const names = Object.keys(measured[0] ?? {}) as (keyof Round)[] // the fields of Round
  const figures = Object.fromEntries(names.map((name) => [name, series(all(name))]))
  console.log(`\n${writeReport('registry', { settings: { rounds, watchers: 200, instances: 1_000 }, verdicts, figures, met })}`)
}
