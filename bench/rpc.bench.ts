import { failures, startContestant, twice } from './contestant.ts'
import { readOptions } from './options.ts'
import { installPeers } from './peers.ts'
import { median, writeReport } from './report.ts'
import type { RpcResult, RpcTask, ServerCpu } from './rpc/child.ts'
import type { Address } from './rpc/subject.ts'
import { beside, figure, note, printVerdicts, series, type Verdict } from './verdict.ts'

const IN_FLIGHT = 50
const SECONDS = 3

const HELP = `npm run bench -- rpc [--rounds 5] [--quick]

Calls a second between one client process and one server process, ${IN_FLIGHT} in flight, and the latency of a call:
  banyan-http            our client to our service: contract on both sides, deadline, trace context (each call has ids of its own, unsampled),
                         retry, breaker, bulkhead, balancing
  banyan-framed          the same over the framed transport, without telemetry, as Moleculer comes; banyan-framed-traced: with trace context
  undici-node            undici to node:http, nothing else; undici-hono: to Hono
  moleculer              its TCP transporter, with its validator
  nest                   @nestjs/microservices over TCP, nothing validated
  grpc                   @grpc/grpc-js, with a deadline for each call
All send an order of 140 bytes of JSON and get 30 back; the handler does nothing. ${SECONDS} s each, in turn, after 30,000 calls to warm up.
The processor time of a call, on each side, stands beside: it says most where the machine has other work too.
About 6 minutes for 5 rounds; --quick takes one round of a second each.

Writes bench/results/rpc.json; --quick writes nothing. Fails when a target is missed.`

const SUBJECTS = ['banyan-http', 'undici-node', 'banyan-framed', 'moleculer', 'banyan-framed-traced', 'undici-hono', 'nest', 'grpc']

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP)
  if (!options) return
  const { rounds, quick } = options
  installPeers()
  const results = new Map<string, Measured[]>(SUBJECTS.map((subject) => [subject, []]))
  for (let round = 1; round <= rounds; round += 1) {
    for (const subject of SUBJECTS) {
      const result = await twice(subject, () => measure(subject, quick ? 1 : SECONDS))
      results.get(subject)?.push(result)
      const { callsPerSecond, p50Ms, p99Ms, clientCpuUs, serverCpuUs } = result
      const rest = `p50 ${figure(p50Ms)} ms, p99 ${figure(p99Ms)} ms; CPU a call ${figure(clientCpuUs)} + ${figure(serverCpuUs)} us`
      console.error(`round ${round} of ${rounds}: ${subject.padEnd(20)} ${figure(callsPerSecond).padStart(8)}/s, ${rest}`)
    }
  }
  report(results, { rounds, quick })
}

/** With the server's share of the work. */
interface Measured extends RpcResult {
  readonly serverCpuUs: number
}

async function measure(subject: string, seconds: number): Promise<Measured> {
  const server = startContestant('rpc/child.ts', { subject, role: 'server' } satisfies RpcTask, 120_000)
  try {
    const address = await server.heard<Address>('listening')
    const task: RpcTask = { subject, role: 'client', address, inFlight: IN_FLIGHT, seconds }
    const client = startContestant('rpc/child.ts', task, 60_000)
    await client.heard('warm')
    server.go()
    const before = await server.heard<ServerCpu>('cpu')
    client.go()
    const result = await client.heard<RpcResult>('result')
    server.go()
    const after = await server.heard<ServerCpu>('cpu')
    await client.ended()
    return { ...result, serverCpuUs: (after - before) / result.calls }
  } finally {
    await server.kill()
  }
}

function report(results: ReadonlyMap<string, readonly Measured[]>, { rounds, quick }: { rounds: number; quick: boolean }): void {
  const of = (subject: string, key: keyof Measured) => (results.get(subject) ?? []).map((result) => result[key])
  const verdicts = judge((subject, key) => median(of(subject, key)))
  console.log(`\ncalls a second, ${IN_FLIGHT} in flight, one client and one server process, median of ${rounds} rounds\n`)
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const figures = (key: keyof Measured) => Object.fromEntries(SUBJECTS.map((subject) => [subject, series(of(subject, key))]))
  const measured = {
    callsPerSecond: figures('callsPerSecond'),
    p50Ms: figures('p50Ms'),
    p99Ms: figures('p99Ms'),
    ...{ clientCpuUs: figures('clientCpuUs'), serverCpuUs: figures('serverCpuUs') },
  }
  console.log(
    `\n${writeReport('rpc', { settings: { rounds, inFlight: IN_FLIGHT, seconds: SECONDS }, verdicts, ...measured, met, failures })}`,
  )
}

function judge(value: (subject: string, key: keyof Measured) => number): Verdict[] {
  const rate = (subject: string) => value(subject, 'callsPerSecond')
  const [http, framed] = [rate('banyan-http'), rate('banyan-framed')]
  const latency = (subject: string) => `p50 ${figure(value(subject, 'p50Ms'))} ms, p99 ${figure(value(subject, 'p99Ms'))} ms`
  const cpu = (subject: string) => `CPU a call ${figure(value(subject, 'clientCpuUs'))} + ${figure(value(subject, 'serverCpuUs'))} us`
  return [
    beside('HTTP', http, 'undici to node:http', rate('undici-node'), { atLeast: 0.7 }, '/s'),
    beside('framed', framed, 'Moleculer TCP', rate('moleculer'), { atLeast: 1.5 }, '/s'),
    { ...note('framed, trace context on', rate('banyan-framed-traced'), '/s'), theirs: `Moleculer TCP ${figure(rate('moleculer'))}/s` },
    { ...note('HTTP', http, '/s'), theirs: `undici to Hono ${figure(rate('undici-hono'))}/s` },
    { ...note('framed', framed, '/s'), theirs: `NestJS TCP ${figure(rate('nest'))}/s` },
    { ...note('framed', framed, '/s'), theirs: `grpc-js ${figure(rate('grpc'))}/s` },
    ...SUBJECTS.map((subject): Verdict => ({ what: subject, ours: latency(subject), theirs: cpu(subject) })),
  ]
}
