import { randomUUID } from 'node:crypto'
import { systemWorld, type Transaction } from '@banyan/core'
import { publish } from '@banyan/messaging'
import { type Inbox, inboxPort } from '@banyan/messaging/internal'
import { postgres } from '@banyan/postgres'
import { troubleLog } from '../component.ts'
import { NOTE, orderPlaced } from '../events.ts'
import { type Server, startServer } from '../server.ts'

// How many transactions SERIALIZABLE refuses where each has a key of its own, and which index they meet on:
// node scripts/banyan.mjs bench/commit/refusals.ts

const CLIENTS = 24
const ORDERS = 500
const EVENTS = 3
const OLD_ORDERS = 30_000

interface Shape {
  readonly name: string
  readonly key: () => string
  /** Beside the primary key. */
  readonly index?: string
  readonly work: (tx: Transaction, id: string, n: number) => Promise<unknown>
}

const growing = () => systemWorld.uuid()
const random = () => randomUUID()
const hash = 'create index on orders using hash (id)'

const SHAPES: readonly Shape[] = [
  { name: 'inbox and outbox alone, growing keys', key: growing, work: async () => {} },
  { name: 'read, then write; growing keys', key: growing, work: readThenWrite },
  { name: 'read, then write; growing keys, a hash index beside the primary key', key: growing, index: hash, work: readThenWrite },
  { name: 'read, then write; random keys', key: random, work: readThenWrite },
  { name: 'one upsert, no read; growing keys', key: growing, work: upsert },
]

async function readThenWrite(tx: Transaction, id: string, n: number): Promise<void> {
  const [row] = await tx.sql`select n from orders where id = ${id}`
  if (row) await tx.sql`update orders set n = ${n} where id = ${id}`
  else await tx.sql`insert into orders (id, n) values (${id}, ${n})`
}

function upsert(tx: Transaction, id: string, n: number): Promise<unknown> {
  return tx.sql`insert into orders (id, n) values (${id}, ${n}) on conflict (id) do update set n = excluded.n`
}

const server = await startServer()
try {
  for (let round = 1; round <= 2; round += 1) for (const shape of SHAPES) await measure(server, shape)
} finally {
  await server.stop()
}

function measure({ withDatabase }: Server, { name, key, index, work }: Shape): Promise<void> {
  return withDatabase(async (url) => {
    const database = postgres(url, { name: 'bench', maxConnections: CLIENTS, attempts: 100, log: troubleLog })
    const sql = ['create table orders (id text primary key, n int not null)', ...(index ? [index] : [])].join('; ')
    await database.migrate([{ id: 'bench', sql }])
    // Before all growing keys, and among the random ones.
    const old = Array.from({ length: OLD_ORDERS }, (_, n) => (key === random ? randomUUID() : `0 ${n}`))
    await database.run('insert into orders (id, n) select *, 0 from unnest($1::text[])', [old])
    await database.run('analyze orders')
    const inbox = database.store(inboxPort)
    const ids = Array.from({ length: ORDERS }, key)
    const counts = { begun: 0, committed: 0 }
    const startedAt = performance.now()
    const client = async () => {
      for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
        for (let n = 1; n <= EVENTS; n += 1) {
          const message = { group: 'bench', id: key(), lane: id }
          await handle(inbox, message, {
            begun: () => (counts.begun += 1),
            run: database.transaction,
            work: (tx) => work(tx, message.lane, n),
          })
          counts.committed += 1
        }
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
    const seconds = (performance.now() - startedAt) / 1_000
    await database.close()
    const refused = ((counts.begun - counts.committed) / counts.committed) * 1_000
    console.log(`${name}: ${refused.toFixed(0)} refusals to 1,000 transactions, ${(counts.committed / seconds).toFixed(0)} a second`)
  })
}

interface Handling {
  readonly begun: () => void
  readonly run: <T>(body: (tx: Transaction) => Promise<T>) => Promise<T>
  readonly work: (tx: Transaction) => Promise<unknown>
}

/** As a consumer handles an event: it is admitted, the handler writes, and publishes what follows. */
function handle(inbox: Inbox, message: { group: string; id: string; lane: string }, { begun, run, work }: Handling): Promise<void> {
  return run(async (tx) => {
    begun()
    await inbox.admit(tx, message, systemWorld.now())
    await work(tx)
    await publish(tx, orderPlaced, { orderId: message.lane, n: 1, note: NOTE })
  })
}
