import { cpus } from 'node:os'
import { failures, runContestant, twice } from './contestant.ts'
import { inFolder } from './folder.ts'
import { NODE_SUBJECTS, nativesHere, type Place, startOrigin, titleOf } from './gateway/contestants.ts'
import type { LoadResult, LoadTask } from './gateway/load-child.ts'
import type { Profile } from './gateway/profile.ts'
import { programFile } from './gateway/program.ts'
import { measureReloads, RELOAD_ROUTES, type Reloads } from './gateway/reloads.ts'
import { type GatewayFigures, report } from './gateway/report.ts'
import type { RoutesResult, RoutesTask } from './gateway/routes-child.ts'
import { CONNECTIONS, LOAD_CORE, load, measureSpeed, PROXY_CORE, type Speed, withProxy } from './gateway/speed.ts'
import { measureUpload } from './gateway/upload.ts'
import { readOptions } from './options.ts'
import { installPeers } from './peers.ts'
import { figure } from './verdict.ts'

const HELP = `npm run bench -- gateway [--rounds 5] [--seconds 4] [--quick] [--routes] [--reloads] [--upload] [--profile]

What a proxy costs: ours with one route and nothing else; ours with a token checked, a limit, metrics, spans and an access log; beside
@fastify/http-proxy, fast-gateway, http-proxy, and nginx, HAProxy and Caddy where they are installed (apt-get install nginx haproxy caddy).
Each is a process of its own on core ${PROXY_CORE}, one worker, its connections to the origin kept; load and origin (nginx, or node:http where that is not
installed) are on core ${LOAD_CORE}. A small GET, ${CONNECTIONS} connections, by wrk (apt-get install wrk), so many seconds each, in turn:
  requests a CPU-second    of the proxy's process, user and system, all its threads and workers. It says the same whether the proxy or the
                           load holds the other up: the Node proxies fill their core, the load fills its own before nginx and HAProxy do
  added latency            at half of what it can do (nginx: at half of what ours can), arriving at random moments (a generator of our
                           own: wrk has no rate), above the origin's own at the rate of ours
  --routes                 only that: a match among 10, 100, 1,000 and 10,000 routes, memory for each, reloading such a file
  --reloads                only that: what 50 changes of a route a second cost
  --upload                 only that: what an upload of 1 GiB adds to the memory of ours
  --profile                only that: where ours spends its time under load
Several processes are not measured: two cores, one with the load on it, cannot show how they add up.
Linux with two cores or more. About 12 minutes for 5 rounds; --quick takes one, shorter.

Writes bench/results/gateway.json; --quick and the parts write nothing. Fails when a target is missed.`

const LATENCY_SUBJECTS: readonly string[] = ['banyan', 'banyan-full', 'fastify-http-proxy', 'nginx']
const UPLOAD_BYTES = 1_073_741_824
const ROUTES = [10, 100, 1_000, 10_000]

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP, ['routes', 'reloads', 'upload', 'profile'], { seconds: 4 })
  if (!options) return
  const { rounds, quick, given } = options
  assertMachine()
  const seconds = quick ? 1 : (options.numbers.seconds ?? 4)
  if (given.size === 0) installPeers()
  await inFolder(async (folder) => {
    const origin = await startOrigin({ folder, core: LOAD_CORE })
    try {
      const place: Place = { folder, core: PROXY_CORE, originPort: origin.proxy.port }
      if (given.has('profile')) return await profile(place, seconds)
      const wants = (part: string) => given.size === 0 || given.has(part)
      const figures: GatewayFigures = { speeds: new Map(), latencies: new Map(), reloads: new Map(), uploads: [], routes: new Map() }
      for (let round = 1; round <= rounds; round += 1) {
        const at = { place, seconds, name: `round ${round} of ${rounds}` }
        if (given.size === 0) await speedRound(figures, at, origin.proxy.port)
        if (wants('reloads')) await reloadsRound(figures, at)
        if (wants('upload')) await uploadRound(figures, at, quick ? UPLOAD_BYTES / 8 : UPLOAD_BYTES)
        if (wants('routes')) await routesRound(figures, at.name)
      }
      const settings = { rounds, seconds, connections: CONNECTIONS, origin: origin.kind, natives: nativesHere() }
      report(figures, settings, { isWhole: given.size === 0 && !quick, failures })
    } finally {
      await origin.proxy.stop()
    }
  })
}

/** Which round, where, how long. */
interface At {
  readonly place: Place
  readonly seconds: number
  readonly name: string
}

async function speedRound(figures: GatewayFigures, { place, seconds, name }: At, originPort: number): Promise<void> {
  const subjects = [...NODE_SUBJECTS, ...Object.keys(nativesHere().here)]
  let directRate: number | undefined
  for (const subject of subjects) {
    const { speed, latency } = await twice(subject, () =>
      withProxy(subject, place, async (proxy) => {
        const measured = await measureSpeed(proxy, seconds)
        // Never above ours: what nginx can do is more than the load can send.
        const rate = Math.min(measured.requestsPerSecond / 2, directRate ?? Number.POSITIVE_INFINITY)
        if (!LATENCY_SUBJECTS.includes(subject)) return { speed: measured, latency: undefined }
        return { speed: measured, latency: await loadAt(rate, { port: proxy.port, headers: proxy.headers, seconds }) }
      }),
    )
    push(figures.speeds, subject, speed)
    if (latency) push(figures.latencies, subject, latency)
    if (subject === 'banyan') directRate = speed.requestsPerSecond / 2
    console.error(`${name}: ${titleOf(subject).padEnd(20)} ${lineOf(speed)}`)
  }
  const rate = directRate ?? Number.NaN
  push(figures.latencies, 'direct', await twice('direct', () => loadAt(rate, { port: originPort, headers: {}, seconds })))
}

function lineOf({ requestsPerCpuSecond, requestsPerSecond, p50Ms, p99Ms, rssMb, busy }: Speed): string {
  const cost = `${figure(requestsPerCpuSecond).padStart(8)} requests a CPU-second, ${figure(requestsPerSecond).padStart(8)}/s`
  return `${cost}, p50 ${figure(p50Ms)} ms, p99 ${figure(p99Ms)} ms, ${figure(rssMb)} MB, core ${Math.round(busy * 100)} % busy`
}

/** The same moments in each round and for each contestant. */
function loadAt(ratePerSecond: number, target: Pick<LoadTask, 'port' | 'headers' | 'seconds'>): Promise<LoadResult> {
  const task: LoadTask = { ...target, ratePerSecond, connections: CONNECTIONS, core: LOAD_CORE, seed: 7 }
  return runContestant<LoadResult>('gateway/load-child.ts', task, 120_000)
}

async function reloadsRound(figures: GatewayFigures, { place, seconds, name }: At): Promise<void> {
  for (const routes of RELOAD_ROUTES) {
    const reloads: Reloads = await twice('reloads', () => measureReloads(routes, place, seconds))
    push(figures.reloads, String(routes), reloads)
    console.error(`${name}: ${routes} routes, 50 changes a second cost ${figure(reloads.lostShare * 100)} % of the throughput`)
  }
}

async function uploadRound(figures: GatewayFigures, { place, name }: At, bytes: number): Promise<void> {
  const upload = await twice('upload', () => measureUpload(bytes, place))
  figures.uploads.push(upload)
  console.error(
    `${name}: ${figure(bytes / 1_048_576)} MiB uploaded in ${figure(upload.seconds)} s, memory grew by ${figure(upload.rssGrowthMb)} MiB`,
  )
}

async function routesRound(figures: GatewayFigures, name: string): Promise<void> {
  for (const routes of ROUTES) {
    const task: RoutesTask = { routes, seed: 7 }
    const result = await twice('routes', () => runContestant<RoutesResult>('gateway/routes-child.ts', task, 300_000))
    push(figures.routes, String(routes), result)
    const { matchP50Us, matchP99Us, bytesPerRoute, reloadMs, pauseMs } = result
    const match = `match p50 ${figure(matchP50Us)} us, p99 ${figure(matchP99Us)} us`
    const reload = `reload ${figure(reloadMs)} ms, longest pause ${figure(pauseMs)} ms`
    console.error(`${name}: ${routes} routes: ${match}, ${figure(bytesPerRoute)} bytes a route, ${reload}`)
  }
}

async function profile(place: Place, seconds: number): Promise<void> {
  for (const subject of ['banyan', 'banyan-full']) {
    const profile = await withProxy(
      subject,
      place,
      async (proxy) => {
        proxy.contestant?.go()
        await load(proxy, seconds + 1)
        return proxy.contestant?.heard<Profile>('profile')
      },
      { profileSeconds: seconds },
    )
    for (const part of ['functions', 'files'] as const) {
      console.log(`\n${titleOf(subject)}, ${seconds} s under load, share of its own time by ${part}\n`)
      for (const { what, share } of profile?.[part] ?? []) console.log(`${(share * 100).toFixed(1).padStart(5)} %  ${what}`)
    }
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  map.set(key, [...(map.get(key) ?? []), value])
}

/** @throws {RangeError} for a machine on which this cannot be measured */
function assertMachine(): void {
  if (process.platform !== 'linux')
    throw new RangeError(`cannot run the benchmark: this is ${process.platform}, wanted Linux with its /proc`)
  if (cpus().length < 2)
    throw new RangeError('cannot run the benchmark: this machine has 1 core, wanted one for the proxy and one for the load')
  for (const [program, where] of [
    ['wrk', 'wrk'],
    ['taskset', 'util-linux'],
    ['setpriv', 'util-linux'],
  ] as const)
    if (programFile(program) === undefined)
      throw new RangeError(`cannot run the benchmark: there is no ${program}; apt-get install ${where}`)
}
