import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { settingsOfContestant, tell } from '../contestant.ts'
import { NOTE } from '../events.ts'
import { importPeer } from '../peers.ts'
import { type Rates, takeTurns, writeFor } from './turns.ts'

// What the peers' way of sending something from a transaction costs it: npm run bench -- commit starts it.

export interface PeerCostTask {
  readonly url: string
  /** How many clients write at once, one level after the other. */
  readonly levels: readonly number[]
  /** Seconds of each kind, in slices that take turns. */
  readonly seconds: number
}

/** `plain`: a transaction of one insert by node-postgres. The others: with a message of each peer in it. */
export interface PeerCostResult extends Rates<Kind> {
  readonly clients: number
}

const KINDS = ['plain', 'pg-transactional-outbox', 'graphile-worker', 'pg-boss'] as const
type Kind = (typeof KINDS)[number]

/** What this benchmark uses of them. */
interface OutboxModule {
  DatabaseSetup: Record<'dropAndCreateTable' | 'createPollingFunction' | 'setupPollingIndexes', (config: object) => string>
  initializeMessageStorage(config: object, logger: object): (message: object, client: pg.Client) => Promise<void>
  getDisabledLogger(): object
}
interface GraphileModule {
  makeWorkerUtils(options: object): Promise<{ migrate(): Promise<void>; release(): Promise<void> }>
  Logger: new (factory: () => () => void) => object
}
interface PgBossModule {
  PgBoss: new (
    options: object,
  ) => {
    start(): Promise<unknown>
    stop(options: object): Promise<void>
    on(event: 'error', heard: (error: unknown) => void): void
    createQueue(name: string, options?: object): Promise<void>
    send(name: string, data: object, options: object): Promise<string | null>
  }
}

type Send = (client: pg.Client, key: string) => Promise<unknown>

const QUEUE = 'orders'
const task = settingsOfContestant<PeerCostTask>()
const clients = await Promise.all(Array.from({ length: Math.max(...task.levels) }, connect))
const [first] = clients
if (!first) throw new Error('wanted at least one client')
await first.query('create table orders (id text primary key, key text not null, note text not null)')
const boss = await openBoss()
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
  // CommonJS: what it exports comes as the default.
  const { default: outbox } = await importPeer<{ default: OutboxModule }>('pg-transactional-outbox')
  const place = { database: 'bench', schema: 'public', table: 'outbox' }
  const config = { outboxOrInbox: 'outbox', ...place, listenerRole: 'banyan', nextMessagesName: 'next_outbox' }
  for (const part of ['dropAndCreateTable', 'createPollingFunction', 'setupPollingIndexes'] as const)
    await client.query(outbox.DatabaseSetup[part](config))
  const settings = { dbSchema: place.schema, dbTable: place.table }
  const store = outbox.initializeMessageStorage({ outboxOrInbox: 'outbox', settings }, outbox.getDisabledLogger())
  const kind = { aggregateType: 'order', messageType: 'order.placed', concurrency: 'sequential' }
  return (sender, key) => store({ ...kind, id: randomUUID(), aggregateId: key, segment: key, payload: message(key), metadata: {} }, sender)
}

async function graphileSend(): Promise<Send> {
  const { makeWorkerUtils, Logger } = await importPeer<GraphileModule>('graphile-worker')
  const utils = await makeWorkerUtils({ connectionString: task.url, logger: new Logger(() => () => {}) })
  await utils.migrate()
  await utils.release()
  const text = "select graphile_worker.add_job('orders', $1::json)"
  return (client, key) => client.query({ name: 'job', text, values: [JSON.stringify(message(key))] })
}

async function openBoss() {
  const { PgBoss } = await importPeer<PgBossModule>('pg-boss')
  const opened = new PgBoss({ connectionString: task.url, max: 2, schedule: false, supervise: false })
  opened.on('error', (error) => console.error('pg-boss:', error))
  await opened.start()
  await opened.createQueue(QUEUE, { partition: true })
  return opened
}
