import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { settingsOfContestant, tell } from '../contestant.ts'
import { NOTE } from '../events.ts'
import { OUTBOX, openBoss, openGraphile, openOutbox } from '../queues.ts'
import type { CostTask } from './cost-child.ts'
import { type Rates, takeTurns, writeFor } from './turns.ts'

// What the peers' way of sending something from a transaction costs it: npm run bench -- commit starts it.

export type PeerCostTask = Omit<CostTask, 'engine' | 'folder'>

/** `plain`: a transaction of one insert by node-postgres. The others: with a message of each peer in it. */
export interface PeerCostResult extends Rates<Kind> {
  readonly clients: number
}

const KINDS = ['plain', 'pg-transactional-outbox', 'graphile-worker', 'pg-boss'] as const
type Kind = (typeof KINDS)[number]

type Send = (client: pg.Client, key: string) => Promise<unknown>

const QUEUE = 'orders'
const task = settingsOfContestant<PeerCostTask>()
const clients = await Promise.all(Array.from({ length: Math.max(...task.levels) }, connect))
const [first] = clients
if (!first) throw new Error('wanted at least one client')
await first.query('create table orders (id text primary key, key text not null, note text not null)')
const boss = await openBoss(task.url, QUEUE, 2)
const sends: Record<Kind, Send | undefined> = {
  plain: undefined,
  'pg-transactional-outbox': await outboxSend(first),
  'graphile-worker': await graphileSend(),
  // In the transaction of the client: its own way to be given one.
  'pg-boss': (client, key) => {
    const db = { executeSql: (text: string, values: unknown[]) => client.query(text, values) }
    return boss.send(QUEUE, message(key), { db })
  },
}

const results: PeerCostResult[] = []
for (const kind of KINDS) await slice(kind, clients.length, 0.3)
for (const level of task.levels)
  results.push({ clients: level, ...(await takeTurns(KINDS, task.seconds, (kind, seconds) => slice(kind, level, seconds))) })
await boss.stop({ graceful: false })
await Promise.all(clients.map((client) => client.end()))
await tell('result', results)
process.exit(0)

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: task.url })
  await client.connect()
  return client
}

function slice(kind: Kind, level: number, seconds: number) {
  const send = sends[kind]
  return writeFor(seconds, level, async (index) => {
    const client = clients[index]
    if (!client) throw new Error(`there is no client ${index}`)
    await client.query('begin')
    const values = [randomUUID(), `order-${index}`, NOTE]
    await client.query({ name: 'order', text: 'insert into orders (id, key, note) values ($1, $2, $3)', values })
    await send?.(client, `order-${index}`)
    await client.query('commit')
  })
}

/** What ours publishes, of the same size. */
function message(key: string): object {
  const id = randomUUID()
  return {
    specversion: '1.0',
    id,
    source: 'bench',
    type: 'order.placed',
    subject: key,
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    dataschema: 'order.placed/1',
    data: { orderId: key, n: 1, note: NOTE },
    correlationid: id,
  }
}

async function outboxSend(client: pg.Client): Promise<Send> {
  const { initializeMessageStorage, getDisabledLogger } = await openOutbox(client)
  const store = initializeMessageStorage({ outboxOrInbox: 'outbox', settings: OUTBOX }, getDisabledLogger())
  const kind = { aggregateType: 'order', messageType: 'order.placed', concurrency: 'sequential' }
  return (sender, key) => store({ ...kind, id: randomUUID(), aggregateId: key, segment: key, payload: message(key), metadata: {} }, sender)
}

async function graphileSend(): Promise<Send> {
  await openGraphile(task.url)
  const text = "select graphile_worker.add_job('orders', $1::json)"
  return (client, key) => client.query({ name: 'job', text, values: [JSON.stringify(message(key))] })
}
