import { type Balance, type UpstreamOptions, upstream } from '@banyan/discovery'
import { retryBudget } from '@banyan/resilience'
import { equalHosts, type MakePicker, oneFailsFast, oneIsSlow, oneJoins, totalOutage, zones } from '@banyan/testing/balance'
import type { SpeedResult, SpeedTask } from './balance/child.ts'
import { failures, runContestant, twice } from './contestant.ts'
import { readOptions } from './options.ts'
import { median, writeReport } from './report.ts'
import { alone, figure, note, printVerdicts, series, type Verdict } from './verdict.ts'

const HELP = `npm run bench -- balance [--rounds 5] [--quick]

Two kinds of figures.

By simulation (the manual world, a seed a round; the same on every machine): equal hosts; one of twenty fails fast; one of twenty is twenty
times slower; all are down, with three attempts and a retry budget; a new host with slow start; a zone that cannot do all its calls.

Nanoseconds a pick, at 10, 100, 1,000 and 10,000 instances, for every balancer, beside an index drawn at random: of upstream().pick()
as it is used, and of a pick with the end of its call, 64 calls under way. Each in a process of its own; the median of batches of 1,024, so that
other programs count little, but they do take the processor's caches.

About 3 minutes for 5 rounds; --quick takes one.

Writes bench/results/balance.json; --quick writes nothing. Fails when a target is missed.`

const INSTANCES = [10, 100, 1_000, 10_000] as const
const SUBJECTS: readonly SpeedTask['subject'][] = ['bare', 'p2c', 'least-requests', 'round-robin', 'weighted', 'consistent-hash', 'zones']
/** What the budget of a retry gives free: its default. */
const RESERVE = { perSecond: 10, windowMs: 10_000 }

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP)
  if (!options) return
  const { rounds, quick } = options
  const simulated = new Map<string, number[]>()
  const speed = new Map<string, number[]>()
  for (let round = 1; round <= rounds; round += 1) {
    console.error(`round ${round} of ${rounds}: simulating`)
    for (const [name, value] of Object.entries(await simulate(round))) add(simulated, name, value)
    for (const subject of SUBJECTS) {
      console.error(`round ${round} of ${rounds}: picks of ${subject}`)
      const result = await twice(subject, () => measure(subject, quick))
      for (const [at, count] of INSTANCES.entries()) {
        add(speed, `${subject} pick ${count}`, result.pick[at] ?? Number.NaN)
        if (result.call.length > 0) add(speed, `${subject} call ${count}`, result.call[at] ?? Number.NaN)
      }
    }
  }
  report(simulated, speed, { rounds, quick })
}

function add(figures: Map<string, number[]>, name: string, value: number): void {
  figures.set(name, [...(figures.get(name) ?? []), value])
}

function measure(subject: SpeedTask['subject'], quick: boolean): Promise<SpeedResult> {
  return runContestant(
    'balance/child.ts',
    { subject, instances: INSTANCES, picks: quick ? 400_000 : 2_000_000 } satisfies SpeedTask,
    300_000,
  )
}

async function simulate(seed: number): Promise<Record<string, number>> {
  const ours =
    (more: Partial<UpstreamOptions> = {}): MakePicker =>
    ({ registry, service, world }) =>
      upstream({ registry, service, world, ...more })
  const slow = await oneIsSlow(ours(), seed)
  const outage = await totalOutage(ours(), { budget: (world) => retryBudget({ world }), ...RESERVE }, seed)
  const joins = await oneJoins(ours({ slowStartMs: 10_000 }), seed)
  const calm = await zones(ours({ zone: 'a' }), 600, seed)
  const busy = await zones(ours({ zone: 'a' }), 2_000, seed)
  const home = await zones(ours({ zone: { name: 'a', overload: 1_000 } }), 2_000, seed)
  const fast = await oneFailsFast(ours(), seed)
  const others: Record<string, number> = {}
  for (const balance of ['least-requests', 'round-robin', 'weighted', 'consistent-hash'] satisfies Balance[])
    others[`errorPercent ${balance}`] = (await oneFailsFast(ours({ balance }), seed)).errorShare * 100
  return {
    ...others,
    maxToMin: (await equalHosts(ours(), seed)).maxToMin,
    errorPercent: fast.errorShare * 100,
    quietPercent: fast.quietShare * 100,
    slowP99Ratio: slow.p99Ratio,
    slowSharePercent: slow.share * 100,
    amplification: outage.amplification,
    beyondReserve: outage.amplification - outage.reserve,
    joinsFirst: joins.first,
    joinsLast: joins.last,
    ownShareCalm: calm.ownShare * 100,
    ownShareBusy: busy.ownShare * 100,
    p99Busy: busy.report.latencyMs.p99,
    p99AtHome: home.report.latencyMs.p99,
  }
}

function report(
  simulated: ReadonlyMap<string, readonly number[]>,
  speed: ReadonlyMap<string, readonly number[]>,
  { rounds, quick }: { rounds: number; quick: boolean },
): void {
  // A bound holds for every seed, so the worst of them stands in the table.
  const worst = (name: string) => Math.max(...(simulated.get(name) ?? []))
  const least = (name: string) => Math.min(...(simulated.get(name) ?? []))
  const nanoseconds = (name: string) => median(speed.get(name) ?? [])
  const verdicts = [...judgeSituations(worst, least), ...judgeSpeed(nanoseconds)]
  console.log(`\nsimulated: the worst of ${rounds} seeds; nanoseconds: the median of ${rounds} rounds\n`)
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const settings = { rounds, instances: INSTANCES, callsInFlight: 64, retryBudget: { ratio: 0.2, ...RESERVE } }
  const all = (figures: ReadonlyMap<string, readonly number[]>) =>
    Object.fromEntries([...figures].map(([name, values]) => [name, series(values)]))
  console.log(`\n${writeReport('balance', { settings, verdicts, simulated: all(simulated), nanoseconds: all(speed), met, failures })}`)
}

function judgeSituations(worst: (name: string) => number, least: (name: string) => number): Verdict[] {
  return [
    alone('20 equal hosts: calls of the busiest to the idlest', worst('maxToMin'), { atMost: 1.1 }, ''),
    alone('1 of 20 fails fast: calls that fail', worst('errorPercent'), { atMost: 0.05 }, ' %'),
    alone('1 of 20 fails fast: seconds without a call to it', least('quietPercent'), { atLeast: 80 }, ' %'),
    ...(['least-requests', 'round-robin', 'weighted', 'consistent-hash'] satisfies Balance[]).map((balance) =>
      alone(`the same, ${balance}`, worst(`errorPercent ${balance}`), { atMost: 0.05 }, ' %'),
    ),
    alone('1 of 20 is 20x slower: p99 to that of equal hosts', worst('slowP99Ratio'), { atMost: 1.15 }, 'x'),
    alone('all down, 3 attempts: attempts a call, less the reserve', worst('beyondReserve'), { atMost: 1.2 }, ''),
    note('all down, 3 attempts: attempts a call', worst('amplification'), ''),
    alone('slow start: part of a new host in its first second', worst('joinsFirst'), { atMost: 0.3 }, ''),
    alone('slow start: its part 20 s later', least('joinsLast'), { atLeast: 0.9 }, ''),
    alone('zone at half its capacity: calls that stay', least('ownShareCalm'), { atLeast: 90 }, ' %'),
    alone('zone with 1.7x its capacity: calls that stay', least('ownShareBusy'), { atLeast: 50 }, ' %'),
    {
      ...alone('zone with 1.7x its capacity: p99', worst('p99Busy'), { atMost: 300 }, ' ms'),
      theirs: `all kept at home ${figure(least('p99AtHome'))} ms`,
    },
  ]
}

function judgeSpeed(nanoseconds: (name: string) => number): Verdict[] {
  const [few, many] = [INSTANCES[0], INSTANCES[INSTANCES.length - 1]]
  return SUBJECTS.filter((subject) => subject !== 'bare').map((subject) => {
    const ours = nanoseconds(`${subject} pick ${many}`)
    const line = alone(`a pick of 10,000, ${subject}`, ours, { atMost: 150 }, ' ns')
    return {
      ...line,
      theirs: `of 10 ${figure(nanoseconds(`${subject} pick ${few}`))} ns; a random index ${figure(nanoseconds(`bare pick ${many}`))} ns`,
    }
  })
}
