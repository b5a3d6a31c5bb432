import {
  type CorpusCase,
  type CorpusUpstream,
  corpusCases,
  corpusUpstream,
  type Observed,
  observeCase,
} from '../packages/gateway/src/test/corpus.ts'
import { type Grade, type Judgement, judge } from './corpus/judge.ts'
import { taste } from './corpus/taste.ts'
import { inFolder } from './folder.ts'
import { nativesHere, type RunningProxy, startProxy, titleOf } from './gateway/contestants.ts'
import { readOptions } from './options.ts'
import { installPeers, peerVersion } from './peers.ts'
import { writeReport } from './report.ts'

const HELP = `npm run bench -- corpus [--peers] [--quick]

Runs the bad-input corpus, packages/gateway/corpus/, against ours, and with --peers against @fastify/http-proxy, fast-gateway, http-proxy,
and nginx, HAProxy and Caddy where they are installed (apt-get install nginx haproxy caddy): each a process of its own, all at once. What is
wanted is what ours does, so what matters is the last column:
  as wanted     what the case says
  fine          refused or cut in another way, with nothing handed on
  other         something else that no rule of HTTP forbids; bench/corpus/taste.ts says which rule allows it
  dangerous     handed on what must not be, left the client waiting, or ended the process
About 3 minutes. With --peers it writes bench/results/corpus.json; --quick writes nothing. Fails when ours does anything but what is wanted.`

const PEERS: readonly string[] = ['fastify-http-proxy', 'fast-gateway', 'http-proxy']
const OURS = 'banyan'
/** Longer than every time limit that a hasty contestant has. */
const PATIENCE_MS = 6_000
/** For what is handed on after the client has its answer. */
const SETTLE_MS = 50

/** What one contestant made of each case. */
type Judgements = ReadonlyMap<string, Judgement>

/** Runs the corpus and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP, ['peers'])
  if (!options) return
  const withPeers = options.given.has('peers')
  if (withPeers) installPeers()
  const { here, missing } = nativesHere()
  const subjects = withPeers ? [OURS, ...PEERS, ...Object.keys(here)] : [OURS]
  if (withPeers && missing.length > 0) console.error(`left out: ${missing.join(', ')}; apt-get install ${missing.join(' ')}`)
  const cases = corpusCases()
  const found = await inFolder((folder) =>
    Promise.all(subjects.map(async (subject) => [subject, await runAll(subject, cases, folder)] as const)),
  )
  const results = new Map<string, Judgements>(found)
  report(cases, results, { versions: versionsOf(subjects, here), isWritten: withPeers && !options.quick })
}

async function runAll(subject: string, cases: readonly CorpusCase[], folder: string): Promise<Judgements> {
  const upstream = await corpusUpstream()
  const start = () => startProxy(subject, { folder, core: 'any', originPort: upstream.port, isHasty: true })
  let proxy = await start()
  const judgements = new Map<string, Judgement>()
  try {
    for (const one of cases) {
      const observed = await observe(one, proxy, upstream)
      const hasDied = !proxy.isAlive()
      judgements.set(one.name, judge(one, observed, hasDied))
      if (hasDied) proxy = await start()
    }
  } finally {
    await proxy.stop()
    upstream.close()
  }
  console.error(`${titleOf(subject)} is through`)
  return judgements
}

async function observe(one: CorpusCase, { port }: RunningProxy, upstream: CorpusUpstream): Promise<Observed> {
  const observed = await observeCase(one, { port, upstream }, PATIENCE_MS)
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  return { ...observed, received: upstream.received() }
}

interface Reported {
  readonly versions: Readonly<Record<string, string>>
  readonly isWritten: boolean
}

function report(cases: readonly CorpusCase[], results: ReadonlyMap<string, Judgements>, { versions, isWritten }: Reported): void {
  for (const { name } of cases) {
    const odd = [...results].flatMap(([subject, judgements]) => {
      const found = judgements.get(name)
      return found && found.grade !== 'wanted' ? [`  ${titleOf(subject).padEnd(20)} ${found.grade.padEnd(9)} ${found.what}`] : []
    })
    if (odd.length > 0) console.log([name, ...odd].join('\n'))
  }
  console.log(`\n${cases.length} cases\n`)
  const totals = [...results].map(([subject, judgements]) => [subject, totalsOf(judgements)] as const)
  for (const [subject, { wanted, fine, other, dangerous }] of totals)
    console.log(`${titleOf(subject).padEnd(20)} ${wanted} as wanted, ${fine} fine, ${other} other, ${dangerous} dangerous`)
  const ours = results.get(OURS)
  if (!ours || totalsOf(ours).wanted < cases.length) process.exitCode = 1
  if (!isWritten) return
  const contestants = totals.map(([subject, total]) => ({ subject, title: titleOf(subject), version: versions[subject], ...total }))
  const table = cases.map(({ name, about, source }) => ({
    ...{ name, about, source, taste: taste[name] },
    found: Object.fromEntries([...results].map(([subject, judgements]) => [subject, judgements.get(name)])),
  }))
  console.log(`\n${writeReport('corpus', { contestants, cases: table })}`)
}

function totalsOf(judgements: Judgements): Readonly<Record<Grade, number>> {
  const totals = { wanted: 0, fine: 0, other: 0, dangerous: 0 }
  for (const { grade } of judgements.values()) totals[grade] += 1
  return totals
}

function versionsOf(subjects: readonly string[], natives: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const packages: Readonly<Record<string, string>> = { 'fastify-http-proxy': '@fastify/http-proxy' }
  const peers = PEERS.filter((subject) => subjects.includes(subject)).map((subject) => [
    subject,
    peerVersion(packages[subject] ?? subject) ?? '',
  ])
  return { ...Object.fromEntries(peers), ...natives }
}
