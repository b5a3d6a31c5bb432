import { connect, type Socket } from 'node:net'
import { manualWorld } from '@banyan/core'
import { settingsOfContestant, tell } from '../contestant.ts'
import { pin } from './pin.ts'

// A load of a given rate in a process of its own: requests are due at random moments (Poisson), whether or not those before are
// answered, and a latency counts from when its request was due. wrk sends the next request when the answer is there, so it has no rate.

export interface LoadTask {
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  readonly ratePerSecond: number
  /** Counted; a second before is not. */
  readonly seconds: number
  readonly connections: number
  readonly core: number
  readonly seed: number
}

export interface LoadResult {
  readonly ratePerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly answered: number
}

const WARM_UP_MS = 1_000
/** The longest time that this process sleeps, so that the origin on the same core has its turn; what it adds, it adds to all. */
const NAP_MS = 0.03
const LAST_ANSWERS_MS = 500
/** What may be missing in the end: requests under way. */
const LEAST_ANSWERED = 0.9

const task = settingsOfContestant<LoadTask>()
pin(process.pid, task.core)
await tell('result', await load())
process.exit(0)

interface Line {
  readonly socket: Socket
  text: string
  /** When the request that it carries was due. */
  due: number
}

async function load(): Promise<LoadResult> {
  const { random } = manualWorld({ seed: task.seed })
  const meanMs = 1_000 / task.ratePerSecond
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const { issue, latencies } = await lines()
  const startedAt = performance.now()
  const countedFrom = startedAt + WARM_UP_MS
  const endsAt = countedFrom + task.seconds * 1_000
  let due = startedAt
  let issued = 0

  await new Promise<void>((resolve) => {
    function turn(): void {
      const now = performance.now()
      for (; due <= now && due < endsAt; due -= Math.log(1 - random()) * meanMs) {
        issue(due, due >= countedFrom)
        issued += due >= countedFrom ? 1 : 0
      }
      if (now > endsAt + LAST_ANSWERS_MS) resolve()
      else {
        Atomics.wait(cell, 0, 0, Math.max(0, Math.min(NAP_MS, due - now)))
        setImmediate(turn)
      }
    }
    turn()
  })
  if (latencies.length < issued * LEAST_ANSWERED)
    throw new Error(
      `of ${issued} requests at ${Math.round(task.ratePerSecond)}/s only ${latencies.length} were answered: the rate is too high here`,
    )
  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { ratePerSecond: task.ratePerSecond, p50Ms: at(0.5), p99Ms: at(0.99), answered: latencies.length }
}

/** Connections that each carry one request at a time; a request waits when none is free. */
async function lines(): Promise<{ issue: (due: number, isCounted: boolean) => void; latencies: number[] }> {
  const head = Object.entries(task.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const request = `GET /hello HTTP/1.1\r\nHost: 127.0.0.1:${task.port}\r\n${head.join('')}\r\n`
  const latencies: number[] = []
  const idle: Line[] = []
  const waiting: { due: number; isCounted: boolean }[] = []
  const uncounted = Number.NEGATIVE_INFINITY

  function send(line: Line, due: number, isCounted: boolean): void {
    line.due = isCounted ? due : uncounted
    line.text = ''
    line.socket.write(request)
  }
  function done(line: Line): void {
    if (line.due !== uncounted) latencies.push(performance.now() - line.due)
    const next = waiting.shift()
    if (next) send(line, next.due, next.isCounted)
    else idle.push(line)
  }
  for (let count = 0; count < task.connections; count += 1) {
    const line: Line = { socket: await open(task.port), text: '', due: uncounted }
    line.socket.on('data', (data: string) => {
      line.text += data
      if (isWhole(line.text)) done(line)
    })
    idle.push(line)
  }
  return {
    latencies,
    issue(due, isCounted) {
      const line = idle.pop()
      if (line) send(line, due, isCounted)
      else waiting.push({ due, isCounted })
    },
  }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.setEncoding('latin1').once('error', reject)
    socket.once('close', () => fail(new Error(`${port} closed a connection under load`)))
  })
}

/** @throws {Error} for an answer that is not 200, or has no length */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  if (!text.startsWith('HTTP/1.1 200 ')) fail(new Error(`the answer under load is ${JSON.stringify(text.slice(0, 80))}`))
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end + 2))?.[1]
  if (length === undefined) fail(new Error('the answer under load has no length'))
  return text.length >= end + 4 + Number(length)
}

function fail(error: Error): void {
  console.error(error)
  process.exit(1)
}
