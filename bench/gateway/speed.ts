import type { GatewayTask } from './child.ts'
import { check, type Place, type RunningProxy, startProxy } from './contestants.ts'
import { processorTime, residentBytes } from './process-stat.ts'
import { type WrkResult, wrk } from './wrk.ts'

export const CONNECTIONS = 50
/** The proxy has this core, load and origin have the other. */
export const PROXY_CORE = 0
export const LOAD_CORE = 1
/** Until what matters is compiled: so many requests, in pieces of this length, but not more than so many pieces. */
const WARM_UP = { requests: 40_000, pieceSeconds: 1, pieces: 8 }

/** What one contestant did in one round. */
export interface Speed {
  /** Of the proxy's own processor time: says the same whether it or the load was what held the other up. */
  readonly requestsPerCpuSecond: number
  /** The part of that time that the kernel took: what reading, writing and being woken cost, whoever asks for it. Microseconds a request. */
  readonly kernelUs: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** After the load. */
  readonly rssMb: number
  /** Share of its core that the proxy used. */
  readonly busy: number
}

/** Starts a contestant, warms it up and does `work` with it. */
export async function withProxy<T>(
  subject: string,
  place: Place,
  work: (proxy: RunningProxy) => Promise<T>,
  more: Partial<GatewayTask> = {},
): Promise<T> {
  const proxy = await startProxy(subject, place, more)
  try {
    await check(subject, proxy)
    await warmUp(proxy)
    return await work(proxy)
  } finally {
    await proxy.stop()
  }
}

async function warmUp(proxy: RunningProxy): Promise<void> {
  for (let piece = 0, requests = 0; piece < WARM_UP.pieces && requests < WARM_UP.requests; piece += 1)
    requests += (await load(proxy, WARM_UP.pieceSeconds)).requests
}

/** Loads a proxy for so many seconds and says what it did, and at what cost. */
export async function measureSpeed(proxy: RunningProxy, seconds: number): Promise<Speed> {
  const before = processorTime(proxy.pid)
  const { requests, requestsPerSecond, p50Ms, p99Ms } = await load(proxy, seconds)
  const after = processorTime(proxy.pid)
  const system = after.system - before.system
  const spent = after.user - before.user + system
  const took = requests / requestsPerSecond
  return {
    requestsPerCpuSecond: requests / spent,
    kernelUs: (system / requests) * 1_000_000,
    requestsPerSecond,
    p50Ms,
    p99Ms,
    rssMb: residentBytes(proxy.pid) / 1_048_576,
    busy: spent / took,
  }
}

/** As many requests as it takes, for so many seconds. */
export function load({ port, headers }: RunningProxy, seconds: number): Promise<WrkResult> {
  return wrk({ url: `http://127.0.0.1:${port}/hello`, connections: CONNECTIONS, seconds, core: LOAD_CORE, headers })
}
