import {
  type Bus,
  type Component,
  type Database,
  event,
  type Logger,
  type Migration,
  type Schema,
  sleep,
  systemWorld,
  type World,
} from '@banyan/core'
import { consume, publish, relay } from '@banyan/messaging'
import { outboxLogPort } from '@banyan/messaging/internal'
import { participant, runSagas, type Saga, saga, startSaga } from '@banyan/saga'
import { sagaArchivePort } from '@banyan/saga/internal'
import { expect, vi } from 'vitest'
import { checkEffects, type Numbered } from '../effect-check.ts'
import { checkSagaEffects, type SagaEffect } from '../effect-check-saga.ts'

// A little town for tests of faults: a shop that publishes and runs sagas, and a bank that consumes and takes part in them.

interface Sale extends Numbered {
  /** To fill disks. */
  readonly ballast?: string
}

const schema: Schema<Sale> = { '~standard': { version: 1, vendor: 'town', validate: (value) => ({ value: value as Sale }) } }
const saleMade = event('town.sale', { schema, key: ({ key }) => key })
const RULES = { before: ['note', 'money'], past: ['confirm', 'parcel'] }
const PATIENT = { attempts: 1_000, baseMs: 10, capMs: 50 }

export interface TownOptions {
  readonly shop: Database
  readonly bank: Database
  readonly bus: Bus
  /** Default: the system's. */
  readonly world?: World
  readonly log: Logger
  /** While it says so, the bank fails: at what it is to book, and at what sagas ask of it. */
  readonly isSick?: () => boolean
}

/** A logger that keeps warnings and errors as texts. */
export interface KeptLog extends Logger {
  readonly lines: readonly string[]
}

export function keptLog(): KeptLog {
  const lines: string[] = []
  const keep = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields, readable)}`)
  return { lines, debug() {}, info() {}, warn: keep, error: keep }
}

export interface Town {
  readonly shop: Database
  readonly bank: Database
  /** Counts a sale and publishes it, in one transaction. */
  sell(key: string, ballast?: string): Promise<void>
  /** Starts a saga, in a transaction that takes at least so long. */
  order(id: string, tookMs?: number): Promise<void>
  /** How many sales the bank has booked. */
  booked(): Promise<number>
  /** Resolves when everything sold and ordered has its effects, once and in order, and nothing waits anywhere. */
  settled(timeoutMs?: number): Promise<void>
  stop(): Promise<void>
}

/** Builds the town on empty databases and starts all that works in it. */
export async function town({ shop, bank, bus, log, world = systemWorld, isSick = () => false }: TownOptions): Promise<Town> {
  await shop.migrate(tables(shop.dialect))
  await bank.migrate(tables(bank.dialect))
  const definition = orderSaga(bank, isSick)
  const book = bookUnless(isSick)
  const workers: [Component, Database][] = [
    [relay({ leaseMs: 500, maxPollMs: 50, retry: { attempts: 100, baseMs: 10, capMs: 50 } }), shop],
    [runSagas([definition], { leaseMs: 500, pollMs: 50, drainMs: 500 }), shop],
    [consume(saleMade, book, { group: 'bank', retry: { attempts: 100, baseMs: 10, capMs: 50 }, pollMs: 50 }), bank],
  ]
  for (const [component, database] of workers) {
    const service = database === shop ? 'shop' : 'bank'
    await component.start({ service, instanceId: systemWorld.uuid(), world, log, database, bus })
  }
  const all = { shop, bank }
  return {
    ...all,
    sell: (key, ballast) => shop.transaction((tx) => sell(tx, key, ballast)),
    async order(id, tookMs = 0) {
      await shop.transaction(async (tx) => {
        const started = await startSaga(tx, definition, { id })
        await tx.sql`insert into placed (saga) values (${started.id})`
        if (tookMs > 0) await sleep(systemWorld, tookMs)
      })
    },
    booked: async () => (await bank.read((tx) => tx.sql`select n from booked`)).length,
    settled: (timeoutMs = 15_000) => vi.waitFor(() => assertSettled(all), { timeout: timeoutMs, interval: 50 }),
    async stop() {
      for (const [component] of workers.toReversed()) await component.stop()
    },
  }
}

function tables(dialect: Database['dialect']): readonly Migration[] {
  const position = dialect === 'sqlite' ? 'integer primary key autoincrement' : 'bigint generated always as identity primary key'
  return [
    { id: 't-sold', sql: 'create table sold (key text primary key, n integer not null)' },
    { id: 't-booked', sql: `create table booked (position ${position}, key text not null, n integer not null, ballast text)` },
    { id: 't-effects', sql: `create table effects (position ${position}, saga text not null, step text not null, kind text not null)` },
    { id: 't-placed', sql: 'create table placed (saga text primary key)' },
  ]
}

type Tx = Parameters<Parameters<Database['transaction']>[0]>[0]

async function sell(tx: Tx, key: string, ballast?: string): Promise<void> {
  const [sold] = await tx.sql<{ n: number }>`
    insert into sold (key, n) values (${key}, 1) on conflict (key) do update set n = sold.n + 1 returning n`
  await publish(tx, saleMade, { key, n: sold?.n ?? 0, ...(ballast !== undefined && { ballast }) })
}

function bookUnless(isSick: () => boolean) {
  return async ({ data: { key, n, ballast } }: { data: Sale }, tx: Tx): Promise<void> => {
    await tx.sql`insert into booked (key, n, ballast) values (${key}, ${n}, ${ballast ?? null})`
    if (isSick()) throw new Error('the bank is sick')
  }
}

interface Order {
  readonly id: string
}

function orderSaga(bank: Database, isSick: () => boolean): Saga<Order> {
  const effect = (tx: Tx, id: string, step: string, kind: 'do' | 'undo') =>
    tx.sql`insert into effects (saga, step, kind) values (${id}, ${step}, ${kind})`
  const local = (step: string, kind: 'do' | 'undo') => async (tx: Tx, c: { readonly id: string }) =>
    void (await effect(tx, c.id, step, kind))
  const remote = (step: string) => (c: { readonly id: string; readonly key: string }) =>
    bank.transaction((tx) =>
      participant(tx, { key: c.key, operation: step, kind: 'do' }, async () => {
        await effect(tx, c.id, step, 'do')
        if (isSick()) throw new Error('the bank is sick')
      }),
    )
  const back = (step: string) => (c: { readonly id: string; readonly key: string }) =>
    bank.transaction((tx) =>
      participant(tx, { key: c.key, operation: step, kind: 'undo' }, async () => void (await effect(tx, c.id, step, 'undo'))),
    )
  return saga<Order>('town-order', { version: 1, key: ({ id }) => id })
    .local('note', { do: local('note', 'do'), undo: local('note', 'undo'), retry: PATIENT, undoRetry: PATIENT })
    .step('money', { do: remote('money'), undo: back('money'), retry: PATIENT, undoRetry: PATIENT })
    .pivot('confirm', { local: local('confirm', 'do'), retry: PATIENT })
    .step('parcel', { do: remote('parcel'), retry: PATIENT })
    .done()
}

async function assertSettled({ shop, bank }: { shop: Database; bank: Database }): Promise<void> {
  const sold = await shop.read((tx) => tx.sql<Numbered>`select key, n from sold order by key`)
  const sent = sold.flatMap(({ key, n }) => Array.from({ length: n }, (_, index) => ({ key, n: index + 1 })))
  const booked = await bank.read((tx) => tx.sql<Numbered>`select key, n from booked order by position`)
  expect(checkEffects(sent, booked)).toEqual({ lost: [], twice: [], inverted: [], invented: [] })
  expect((await shop.read((tx) => shop.store(outboxLogPort).stats(tx))).backlog).toBe(0)
  const placed = await shop.read((tx) => tx.sql<{ saga: string }>`select saga from placed`)
  const records = await shop.read((tx) => shop.store(sagaArchivePort).list(tx, {}, 10_000))
  const ends = records.map(({ id, status }) => ({ saga: id, status }))
  const effects = [...(await effectsOf(shop)), ...(await effectsOf(bank))]
  const asked = placed.map((one) => one.saga)
  expect(checkSagaEffects(asked, ends, effects, RULES)).toEqual({
    ...{ lost: [], twice: [], inverted: [], inLimbo: [], left: [], orphans: [] },
  })
}

function effectsOf(database: Database): Promise<SagaEffect[]> {
  return database.read((tx) => tx.sql<SagaEffect>`select saga, step, kind from effects order by position`)
}

/** Errors have their message where it cannot be enumerated. */
function readable(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${'code' in value ? String(value.code) : value.name}: ${value.message}` : value
}
