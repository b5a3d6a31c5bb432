import { join } from 'node:path'
import type { Bus, Database } from '@banyan/core'
import { consume, publish, relay } from '@banyan/messaging'
import { postgres, postgresBus } from '@banyan/postgres'
import { sqlite, sqliteBus } from '@banyan/sqlite'
import { contextOf, troubleLog } from '../component.ts'
import { settingsOfContestant, tell } from '../contestant.ts'
import { NOTE, orderPlaced } from '../events.ts'

// How soon after its commit an event is in a handler: npm run bench -- commit starts it.

export interface LatencyTask {
  /** Outbox and inbox, then the bus between them. */
  readonly shape: 'sqlite to sqlite' | 'postgres to sqlite' | 'postgres to postgres'
  /** Databases of the one who publishes, of the one who handles, of the bus. */
  readonly urls: readonly [string, string, string]
  readonly folder: string
  readonly eventsPerSecond: number
  readonly seconds: number
}

export interface LatencyResult {
  /** Milliseconds from the resolved transaction to the beginning of the handler. */
  readonly p50: number
  readonly p99: number
  readonly events: number
  /** What was asked for, if the machine kept up. */
  readonly eventsPerSecond: number
}

const KEYS = 100
const WARM_UP_SECONDS = 2
/** How long the last events may take. */
const PATIENCE_MS = 90_000

const task = settingsOfContestant<LatencyTask>()
const [shop, book] = [open('shop', task.urls[0]), open('book', task.urls[1])]
const bus = openBus()
const committedAt = new Map<number, number>()
const handledAt = new Map<number, number>()

const mover = relay()
const reader = consume(orderPlaced, async ({ data }) => {
  handledAt.set(data.n, performance.now())
})
await mover.start(contextOf('shop', { database: shop, bus }))
await reader.start(contextOf('book', { database: book, bus }))

const total = Math.round((WARM_UP_SECONDS + task.seconds) * task.eventsPerSecond)
const skipped = WARM_UP_SECONDS * task.eventsPerSecond
const tookSeconds = await publishAll()
const until = performance.now() + PATIENCE_MS
while (handledAt.size < total && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
if (handledAt.size < total) throw new Error(`only ${handledAt.size} of ${total} events were handled after ${PATIENCE_MS} ms`)

const latencies: number[] = []
// A handler may begin before the one who committed gets to run again: that is no time at all.
for (const [n, at] of committedAt) if (n >= skipped) latencies.push(Math.max(0, (handledAt.get(n) ?? Number.NaN) - at))
latencies.sort((a, b) => a - b)
const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
const result: LatencyResult = { p50: at(0.5), p99: at(0.99), events: latencies.length, eventsPerSecond: total / tookSeconds }
await reader.stop()
await mover.stop()
await bus.close()
await Promise.all([shop.close(), book.close()])
await tell('result', result)
process.exit(0)

/** Each at its moment, whether or not those before have committed. @returns seconds */
async function publishAll(): Promise<number> {
  const startedAt = performance.now()
  const commits: Promise<void>[] = []
  while (commits.length < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) / 1_000) * task.eventsPerSecond))
    while (commits.length < due) commits.push(publishOne(commits.length))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(commits)
  return (performance.now() - startedAt) / 1_000
}

async function publishOne(n: number): Promise<void> {
  await shop.transaction((tx) => publish(tx, orderPlaced, { orderId: `order-${n % KEYS}`, n, note: NOTE }))
  committedAt.set(n, performance.now())
}

function open(name: string, url: string): Database {
  if (task.shape === 'sqlite to sqlite') return sqlite(join(task.folder, `${name}.db`), { log: troubleLog })
  return postgres(url, { name, log: troubleLog })
}

function openBus(): Bus {
  if (task.shape === 'postgres to postgres') return postgresBus(task.urls[2], { log: troubleLog })
  return sqliteBus(join(task.folder, 'bus.db'), { log: troubleLog })
}
