import { connect } from 'node:net'
import { type Logger, messageOf, sleep, type World } from '@banyan/core'
import { Agent, request } from 'undici'
import type { CheckStatus } from './consul-json.ts'
import type { CheckKind, HttpCheck, TcpCheck } from './registry-records.ts'
import type { RegistryState } from './registry-state.ts'

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

/** Creates a {@link CheckRunner}. */
export function checkRunner(options: { world: World; log: Logger; report: (checkId: string, finding: Finding) => void }): CheckRunner {
  const { world, log, report } = options
  const running = new Map<string, { kind: CheckKind; stop: AbortController }>()
  const strict = new Agent({ keepAliveTimeout: 1 })
  const lax = new Agent({ keepAliveTimeout: 1, connect: { rejectUnauthorized: false } })

  async function run(checkId: string, kind: HttpCheck | TcpCheck, signal: AbortSignal): Promise<void> {
    let pauseMs = Math.min(kind.intervalMs, firstWithinMs) * world.random()
    let last: CheckStatus | undefined
    while (!signal.aborted) {
      // Rejects only when stopped, and then the loop ends.
      await sleep(world, pauseMs, signal).catch(() => undefined)
      if (signal.aborted) return
      const finding = await within(world, kind.timeoutMs, signal, (inTime) =>
        kind.type === 'tcp' ? tryTcp(kind, inTime) : tryHttp(kind, kind.skipTlsVerify ? lax : strict, inTime),
      )
      if (signal.aborted) return
      if (finding.status !== last)
        log.info({ check: checkId, status: finding.status }, `check "${checkId}" is ${finding.status}: ${finding.output.slice(0, 200)}`)
      last = finding.status
      report(checkId, finding)
      pauseMs = kind.intervalMs
    }
  }

  return {
    sync(state) {
      const wanted = new Map<string, HttpCheck | TcpCheck>()
      for (const { checks } of state.entries.values()) {
        for (const { id, kind } of checks) if (kind.type === 'http' || kind.type === 'tcp') wanted.set(id, kind)
      }
      for (const [id, { kind, stop }] of running) {
        if (wanted.get(id) === kind) continue
        stop.abort()
        running.delete(id)
      }
      for (const [id, kind] of wanted) {
        if (running.has(id)) continue
        const stop = new AbortController()
        running.set(id, { kind, stop })
        void run(id, kind, stop.signal)
      }
    },
    async stop() {
      for (const { stop } of running.values()) stop.abort()
      running.clear()
      await Promise.all([strict.destroy(), lax.destroy()])
    },
  }
}

/** Runs a check; taking too long or failing in any way is a finding too. */
async function within(
  world: World,
  timeoutMs: number,
  stopped: AbortSignal,
  check: (signal: AbortSignal) => Promise<Finding>,
): Promise<Finding> {
  const controller = new AbortController()
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
    return { status: 'critical', output: late ? `no answer within ${timeoutMs} ms` : messageOf(error) }
  } finally {
    timer.cancel()
    stopped.removeEventListener('abort', stop)
  }
}

async function tryHttp({ url, method, headers, body }: HttpCheck, dispatcher: Agent, signal: AbortSignal): Promise<Finding> {
  const lists = Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, [...values]]))
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
