// Clients: keep so many requests under way over kept connections, each once. node load.ts <json: LoadTask>
import { Agent, request } from 'node:http'

export interface LoadTask {
  /** Where to, in turn. */
  readonly urls: readonly string[]
  readonly connections: number
  /** Stops after so many, or when it is told to. */
  readonly requests: number
  /** The share of POSTs, 0 to 1; each has an id. */
  readonly posts: number
  /** At most so many a second. */
  readonly perSecond: number
}

export interface LoadResult {
  /** How often each outcome was seen, by method: `GET 200`, `POST ECONNRESET`. */
  readonly outcomes: Readonly<Record<string, number>>
  /** The ids of the POSTs that were answered with 200, and of all. */
  readonly done: readonly string[]
  readonly sent: readonly string[]
}

/** So far, each time it is asked. */
export interface LoadProgress {
  readonly count: number
}

// Written by the trial.
const task = JSON.parse(process.argv[2] ?? '') as LoadTask
const agent = new Agent({ keepAlive: true, maxSockets: task.connections, scheduling: 'fifo' })
const outcomes = new Map<string, number>()
const [done, sent]: [string[], string[]] = [[], []]
let [count, begun, isOver] = [0, 0, false]
const startedAt = performance.now()

process.on('message', (order: { stop?: true; progress?: true }) => {
  if (order.stop) isOver = true
  if (order.progress) process.send?.({ count } satisfies LoadProgress)
})
process.once('disconnect', () => process.exit(0))

await Promise.all(Array.from({ length: task.connections }, worker))
process.send?.({ outcomes: Object.fromEntries(outcomes), done, sent } satisfies LoadResult, () => process.exit(0))

async function worker(): Promise<void> {
  while (!isOver && begun < task.requests) {
    begun += 1
    const number = begun
    const aheadMs = (number / task.perSecond) * 1_000 - (performance.now() - startedAt)
    if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs))
    await ask(task.urls[number % task.urls.length] ?? '', Math.random() < task.posts ? `order-${number}` : undefined)
  }
}

function ask(url: string, order: string | undefined): Promise<void> {
  const method = order === undefined ? 'GET' : 'POST'
  if (order !== undefined) sent.push(order)
  return new Promise((resolve) => {
    const end = (outcome: string) => {
      count += 1
      outcomes.set(`${method} ${outcome}`, (outcomes.get(`${method} ${outcome}`) ?? 0) + 1)
      if (outcome === '200' && order !== undefined) done.push(order)
      resolve()
    }
    const outgoing = request(
      url,
      { agent, method, headers: order === undefined ? {} : { 'x-order': order, 'content-length': 2 } },
      (response) => {
        response.resume()
        response.once('end', () => end(String(response.statusCode)))
        response.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
      },
    )
    outgoing.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    outgoing.end(order === undefined ? undefined : '{}')
  })
}
