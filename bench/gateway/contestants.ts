import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type Contestant, startContestant } from '../contestant.ts'
import { freePort } from '../rpc/free-port.ts'
import type { GatewayTask, Listening } from './child.ts'
import { type Native, natives, nginxOrigin } from './native.ts'
import { programFile, startProgram } from './program.ts'
import { HELLO } from './subject.ts'

/** A running proxy. */
export interface RunningProxy extends Listening {
  /** Its process, when it is a Node program. */
  readonly contestant?: Contestant
  /** Whether its process still runs. */
  isAlive(): boolean
  stop(): Promise<void>
}

/** Where proxies run and what they forward to. */
export interface Place {
  /** For configuration files; gone after the run. */
  readonly folder: string
  readonly core: number | 'any'
  readonly originPort: number
  readonly isHasty?: boolean
}

export const NODE_SUBJECTS: readonly string[] = ['banyan', 'banyan-full', 'fastify-http-proxy', 'fast-gateway', 'http-proxy', 'node-http']

/** How a subject is called where people read it. */
export const TITLES: Readonly<Record<string, string>> = {
  banyan: 'ours, bare',
  'banyan-full': 'ours, full policy',
  'fastify-http-proxy': '@fastify/http-proxy',
  'node-http': 'node:http hello',
}

export function titleOf(subject: string): string {
  return TITLES[subject] ?? subject
}

/** Those of nginx, HAProxy and Caddy that are here, with their versions; and those that are not. */
export function nativesHere(): { here: Readonly<Record<string, string>>; missing: readonly string[] } {
  const found = Object.entries(natives).map(([name, native]) => [name, programFile(native.program)] as const)
  const here = found.flatMap(([name, file]) =>
    file === undefined ? [] : [[name, versionOf(file, natives[name]?.versionFlag ?? '-v')] as const],
  )
  return { here: Object.fromEntries(here), missing: found.flatMap(([name, file]) => (file === undefined ? [name] : [])) }
}

const TIMEOUT_MS = 900_000

/** Starts a proxy and waits until it listens. */
export async function startProxy(subject: string, place: Place, more: Partial<GatewayTask> = {}): Promise<RunningProxy> {
  const native = Object.hasOwn(natives, subject) ? natives[subject] : undefined
  if (native) return startNative(native, place)
  const { core, originPort, isHasty = false } = place
  const task: GatewayTask = { subject, originPort, isHasty, moreRoutes: 0, ...(core !== 'any' && { core }), ...more }
  const contestant = startContestant('gateway/child.ts', task, TIMEOUT_MS)
  const listening = await contestant.heard<Listening>('listening')
  return { ...listening, contestant, isAlive: () => isAlive(listening.pid), stop: () => contestant.kill() }
}

/** The origin that all proxies forward to: nginx where it is installed, else a `node:http` that does nothing else. */
export async function startOrigin(place: Omit<Place, 'originPort'>): Promise<{ readonly kind: string; readonly proxy: RunningProxy }> {
  const here = programFile(nginxOrigin.program) !== undefined
  const anywhere = { ...place, originPort: 0 }
  return here
    ? { kind: 'nginx', proxy: await startNative(nginxOrigin, anywhere) }
    : { kind: 'node:http', proxy: await startProxy('node-http', anywhere) }
}

/** @throws {Error} when the proxy does not hand the origin's answer on: what answers wrongly is not measured */
export async function check(subject: string, { port, headers }: RunningProxy): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/hello`, { headers })
  const body = await response.text()
  if (response.status !== 200 || body !== HELLO) throw new Error(`${subject} answered ${response.status} ${JSON.stringify(body)}`)
}

async function startNative(native: Native, { folder, core, originPort, isHasty = false }: Place): Promise<RunningProxy> {
  const file = programFile(native.program)
  if (file === undefined) throw new Error(`${native.program} is not installed`)
  const port = await freePort()
  const own = join(folder, `${native.program}-${port}`)
  mkdirSync(own, { recursive: true })
  const { args, env } = native.prepare({ folder: own, port, originPort, isHasty })
  const program = startProgram([file, ...args], core, env)
  let over = false
  program.ended().then(
    () => {
      over = true
    },
    () => {
      over = true
    },
  )
  await listens(port, () => {
    if (over) throw new Error(`${native.program} ended; it said:\n${program.said()}`)
  })
  return { port, pid: program.pid, headers: {}, isAlive: () => !over, stop: () => program.stop() }
}

/** Resolves when a port takes connections; `look` is asked in between, and may throw. */
async function listens(port: number, look: () => void): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    look()
    if (await takes(port)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing listens on port ${port} after 30 s`)
}

function takes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function versionOf(file: string, flag: string): string {
  const text = execFileSync('sh', ['-c', '"$0" "$1" 2>&1', file, flag], { encoding: 'utf8' })
  return /\d+\.\d+\.\d+/.exec(text)?.[0] ?? 'of an unknown version'
}
