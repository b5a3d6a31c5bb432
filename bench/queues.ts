import type pg from 'pg'
import { importPeer } from './peers.ts'

// The peers that send messages from PostgreSQL: what the benchmarks use of them, and how their tables are made.

/** `pg-transactional-outbox`. */
interface OutboxModule {
  DatabaseSetup: Record<'dropAndCreateTable' | 'createPollingFunction' | 'setupPollingIndexes', (config: object) => string>
  initializeMessageStorage(config: object, logger: object): (message: object, client: pg.Client) => Promise<void>
  initializePollingMessageListener(
    config: object,
    handler: { handle(message: unknown): Promise<void> },
    logger: object,
    strategies: object,
  ): [shutdown: () => Promise<void>]
  getDisabledLogger(): object
}

/** Where its table stands, and the function that its listener reads it with. */
export const OUTBOX = { dbSchema: 'public', dbTable: 'outbox', nextMessagesFunctionName: 'next_outbox' }

/** Its module, and its table in the database of `client`. */
export async function openOutbox(client: pg.Client): Promise<OutboxModule> {
  // CommonJS: what it exports comes as the default.
  const { default: outbox } = await importPeer<{ default: OutboxModule }>('pg-transactional-outbox')
  const { dbSchema: schema, dbTable: table, nextMessagesFunctionName: nextMessagesName } = OUTBOX
  const setup = { outboxOrInbox: 'outbox', database: 'bench', schema, table, listenerRole: 'banyan', nextMessagesName }
  for (const part of ['dropAndCreateTable', 'createPollingFunction', 'setupPollingIndexes'] as const)
    await client.query(outbox.DatabaseSetup[part](setup))
  return outbox
}

/** `graphile-worker`. */
interface GraphileModule {
  makeWorkerUtils(options: object): Promise<{ migrate(): Promise<void>; release(): Promise<void> }>
  run(options: object): Promise<{ stop(): Promise<void> }>
  Logger: new (factory: () => () => void) => object
}

/** Its function that runs jobs, and its tables in the database at `url`. */
export async function openGraphile(url: string): Promise<{ run: GraphileModule['run']; logger: object }> {
  const { makeWorkerUtils, run, Logger } = await importPeer<GraphileModule>('graphile-worker')
  const logger = new Logger(() => () => {})
  const utils = await makeWorkerUtils({ connectionString: url, logger })
  await utils.migrate()
  await utils.release()
  return { run, logger }
}

/** `pg-boss`. */
export interface Boss {
  start(): Promise<unknown>
  stop(options: object): Promise<void>
  on(event: 'error', heard: (error: unknown) => void): void
  createQueue(name: string, options?: object): Promise<void>
  send(name: string, data: object, options: object): Promise<string | null>
  insert(name: string, jobs: readonly { data: object }[]): Promise<unknown>
  fetch(name: string, options: { batchSize: number }): Promise<readonly { id: string }[]>
  complete(name: string, ids: readonly string[]): Promise<unknown>
}

/** Started, with a queue that has a table of its own. */
export async function openBoss(url: string, queue: string, maxConnections: number): Promise<Boss> {
  const { PgBoss } = await importPeer<{ PgBoss: new (options: object) => Boss }>('pg-boss')
  const boss = new PgBoss({ connectionString: url, max: maxConnections, schedule: false })
  boss.on('error', (error) => console.error('pg-boss:', error))
  await boss.start()
  await boss.createQueue(queue, { partition: true })
  return boss
}
