import { consulRegistry } from '@banyan/discovery'
import { settingsOfContestant, tell } from '../contestant.ts'

// Many clients that watch one service, and the change they hear of: npm run bench -- registry starts it.

export interface WatchersTask {
  readonly url: string
  readonly watchers: number
  readonly changes: number
}

export interface WatchersResult {
  /** From sending the change to a watcher's being told, one for each watcher and change, milliseconds, sorted. */
  readonly latenciesMs: readonly number[]
}

/** Not measured: the code is still being compiled. */
const WARM_UP = 20
/** Of the service that is watched; every answer lists them all. */
const INSTANCES = 5

const { url, watchers, changes } = settingsOfContestant<WatchersTask>()
let sentAt = 0
let missing = 0
let allHeard = () => {}
const latencies: number[] = []
const clients = Array.from({ length: watchers }, () => consulRegistry({ url, waitMs: 60_000 }))
await change(0, () => {
  for (const client of clients) {
    client.watch('orders', () => {
      latencies.push(performance.now() - sentAt)
      missing -= 1
      if (missing === 0) allHeard()
    })
  }
})
for (let i = 1; i <= WARM_UP + changes; i += 1) {
  if (i === WARM_UP + 1) latencies.length = 0
  await change(i, () => void register(i))
}
await tell('result', { latenciesMs: latencies.sort((a, b) => a - b) } satisfies WatchersResult)
await Promise.all(clients.map((client) => client.close()))
process.exit(0)

/** Does what changes something, and resolves when every watcher has been told. */
async function change(i: number, make: () => void): Promise<void> {
  missing = watchers
  const heard = new Promise<void>((resolve) => {
    allHeard = resolve
  })
  sentAt = performance.now()
  make()
  await heard
  // The next questions are on their way: a change in between would be answered without having waited.
  await new Promise((resolve) => setTimeout(resolve, i === 0 ? 500 : 50))
}

async function register(i: number): Promise<void> {
  const body = {
    ID: `orders-${i % INSTANCES}`,
    Name: 'orders',
    Address: '127.0.0.1',
    Port: 3_000 + (i % INSTANCES),
    Meta: { change: String(i) },
  }
  const response = await fetch(`${url}/v1/agent/service/register`, { method: 'PUT', body: JSON.stringify(body) })
  if (response.status !== 200) throw new Error(`the registry answered ${response.status}: ${await response.text()}`)
}
