import { connect } from 'node:net'
import { type Logger, messageOf, sleep, type World } from '@banyan/core'
import { Agent, type Dispatcher, interceptors, request } from 'undici'
import { afterResult, noRun, statusAfter } from './check-thresholds.ts'
import type { CheckStatus } from './consul-json.ts'
import type { RegistryState } from './registry-index.ts'
import type { CheckRecord, HttpCheck, TcpCheck } from './registry-records.ts'
import { absentMs } from './registry-store.ts'

/** Runs the checks that a registry does itself. */
export interface CheckRunner {
  /** Starts and stops checks so that those of `state` run. */
  sync(state: RegistryState): void
  stop(): Promise<void>
}

/** What a check found. */
interface Finding {
  status: CheckStatus
  output: string
}

/** As much of an answer is kept as Consul does, characters. */
const outputLimit = 4_096
/** New checks run within this time, spread out, milliseconds. */
const firstWithinMs = 1_000

/** As many as Consul's checks follow. */
const mostRedirects = 10

/** A check that the registry runs. Its id alone does not tell it from others: two instances may have one of the same id. */
type OwnCheck = CheckRecord & { readonly kind: HttpCheck | TcpCheck; readonly serviceId: string | null }

interface RunnerOptions {
  world: World
  log: Logger
  /** `serviceId` is that of the instance whose check it is, `null` for the node's. */
  report: (check: { readonly serviceId: string | null; readonly checkId: string }, finding: Finding) => void
}

/** Creates a {@link CheckRunner}. */
export function checkRunner(options: RunnerOptions): CheckRunner {
  const running = new Map<string, { kind: HttpCheck | TcpCheck; stop: AbortController }>()
  // A connection of its own for each request: that one can be made is what is asked.
  const strict = new Agent({ keepAliveTimeout: 1 })
  const lax = new Agent({ keepAliveTimeout: 1, connect: { rejectUnauthorized: false } })
  const connections = (kind: HttpCheck) => (kind.skipTlsVerify ? lax : strict)

  return {
    sync(state) {
      const wanted = ownChecks(state)
      for (const [key, { kind, stop }] of running) {
        if (wanted.get(key)?.kind === kind) continue
        stop.abort()
        running.delete(key)
      }
      for (const [key, check] of wanted) {
        if (running.has(key)) continue
        const stop = new AbortController()
        running.set(key, { kind: check.kind, stop })
        void keepRunning(options, check, connections, stop.signal)
      }
    },
    async stop() {
      for (const { stop } of running.values()) stop.abort()
      running.clear()
      await Promise.all([strict.destroy(), lax.destroy()])
    },
  }
}

function ownChecks(state: RegistryState): Map<string, OwnCheck> {
  const found = new Map<string, OwnCheck>()
  for (const holder of [...state.entries.values(), ...state.nodes.values()]) {
    const serviceId = 'service' in holder ? holder.service.id : null
    for (const check of holder.checks) {
      const { id, kind } = check
      if (kind.type === 'http' || kind.type === 'tcp') found.set(JSON.stringify([serviceId, id]), { ...check, kind, serviceId })
    }
  }
  return found
}

/** Runs a check again and again until `signal` aborts, and reports what it comes to. */
async function keepRunning(
  { world, log, report }: RunnerOptions,
  { id, kind, serviceId, thresholds }: OwnCheck,
  connections: (kind: HttpCheck) => Agent,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = Math.min(kind.intervalMs, firstWithinMs) * world.random()
  let last: CheckStatus | undefined
  let run = noRun
  while (!signal.aborted) {
    // Rejects only when stopped, and then the loop ends.
    await sleep(world, pauseMs, signal).catch(() => undefined)
    if (signal.aborted) return
    const finding = await within(world, kind.timeoutMs, signal, (inTime) =>
      kind.type === 'tcp' ? tryTcp(kind, inTime) : tryHttp(kind, connections(kind), inTime),
    )
    if (signal.aborted) return
    pauseMs = finding ? kind.intervalMs : 0
    if (!finding) continue
    run = afterResult(run, finding.status)
    const status = statusAfter(run, finding.status, thresholds)
    if (status === undefined) continue
    if (status !== last) log.info({ check: id, status }, `check "${id}" is ${status}: ${loggable(kind, finding).slice(0, 200)}`)
    last = status
    report({ serviceId, checkId: id }, { ...finding, status })
  }
}

/** The output without what may be a secret in the address: a user's password, what stands behind the "?". */
function loggable(kind: HttpCheck | TcpCheck, { output }: Finding): string {
  if (kind.type === 'tcp') return output
  const { origin, pathname } = new URL(kind.url)
  return output.replaceAll(kind.url, () => `${origin}${pathname}`)
}

/**
 * Runs a check; taking too long or failing in any way is a finding too. `undefined` when its time was over long before anybody looked: the process
 * was paused, and an answer may have been there all the while.
 */
async function within(
  world: World,
  timeoutMs: number,
  stopped: AbortSignal,
  check: (signal: AbortSignal) => Promise<Finding>,
): Promise<Finding | undefined> {
  const controller = new AbortController()
  const endsAt = world.monotonic() + timeoutMs
  const stop = () => controller.abort()
  stopped.addEventListener('abort', stop, { once: true })
  let late = false
  const timer = world.after(timeoutMs, () => {
    late = true
    controller.abort()
  })
  try {
    return await check(controller.signal)
  } catch (error) {
    if (world.monotonic() - endsAt > absentMs) return undefined
    return { status: 'critical', output: late ? `no answer within ${timeoutMs} ms` : messageOf(error) }
  } finally {
    timer.cancel()
    stopped.removeEventListener('abort', stop)
  }
}

async function tryHttp(check: HttpCheck, agent: Agent, signal: AbortSignal): Promise<Finding> {
  const { url, method, headers, body } = check
  const given = Object.entries(headers).map(([name, values]) => [name.toLowerCase(), [...values]])
  const lists = { 'user-agent': 'Consul Health Check', accept: 'text/plain, text/*, */*', ...Object.fromEntries(given) }
  const dispatcher: Dispatcher = check.followRedirects ? agent.compose(interceptors.redirect({ maxRedirections: mostRedirects })) : agent
  const response = await request(url, { method, headers: lists, body: body || null, dispatcher, signal })
  let text = ''
  for await (const chunk of response.body) {
    text += String(chunk)
    if (text.length >= outputLimit) break
  }
  const code = response.statusCode
  const status = code >= 200 && code < 300 ? 'passing' : code === 429 ? 'warning' : 'critical'
  return { status, output: `HTTP ${method} ${url}: ${code} Output: ${text}`.slice(0, outputLimit) }
}

function tryTcp({ host, port }: TcpCheck, signal: AbortSignal): Promise<Finding> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.destroy()
      resolve({ status: 'passing', output: `TCP connect ${host}:${port}: Success` })
    })
  })
}
