import type { CostResult, CostTask } from './commit/cost-child.ts'
import type { LatencyResult, LatencyTask } from './commit/latency-child.ts'
import type { PeerCostResult, PeerCostTask } from './commit/peer-cost-child.ts'
import { failures, runContestant, twice } from './contestant.ts'
import { inFolder } from './folder.ts'
import { readOptions } from './options.ts'
import { median, writeReport } from './report.ts'
import { type Server, startServer } from './server.ts'
import { alone, compared, figure, note, printVerdicts, series, type Verdict } from './verdict.ts'

const HELP = `npm run bench -- commit [--rounds 5] [--quick]

What publishing costs, and how soon the event is there:
  cost      time of a transaction of one insert and an event, to that of the same without the event, at 1 and at 32 clients, on
            PostgreSQL and SQLite (FULL); somebody listens to be woken. For comparison: a second insert instead of the event; a relay in
            the same process that moves the events meanwhile; and what the peers' messages cost a transaction of node-postgres
  latency   from the commit to the handler at 1,000 events a second: outbox and inbox on SQLite over the SQLite bus, on PostgreSQL
            over the SQLite bus, and all on PostgreSQL
Rounds take turns, each in a new process on new databases. About 12 minutes for 5 rounds; --quick takes one.

Writes bench/results/commit.json; --quick writes nothing. Fails when a target is missed.`

const ENGINES = ['postgres', 'sqlite'] as const
const PEERS = ['pg-transactional-outbox', 'graphile-worker', 'pg-boss'] as const
const LEVELS = [1, 32]
const SHAPES = ['sqlite to sqlite', 'postgres to sqlite', 'postgres to postgres'] as const
const EVENTS_PER_SECOND = 1_000
const TIMEOUT_MS = 180_000

type Engine = (typeof ENGINES)[number]
type Shape = (typeof SHAPES)[number]

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP)
  if (!options) return
  const { rounds, quick } = options
  const costs: Record<Engine, CostResult[][]> = { postgres: [], sqlite: [] }
  const peers: PeerCostResult[][] = []
  const latencies: Record<Shape, LatencyResult[]> = { 'sqlite to sqlite': [], 'postgres to sqlite': [], 'postgres to postgres': [] }
  const server = await startServer()
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const say = (what: string) => console.error(`round ${round} of ${rounds}: ${what}`)
      for (const engine of ENGINES) {
        const cost = await twice(engine, () => measureCost(server, engine, quick ? 1 : 4))
        costs[engine].push(cost)
        for (const { clients, plain, two, published, relayed } of cost)
          say(
            `${engine}, ${clients} clients: ${Math.round(plain)}/s, two inserts ${Math.round(two)}/s, published ${Math.round(published)}/s, relayed ${Math.round(relayed)}/s`,
          )
      }
      const peerCost = await twice('peers', () => measurePeers(server, quick ? 1 : 4))
      peers.push(peerCost)
      for (const { clients, plain, ...others } of peerCost) {
        const rates = PEERS.map((peer) => `${peer} ${Math.round(others[peer])}/s`)
        say(`node-postgres, ${clients} clients: ${Math.round(plain)}/s, ${rates.join(', ')}`)
      }
      for (const shape of SHAPES) {
        const latency = await twice(shape, () => measureLatency(server, shape, quick ? 3 : 10))
        latencies[shape].push(latency)
        const { p50, p99, eventsPerSecond } = latency
        say(`${shape}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms at ${Math.round(eventsPerSecond)} events/s`)
      }
    }
    report(server, { costs, peers, latencies, rounds, quick })
  } finally {
    await server.stop()
  }
}

async function measureCost(server: Server, engine: Engine, seconds: number): Promise<CostResult[]> {
  return server.withDatabase((url) =>
    inFolder(async (folder) => {
      await server.settle()
      const task: CostTask = { engine, url, folder, levels: LEVELS, seconds }
      return runContestant<CostResult[]>('commit/cost-child.ts', task, TIMEOUT_MS)
    }),
  )
}

function measurePeers(server: Server, seconds: number): Promise<PeerCostResult[]> {
  return server.withDatabase(async (url) => {
    await server.settle()
    const task: PeerCostTask = { url, levels: LEVELS, seconds }
    return runContestant<PeerCostResult[]>('commit/peer-cost-child.ts', task, TIMEOUT_MS)
  })
}

async function measureLatency(server: Server, shape: Shape, seconds: number): Promise<LatencyResult> {
  return server.withDatabase((shop) =>
    server.withDatabase((book) =>
      server.withDatabase((bus) =>
        inFolder(async (folder) => {
          await server.settle()
          const task: LatencyTask = { shape, urls: [shop, book, bus], folder, eventsPerSecond: EVENTS_PER_SECOND, seconds }
          return runContestant<LatencyResult>('commit/latency-child.ts', task, TIMEOUT_MS)
        }),
      ),
    ),
  )
}

interface Measured {
  readonly costs: Record<Engine, readonly CostResult[][]>
  readonly peers: readonly PeerCostResult[][]
  readonly latencies: Record<Shape, readonly LatencyResult[]>
  readonly rounds: number
  readonly quick: boolean
}

function report(server: Server, measured: Measured): void {
  const { costs, peers, latencies, rounds, quick } = measured
  const verdicts = [
    ...ENGINES.flatMap((engine) => judgeCost(engine, costs[engine])),
    ...judgePeers(costs.postgres, peers),
    ...SHAPES.flatMap((shape) => judgeLatency(shape, latencies[shape])),
  ]
  console.log(
    `\nwhat publishing costs, and how soon the event is there, median of ${rounds} rounds, PostgreSQL ${server.version}, fsync on\n`,
  )
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const settings = { rounds, eventsPerSecond: EVENTS_PER_SECOND, postgres: { version: server.version, ...server.settings } }
  const figures = {
    cost: Object.fromEntries(ENGINES.map((engine) => [engine, costFigures(costs[engine])])),
    peerCost: LEVELS.map((clients) => ({
      clients,
      ...Object.fromEntries((['plain', ...PEERS] as const).map((kind) => [kind, series(atLevel(peers, clients).map((one) => one[kind]))])),
    })),
    latency: Object.fromEntries(
      SHAPES.map((shape) => [
        shape,
        { p50Ms: series(latencies[shape].map(({ p50 }) => p50)), p99Ms: series(latencies[shape].map(({ p99 }) => p99)) },
      ]),
    ),
  }
  console.log(`\n${writeReport('commit', { settings, verdicts, figures, met, failures })}`)
}

function costFigures(rounds: readonly CostResult[][]): object[] {
  return LEVELS.map((clients) => {
    const of = (kind: 'plain' | 'two' | 'published' | 'relayed') => series(atLevel(rounds, clients).map((one) => one[kind]))
    return {
      clients,
      plainPerSecond: of('plain'),
      twoInsertsPerSecond: of('two'),
      publishedPerSecond: of('published'),
      relayedPerSecond: of('relayed'),
    }
  })
}

function judgeCost(engine: Engine, rounds: readonly CostResult[][]): Verdict[] {
  const name = { postgres: 'PostgreSQL', sqlite: 'SQLite FULL' }[engine]
  return LEVELS.flatMap((clients) => {
    const level = atLevel(rounds, clients)
    const times = (kind: 'two' | 'published' | 'relayed') => median(level.map((one) => one.plain / one[kind]))
    const people = clients === 1 ? '1 client' : `${clients} clients`
    return [
      alone(`${name}, ${people}: time with an event to time without`, times('published'), { atMost: 1.15 }, 'x'),
      note(`${name}, ${people}: with a second insert of the user's instead`, times('two'), 'x'),
      note(`${name}, ${people}: and a relay in the same process`, times('relayed'), 'x'),
    ]
  })
}

/** What an event costs ours, beside what each peer's message costs a transaction of node-postgres. */
function judgePeers(own: readonly CostResult[][], rounds: readonly PeerCostResult[][]): Verdict[] {
  return LEVELS.flatMap((clients) => {
    const ours = median(atLevel(own, clients).map((one) => one.plain / one.published))
    const people = clients === 1 ? '1 client' : `${clients} clients`
    return PEERS.map((peer) => {
      const theirs = median(atLevel(rounds, clients).map((one) => one.plain / one[peer]))
      return {
        what: `PostgreSQL, ${people}: the same, beside a message of a peer's`,
        ours: `${figure(ours)}x`,
        ...compared(ours, peer, theirs, 'x'),
      }
    })
  })
}

function judgeLatency(shape: Shape, rounds: readonly LatencyResult[]): Verdict[] {
  const name = {
    'sqlite to sqlite': 'embedded',
    'postgres to sqlite': 'PostgreSQL, embedded bus',
    'postgres to postgres': 'PostgreSQL, its bus too',
  }[shape]
  const wanted = { 'sqlite to sqlite': 10, 'postgres to sqlite': 25, 'postgres to postgres': undefined }[shape]
  const what = (part: string) => `${name}: commit to handler at 1,000 events/s, ${part}`
  const p50 = median(rounds.map((one) => one.p50))
  const p99 = median(rounds.map((one) => one.p99))
  return [
    note(what('p50'), p50, ' ms'),
    wanted === undefined ? note(what('p99'), p99, ' ms') : alone(what('p99'), p99, { atMost: wanted }, ' ms'),
  ]
}

function atLevel<Result extends { readonly clients: number }>(rounds: readonly Result[][], clients: number): Result[] {
  return rounds.flatMap((levels) => levels.filter((one) => one.clients === clients))
}
