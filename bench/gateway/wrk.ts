import { startProgram } from './program.ts'

export interface WrkResult {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface WrkOptions {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly core: number
  readonly headers: Readonly<Record<string, string>>
}

/** Runs `wrk`: so many connections, the next request when the answer is there. @throws {Error} for any answer but 200, and any connection that fails */
export async function wrk({ url, connections, seconds, core, headers }: WrkOptions): Promise<WrkResult> {
  const given = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const text = await startProgram(['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...given, url], core).ended()
  const trouble = /Non-2xx or 3xx responses: .*|Socket errors: .*/.exec(text)?.[0]
  if (trouble !== undefined) throw new Error(`wrk on ${url}: ${trouble}`)
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1]),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    p50Ms: quantile(text, 50),
    p99Ms: quantile(text, 99),
  }
}

function quantile(text: string, percent: number): number {
  const [, value, unit = ''] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(text) ?? []
  return Number(value) * ({ us: 0.001, ms: 1, s: 1_000 }[unit] ?? Number.NaN)
}
