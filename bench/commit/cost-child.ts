import { join } from 'node:path'
import { type Component, type Database, systemWorld } from '@banyan/core'
import { publish, relay } from '@banyan/messaging'
import { outboxPort } from '@banyan/messaging/internal'
import { postgres } from '@banyan/postgres'
import { sqlite } from '@banyan/sqlite'
import { contextOf, troubleLog } from '../component.ts'
import { settingsOfContestant, tell } from '../contestant.ts'
import { NOTE, orderPlaced } from '../events.ts'
import { type Rates, type Slice, takeTurns, writeFor } from './turns.ts'

// What publishing costs a writing transaction: npm run bench -- commit starts it.

export interface CostTask {
  readonly engine: 'postgres' | 'sqlite'
  readonly url: string
  readonly folder: string
  /** How many clients write at once, one level after the other. */
  readonly levels: readonly number[]
  /** Seconds of each kind, in slices that take turns. */
  readonly seconds: number
}

/**
 * `plain`: of one insert. `two`: of two inserts of the user's, what writing one more row costs, whatever it is for. `published`: with an
 * event in each, others woken by it. `relayed`: and a relay in the same process that moves the events meanwhile.
 */
export interface CostResult extends Rates<Kind> {
  readonly clients: number
}

const KINDS = ['plain', 'two', 'published', 'relayed'] as const
type Kind = (typeof KINDS)[number]

const task = settingsOfContestant<CostTask>()
const database: Database =
  task.engine === 'postgres'
    ? postgres(task.url, { name: 'bench', log: troubleLog })
    : sqlite(join(task.folder, 'bench.db'), { log: troubleLog })
await database.migrate([{ id: 'bench', sql: 'create table orders (id text primary key, key text not null, note text not null)' }])
// As a relay does: somebody is there to be woken, in this process and in others.
const forget = database.store(outboxPort).onAppend(() => {})

const results: CostResult[] = []
await slice('published', 8, 0.5)
for (const clients of task.levels)
  results.push({ clients, ...(await takeTurns(KINDS, task.seconds, (kind, seconds) => slice(kind, clients, seconds))) })
forget()
await database.close()
await tell('result', results)
process.exit(0)

async function slice(kind: Kind, clients: number, seconds: number): Promise<Slice> {
  const mover = kind === 'relayed' ? await startRelay() : undefined
  const done = await writeFor(seconds, clients, (client) => write(`order-${client}`, kind))
  await mover?.stop()
  return done
}

function write(key: string, kind: Kind): Promise<void> {
  const id = systemWorld.uuid()
  return database.transaction(async (tx) => {
    await tx.sql`insert into orders (id, key, note) values (${id}, ${key}, ${NOTE})`
    if (kind === 'two') await tx.sql`insert into orders (id, key, note) values (${systemWorld.uuid()}, ${key}, ${NOTE})`
    if (kind === 'published' || kind === 'relayed') await publish(tx, orderPlaced, { orderId: key, n: 1, note: NOTE })
  })
}

/** With what the slices before have left moved away first. */
async function startRelay(): Promise<Component> {
  let last = performance.now()
  const bus = {
    features: { ordering: 'key', redelivery: true, replay: true } as const,
    async publish() {
      last = performance.now()
    },
    subscribe: () => Promise.reject(new Error('the sink of this benchmark gives nothing back')),
    close: async () => {},
  }
  const mover = relay()
  await mover.start(contextOf('bench', { database, bus }))
  while (performance.now() - last < 100) await new Promise((resolve) => setTimeout(resolve, 10))
  return mover
}
