import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { manualWorld, silentLogger } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { gateway, type RouteConfig } from '@banyan/gateway'
// The table is no part of what the package offers.
import { type RouteKey, routeTable } from '../../packages/gateway/src/route-table.ts'
import { settingsOfContestant, tell } from '../contestant.ts'
import { median } from '../report.ts'

// What many routes cost, in a process of its own: npm run bench -- gateway starts it.

export interface RoutesTask {
  readonly routes: number
  readonly seed: number
}

export interface RoutesResult {
  readonly matchP50Us: number
  readonly matchP99Us: number
  /** Heap of a running gateway for each route, its part of the configuration too. */
  readonly bytesPerRoute: number
  /** From `reload()` to the new routes in force: file read, checked, compiled. */
  readonly reloadMs: number
  /** The longest time that nothing else ran meanwhile. */
  readonly pauseMs: number
}

const MATCHES = 200_000
/** The middle one counts, and the longest pause of all. */
const RELOADS = 3

const { routes: count, seed } = settingsOfContestant<RoutesTask>()
const { random } = manualWorld({ seed })
setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
const folder = mkdtempSync(join(tmpdir(), 'banyan-bench-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

const running = await memoryAndReload()
await tell('result', { ...matches(), ...running } satisfies RoutesResult)
process.exit(0)

/** A third each: a prefix, one with a parameter, one with methods of its own. */
function pathOf(index: number): string {
  const service = `/api/v${index % 3}/service-${index}`
  return index % 3 === 1 ? `${service}/items/{itemId}` : service
}

function routeOf(index: number): RouteConfig {
  return { path: pathOf(index), url: 'http://127.0.0.1:9', strip_path: true, ...(index % 3 === 2 && { methods: ['GET', 'POST'] }) }
}

function matches(): Pick<RoutesResult, 'matchP50Us' | 'matchP99Us'> {
  const keys = Array.from({ length: count }, (_, index): RouteKey => {
    return { path: pathOf(index), exact: false, methods: routeOf(index).methods ?? [], hosts: [] }
  })
  const table = routeTable(keys)
  const questions = Array.from({ length: 4_096 }, () => {
    const index = Math.floor(random() * count)
    // One in twenty is a path that no route takes.
    const path = random() < 0.05 ? `/nowhere/${index}` : `${pathOf(index).replace('{itemId}', String(index))}/orders/42`
    return { method: 'GET', host: 'shop.example', path, query: '', rawHeaders: [] }
  })
  const times = new Float64Array(MATCHES)
  let found = 0
  // The first half compiles it.
  for (let n = -MATCHES; n < MATCHES; n += 1) {
    const question = questions[(n + MATCHES) % questions.length]
    if (!question) throw new Error('wanted a question')
    const before = process.hrtime.bigint()
    const { route } = table.match(question)
    const after = process.hrtime.bigint()
    if (route) found += 1
    if (n >= 0) times[n] = Number(after - before) / 1_000
  }
  if (found < MATCHES || found === 2 * MATCHES) throw new Error(`${found} of ${2 * MATCHES} paths found a route, wanted nineteen in twenty`)
  times.sort()
  return { matchP50Us: times[MATCHES / 2] ?? Number.NaN, matchP99Us: times[Math.floor(MATCHES * 0.99)] ?? Number.NaN }
}

async function memoryAndReload(): Promise<Pick<RoutesResult, 'bytesPerRoute' | 'reloadMs' | 'pauseMs'>> {
  const file = join(folder, 'gateway.yaml')
  const write = (much: number) =>
    writeFileSync(file, JSON.stringify({ routes: Array.from({ length: much }, (_, index) => routeOf(index)) }))
  write(1)
  const front = gateway({ file, registry: staticRegistry({}), host: '127.0.0.1', port: 0, log: silentLogger })
  await front.start()
  const before = heap()
  write(count)
  const times: number[] = []
  const pause = longestPause()
  for (let n = 0; n < RELOADS; n += 1) {
    const startedAt = performance.now()
    await front.reload()
    times.push(performance.now() - startedAt)
  }
  const pauseMs = await pause.end()
  const bytesPerRoute = (heap() - before) / (count - 1)
  await front.stop()
  return { bytesPerRoute, reloadMs: median(times), pauseMs }
}

function heap(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

/** Watches how long the event loop is kept from its next turn. */
function longestPause(): { end(): Promise<number> } {
  let last = performance.now()
  let longest = 0
  let isOver = false
  function turn(): void {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  return {
    async end() {
      await new Promise((resolve) => setImmediate(resolve))
      isOver = true
      return longest
    },
  }
}
