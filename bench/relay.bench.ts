import { failures, startContestant, twice } from './contestant.ts'
import { readOptions } from './options.ts'
import { installPeers } from './peers.ts'
import type { RelayResult, RelayTask } from './relay/child.ts'
import { median, writeReport } from './report.ts'
import { type Server, startServer } from './server.ts'
import { alone, beside, note, printVerdicts, series, type Verdict } from './verdict.ts'

const HELP = `npm run bench -- relay [--rounds 5] [--full] [--quick]

Messages a second that one process moves from a backlog in PostgreSQL to a sink that does nothing:
  banyan                 our relay as it comes, at a backlog of 10,000, 100,000 and 1,000,000, with --full also 10,000,000
  graphile-batched       graphile-worker with the batching of its page on performance; graphile-single: without
  pg-boss                fetch and complete in batches of 1,000, two loops
  transactional-outbox   pg-transactional-outbox, its polling listener with batches of 1,000; with "default" its batches of 5
  bare                   a yardstick: one loop of DELETE ... FOR UPDATE SKIP LOCKED
The peers have a backlog of 100,000. Each in a process and a database of its own, all on one server, filled before, vacuumed, checkpoint
written. Time runs from the first message to the last one marked; whoever is not done after 10 s is measured by what was moved until
then, nothing is extrapolated. Of the peers only pg-transactional-outbox keeps order within a key as set up here.
About 10 minutes for 5 rounds, with --full 25 and 15 GB of disk; --quick takes one.

Writes bench/results/relay.json; --quick writes nothing. Fails when a target is missed.`

interface Entry {
  readonly subject: string
  readonly messages: number
  /** How often it is measured in a round, for backlogs that are gone in a moment. */
  readonly times?: number
  /** Rounds with it: the longest ones take few. */
  readonly rounds?: number
}

const MAX_SECONDS = 10
const PEERS: Readonly<Record<string, Entry>> = {
  graphileBatched: { subject: 'graphile-batched', messages: 100_000 },
  graphileSingle: { subject: 'graphile-single', messages: 100_000 },
  pgBoss: { subject: 'pg-boss', messages: 100_000 },
  outbox: { subject: 'transactional-outbox', messages: 100_000 },
  outboxDefault: { subject: 'transactional-outbox-default', messages: 100_000 },
  bare: { subject: 'bare', messages: 100_000 },
}
const OURS: Readonly<Record<string, Entry>> = {
  at10k: { subject: 'banyan', messages: 10_000, times: 3 },
  at100k: { subject: 'banyan', messages: 100_000 },
  at1M: { subject: 'banyan', messages: 1_000_000 },
}
const FULL: Readonly<Record<string, Entry>> = { at10M: { subject: 'banyan', messages: 10_000_000, rounds: 3 } }

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP, ['full'])
  if (!options) return
  const { rounds, quick } = options
  installPeers()
  const full = options.given.has('full')
  const all = Object.entries({ ...OURS, ...PEERS, ...(full ? FULL : {}) })
  const entries = quick ? all.filter(([, { messages }]) => messages <= 100_000) : all
  const rates = new Map<string, number[]>(entries.map(([name]) => [name, []]))
  const server = await startServer()
  try {
    for (let round = 1; round <= rounds; round += 1) {
      for (const [name, entry] of entries) {
        if (round > (entry.rounds ?? rounds)) continue
        const rate = await twice(name, () => measure(server, entry, quick ? 3 : MAX_SECONDS))
        rates.get(name)?.push(rate)
        const backlog = entry.messages.toLocaleString('en')
        console.error(`round ${round} of ${rounds}: ${entry.subject.padEnd(28)} backlog ${backlog.padStart(10)}: ${Math.round(rate)}/s`)
      }
    }
    report(server, rates, { rounds, quick })
  } finally {
    await server.stop()
  }
}

async function measure(server: Server, { subject, messages, times = 1 }: Entry, seconds: number): Promise<number> {
  const rates: number[] = []
  // A backlog of ours is always drained to its end: what it costs to be long is the question.
  const maxSeconds = subject === 'banyan' ? 600 : seconds
  for (let time = 1; time <= times; time += 1) {
    const { messagesPerSecond } = await server.withDatabase(async (url) => {
      const contestant = startContestant('relay/child.ts', { subject, url, messages, maxSeconds } satisfies RelayTask, 2_400_000)
      await contestant.heard('filled')
      await server.settle()
      contestant.go()
      const result = await contestant.heard<RelayResult>('result')
      await contestant.ended()
      return result
    })
    rates.push(messagesPerSecond)
  }
  return median(rates)
}

function report(
  server: Server,
  rates: ReadonlyMap<string, readonly number[]>,
  { rounds, quick }: { rounds: number; quick: boolean },
): void {
  const verdicts = judge((name) => median(rates.get(name) ?? []))
  console.log(`\nmessages a second to a sink that does nothing, median of ${rounds} rounds, PostgreSQL ${server.version}, fsync on\n`)
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const figures = Object.fromEntries([...rates].map(([name, values]) => [name, series(values)]))
  const settings = { rounds, maxSeconds: MAX_SECONDS, postgres: { version: server.version, ...server.settings }, ...PEER_SETTINGS }
  console.log(`\n${writeReport('relay', { settings, verdicts, messagesPerSecond: figures, met, failures })}`)
}

const PEER_SETTINGS = {
  graphileBatched: 'concurrentJobs 24, maxPoolSize 25, localQueue.size 500, completeJobBatchDelay 0, failJobBatchDelay 0; no queue names',
  graphileSingle: 'concurrentJobs 24, maxPoolSize 25',
  pgBoss: 'fetch and complete, batchSize 1,000, two loops, pool of 10, a partition of its own',
  outbox: 'polling listener, batches of 1,000, pool of 20, segments by key, protection against poisonous messages off',
  outboxDefault: 'the same with its default batch of 5',
}

function judge(rate: (name: string) => number): Verdict[] {
  const ours = rate('at100k')
  const long = rate('at10M')
  const million = rate('at1M')
  const lines = [
    alone('backlog of 100,000', ours, { atLeast: 80_000 }, '/s'),
    beside('backlog of 100,000', ours, 'graphile-worker, batched', rate('graphileBatched'), { atLeast: 2 }, '/s'),
    beside('backlog of 100,000', ours, 'pg-boss', rate('pgBoss'), { atLeast: 2 }, '/s'),
    beside('backlog of 100,000', ours, 'pg-transactional-outbox', rate('outbox'), { atLeast: 100 }, '/s'),
  ]
  if (Number.isFinite(million)) lines.push(besideOwn('backlog of 1,000,000', million, rate('at10k'), undefined))
  if (Number.isFinite(long)) lines.push(besideOwn('backlog of 10,000,000', long, rate('at10k'), 0.9))
  return [
    ...lines,
    {
      ...note('backlog of 100,000', ours, '/s'),
      theirs: `graphile-worker, one by one ${Math.round(rate('graphileSingle')).toLocaleString('en')}/s`,
    },
    {
      ...note('backlog of 100,000', ours, '/s'),
      theirs: `pg-transactional-outbox, batches of 5 ${Math.round(rate('outboxDefault')).toLocaleString('en')}/s`,
    },
    { ...note('backlog of 100,000', ours, '/s'), theirs: `bare SKIP LOCKED ${Math.round(rate('bare')).toLocaleString('en')}/s` },
  ]
}

/** A long backlog beside a short one. */
function besideOwn(what: string, long: number, short: number, atLeast: number | undefined): Verdict {
  const line = beside(what, long, 'ours at 10,000', short, { atLeast: atLeast ?? 0 }, '/s')
  if (atLeast !== undefined) return line
  const { target: _target, met: _met, ...rest } = line
  return rest
}
