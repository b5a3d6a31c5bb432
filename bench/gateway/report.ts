import { median, writeReport } from '../report.ts'
import { alone, beside, figure, note, printVerdicts, series, type Verdict } from '../verdict.ts'
import { titleOf } from './contestants.ts'
import type { LoadResult } from './load-child.ts'
import { RELOAD_ROUTES, type Reloads } from './reloads.ts'
import type { RoutesResult } from './routes-child.ts'
import type { Speed } from './speed.ts'
import type { Upload } from './upload.ts'

/** What all rounds gave, by contestant; `direct` is the origin without a proxy; routes and reloads by the number of routes. */
export interface GatewayFigures {
  readonly speeds: Map<string, Speed[]>
  readonly latencies: Map<string, LoadResult[]>
  readonly reloads: Map<string, Reloads[]>
  readonly uploads: Upload[]
  readonly routes: Map<string, RoutesResult[]>
}

export interface GatewaySettings {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  readonly origin: string
  readonly natives: { readonly here: Readonly<Record<string, string>>; readonly missing: readonly string[] }
}

/** Prints the lines; writes the report of a whole run. */
export function report(
  figures: GatewayFigures,
  settings: GatewaySettings,
  { isWhole, failures }: { isWhole: boolean; failures: readonly string[] },
): void {
  const verdicts = [
    ...(figures.speeds.size > 0 ? [...speedVerdicts(figures, settings), ...latencyVerdicts(figures)] : []),
    ...(figures.reloads.size > 0 ? reloadVerdicts(figures) : []),
    ...(figures.uploads.length > 0 ? [uploadVerdict(figures)] : []),
    ...(figures.routes.size > 0 ? routesVerdicts(figures) : []),
    ...(figures.speeds.size > 0 ? [...figures.speeds.keys()].map((subject) => contestantLine(figures, subject)) : []),
  ]
  const { rounds, connections, origin } = settings
  console.log(`\na small GET, ${connections} connections, proxy on one core, wrk and ${origin} on another, median of ${rounds} rounds\n`)
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (isWhole) console.log(`\n${writeReport('gateway', { settings, verdicts, ...asJson(figures), met, failures })}`)
}

function speedVerdicts(figures: GatewayFigures, { natives: { here, missing } }: GatewaySettings): Verdict[] {
  const rate = (subject: string) => middle(figures.speeds.get(subject), (speed) => speed.requestsPerCpuSecond)
  const unit = '/CPU-s'
  const [bare, full, fastify] = [rate('banyan'), rate('banyan-full'), rate('fastify-http-proxy')]
  const nginx: Verdict[] =
    'nginx' in here
      ? [
          beside('bare proxy', bare, 'nginx', rate('nginx'), { atLeast: 0.65 }, unit),
          {
            ...note('bare proxy, stretch 0.9x', bare, unit),
            theirs: `nginx ${figure(rate('nginx'))}${unit}`,
            ratio: `${figure(bare / rate('nginx'))}x`,
          },
        ]
      : []
  return [
    beside('bare proxy', bare, '@fastify/http-proxy', fastify, { atLeast: 2 }, unit),
    beside('bare proxy', bare, 'fast-gateway', rate('fast-gateway'), { atLeast: 2 }, unit),
    ...nginx,
    ...missing.map(
      (name): Verdict => ({
        what: 'bare proxy',
        ours: `${figure(bare)}${unit}`,
        theirs: `${name} is not installed (apt-get install ${name})`,
      }),
    ),
    beside('full policy', full, '@fastify/http-proxy, bare', fastify, { atLeast: 1 }, unit),
  ]
}

/** Above the origin's own latency in the same round; every request of both was due at the same moments. */
function latencyVerdicts({ latencies }: GatewayFigures): Verdict[] {
  const direct = latencies.get('direct') ?? []
  const added = (subject: string, key: 'p50Ms' | 'p99Ms') =>
    median((latencies.get(subject) ?? []).map((result, round) => result[key] - (direct[round]?.[key] ?? Number.NaN)))
  const others = [...latencies.keys()].filter((subject) => subject !== 'banyan' && subject !== 'direct')
  return [
    alone('added at half load, p50', added('banyan', 'p50Ms'), { atMost: 0.3 }, ' ms'),
    alone('added at half load, p99', added('banyan', 'p99Ms'), { atMost: 1.5 }, ' ms'),
    ...others.map((subject): Verdict => {
      const both = `p50 ${signed(added(subject, 'p50Ms'))} ms, p99 ${signed(added(subject, 'p99Ms'))} ms`
      const what = 'added at half load'
      return subject === 'banyan-full'
        ? { what: `${what}, full policy`, ours: both }
        : { what, ours: '', theirs: `${titleOf(subject)} ${both}` }
    }),
  ]
}

function signed(value: number): string {
  return value < 0 ? figure(value) : `+${figure(value)}`
}

function reloadVerdicts({ reloads }: GatewayFigures): Verdict[] {
  const lost = (routes: number) => middle(reloads.get(String(routes)), ({ lostShare }) => lostShare) * 100
  const [target = 0, ...more] = RELOAD_ROUTES
  const what = (routes: number) => `throughput lost by 50 changes/s of ${figure(routes)} routes`
  return [alone(what(target), lost(target), { atMost: 5 }, ' %'), ...more.map((routes) => note(what(routes), lost(routes), ' %'))]
}

function uploadVerdict({ uploads }: GatewayFigures): Verdict {
  const mib = (uploads[0]?.bytes ?? 0) / 1_048_576
  return alone(
    `memory that an upload of ${figure(mib)} MiB adds`,
    middle(uploads, (upload) => upload.rssGrowthMb),
    { atMost: 32 },
    ' MiB',
  )
}

function routesVerdicts({ routes }: GatewayFigures): Verdict[] {
  const of = (count: number, key: keyof RoutesResult) => middle(routes.get(String(count)), (result) => result[key])
  const counts = [...routes.keys()].map(Number)
  return [
    alone('match among 10,000 routes, p99', of(10_000, 'matchP99Us'), { atMost: 5 }, ' us'),
    beside(
      'memory a route, 10,000 of them',
      of(10_000, 'bytesPerRoute'),
      '1,000 of them',
      of(1_000, 'bytesPerRoute'),
      { atMost: 1.2 },
      ' bytes',
    ),
    ...counts.map((count): Verdict => {
      const match = `match p50 ${figure(of(count, 'matchP50Us'))} us, p99 ${figure(of(count, 'matchP99Us'))} us`
      const reload = `reload ${figure(of(count, 'reloadMs'))} ms, longest pause ${figure(of(count, 'pauseMs'))} ms`
      return { what: `${figure(count)} routes`, ours: `${match}; ${reload}` }
    }),
  ]
}

function contestantLine({ speeds }: GatewayFigures, subject: string): Verdict {
  const of = (key: keyof Speed) => middle(speeds.get(subject), (speed) => speed[key])
  const cost = `${figure(1_000_000 / of('requestsPerCpuSecond'))} CPU-us a request, ${figure(of('kernelUs'))} of them the kernel's`
  const rest = `${figure(of('requestsPerSecond'))}/s, p50 ${figure(of('p50Ms'))} ms, p99 ${figure(of('p99Ms'))} ms, ${figure(of('rssMb'))} MB`
  return { what: titleOf(subject), ours: cost, theirs: `${rest}, core ${Math.round(of('busy') * 100)} % busy` }
}

function middle<T>(rounds: readonly T[] = [], value: (round: T) => number): number {
  return median(rounds.map(value))
}

function asJson({ speeds, latencies, reloads, uploads, routes }: GatewayFigures): object {
  return {
    speed: seriesOf(speeds, ({ requestsPerCpuSecond, ...rest }) => ({
      requestsPerCpuSecond,
      cpuSecondsPer100k: 100_000 / requestsPerCpuSecond,
      ...rest,
    })),
    latencyAtHalfLoad: seriesOf(latencies, (result) => ({ ...result })),
    reloads: seriesOf(reloads, ({ calm, changing, lostShare }) => ({
      lostShare,
      calmPerSecond: calm.requestsPerSecond,
      changingPerSecond: changing.requestsPerSecond,
    })),
    upload: seriesOf(new Map([['ours', uploads]]), (upload) => ({ ...upload })),
    routes: seriesOf(routes, (result) => ({ ...result })),
  }
}

/** Each figure as it came in each round, and its median. */
function seriesOf<T>(all: ReadonlyMap<string, readonly T[]>, figures: (one: T) => Record<string, number>): object {
  return Object.fromEntries(
    [...all].map(([subject, rounds]) => {
      const lines = rounds.map(figures)
      const keys = Object.keys(lines[0] ?? {})
      return [subject, Object.fromEntries(keys.map((key) => [key, series(lines.map((line) => line[key] ?? Number.NaN))]))]
    }),
  )
}
