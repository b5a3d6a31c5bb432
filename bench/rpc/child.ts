import { settingsOfContestant, tell } from '../contestant.ts'
import { type Address, ORDER, type Order, type RpcSubject, type Stock } from './subject.ts'

// One server or one client in a process of its own: npm run bench -- rpc starts two for each subject.

export type RpcTask = { readonly subject: string } & (
  | { readonly role: 'server' }
  | { readonly role: 'client'; readonly address: Address; readonly inFlight: number; readonly seconds: number }
)

export interface RpcResult {
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time that the client spent on a call: says most on a machine that is busy with other things too. */
  readonly clientCpuUs: number
  readonly calls: number
}

/** What a server's process has spent so far, microseconds of processor time. */
export type ServerCpu = number

const subjects: Readonly<Record<string, () => Promise<RpcSubject>>> = {
  'banyan-http': async () => (await import('./banyan.ts')).banyan('http', true),
  'banyan-framed': async () => (await import('./banyan.ts')).banyan('framed', false),
  'banyan-framed-traced': async () => (await import('./banyan.ts')).banyan('framed', true),
  'undici-node': async () => (await import('./undici.ts')).undiciTo('node'),
  'undici-hono': async () => (await import('./undici.ts')).undiciTo('hono'),
  moleculer: async () => (await import('./moleculer.ts')).moleculer,
  nest: async () => (await import('./nest.ts')).nest,
  grpc: async () => (await import('./grpc.ts')).grpc,
}

/** Compiled and connected before time runs: so many calls, in pieces of this length, but not longer than so many pieces. */
const WARM_UP = { calls: 30_000, pieceMs: 1_000, pieces: 8 }

const task = settingsOfContestant<RpcTask>()
const load = subjects[task.subject]
if (!load) throw new RangeError(`there is no subject "${task.subject}"`)
const subject = await load()

if (task.role === 'server') {
  process.on('message', () => void tell('cpu', cpuUs() satisfies ServerCpu))
  await tell('listening', await subject.serve())
} else {
  const call = await subject.connect(task.address)
  await check(call)
  for (let piece = 0, calls = 0; piece < WARM_UP.pieces && calls < WARM_UP.calls; piece += 1)
    calls += (await run(call, task.inFlight, WARM_UP.pieceMs)).calls
  await tell('warm', true)
  await new Promise((resolve) => process.once('message', resolve))
  await tell('result', await run(call, task.inFlight, task.seconds * 1_000))
  process.exit(0)
}

/** A subject that answers wrongly is not measured. */
async function check(call: (order: Order) => Promise<Stock>): Promise<void> {
  const { product, left } = await call(ORDER)
  if (product !== 'mug' || left !== 997) throw new Error(`${task.subject} answered ${JSON.stringify({ product, left })}`)
}

/** Keeps `inFlight` calls on their way for `durationMs`. */
async function run(call: (order: Order) => Promise<Stock>, inFlight: number, durationMs: number): Promise<RpcResult> {
  const latencies: number[] = []
  const [startedAt, cpuBefore] = [performance.now(), cpuUs()]
  const endsAt = startedAt + durationMs
  async function worker(): Promise<void> {
    for (let before = performance.now(); before < endsAt; ) {
      const { left } = await call(ORDER)
      if (left !== 997) throw new Error(`${task.subject} answered ${left} left`)
      const after = performance.now()
      latencies.push(after - before)
      before = after
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  const seconds = (performance.now() - startedAt) / 1_000
  const [calls, spentUs] = [latencies.length, cpuUs() - cpuBefore]
  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { calls, callsPerSecond: calls / seconds, p50Ms: at(0.5), p99Ms: at(0.99), clientCpuUs: spentUs / calls }
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}
