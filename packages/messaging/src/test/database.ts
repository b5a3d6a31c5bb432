// The database of this room's unit tests: the embedded one, in memory, on the clock of the test.
import {
  type ComponentContext,
  type Database,
  type Envelope,
  type Logger,
  type ManualWorld,
  type ReadTransaction,
  silentLogger,
  type Transaction,
  type World,
} from '@banyan/core'
import { sqlite } from '@banyan/sqlite'
import type { Lease } from '../lease.ts'
import { envelopeOf } from '../outbox-body.ts'

/** What stands in the tables. */
export interface State {
  readonly outbox: readonly Envelope[]
  /** Everything up to this position is sent. */
  readonly done: number
  readonly lease: { kind: Lease['kind']; epoch: number; owner: string | null }
  /** How many ids the inbox keeps. */
  readonly inbox: number
  readonly queue: readonly { messageId: string; kind: string; reason: string | null }[]
  /** What handlers have noted by {@link addEffect}, in order. */
  readonly effects: readonly string[]
}

export interface TestDatabase extends Database {
  state(): Promise<State>
  /** While set, every transaction and read fails with it. */
  breakWith(error: Error | undefined): void
}

export function testDatabase(world: World, name = 'orders'): TestDatabase {
  const database = sqlite(':memory:', { name, world, log: silentLogger })
  let broken: Error | undefined
  return {
    ...database,
    transaction: async (body) => {
      if (broken) throw broken
      return database.transaction(body)
    },
    read: async (body) => {
      if (broken) throw broken
      return database.read(body)
    },
    state: () => database.read(stateOf),
    breakWith(error) {
      broken = error
    },
  }
}

/** Notes what a handler under test did, in its transaction. */
export async function addEffect(tx: Transaction, effect: string): Promise<void> {
  await tx.sql`create table if not exists effects (id integer primary key, effect text not null)`
  await tx.sql`insert into effects (effect) values (${effect})`
}

/** How many timers are pending, once the database has noticed that the event loop has turned. */
export async function timersLeft(world: ManualWorld): Promise<number> {
  await world.advance(0)
  return world.pendingTimers()
}

export function contextOf(world: World, parts: { database: Database; bus?: ComponentContext['bus']; log?: Logger }): ComponentContext {
  return { service: 'orders', instanceId: 'orders-1', world, log: silentLogger, bus: undefined, ...parts }
}

async function stateOf(tx: ReadTransaction): Promise<State> {
  const outbox = await tx.sql<{ body: string }>`select body from banyan_outbox order by position`
  const [lease] = await tx.sql<{ epoch: number; owner: string | null; done: number }>`select epoch, owner, done from banyan_outbox_lease`
  const [inbox] = await tx.sql<{ size: number }>`select count(*) as size from banyan_inbox`
  const queue = await tx.sql<State['queue'][number]>`
    select message_id as "messageId", state as kind, reason from banyan_key_queue order by position`
  if (!lease || !inbox) throw new Error('the tables of messaging are not there')
  return {
    outbox: outbox.map(({ body }) => envelopeOf(body)),
    done: lease.done,
    lease: { kind: lease.owner === null ? 'free' : 'held', epoch: lease.epoch, owner: lease.owner },
    inbox: inbox.size,
    queue,
    effects: await effectsIn(tx),
  }
}

async function effectsIn(tx: ReadTransaction): Promise<string[]> {
  const [table] = await tx.sql`select 1 from sqlite_schema where name = 'effects'`
  if (!table) return []
  return (await tx.sql<{ effect: string }>`select effect from effects order by id`).map(({ effect }) => effect)
}
