import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bus, type Component, type Envelope, event, type Schema, silentLogger, systemWorld } from '@banyan/core'
import { type ConsumeOptions, consume, deadLetters, publish, relay } from '@banyan/messaging'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { sqliteBus } from './bus.ts'
import { sqlite } from './database.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

interface Seat {
  id: string
  n: number
}
const schema: Schema<Seat> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Seat }) } }
const seatTaken = event('seat.taken', { schema, key: ({ id }) => id })

let folder: string
let closers: (() => Promise<void>)[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-messaging-'))
  closers = []
})
afterEach(async () => {
  for (const close of closers.reverse()) await close()
  rmSync(folder, { recursive: true, force: true })
})

function open(name: string): SqliteDatabase {
  const database = sqlite(join(folder, `${name}.db`), { log: silentLogger })
  closers.push(() => database.close())
  return database
}

function openBus(): Bus {
  const bus = sqliteBus(join(folder, 'bus.db'), { log: silentLogger })
  closers.push(() => bus.close())
  return bus
}

async function start(component: Component, database: SqliteDatabase, bus: Bus): Promise<Component> {
  await component.start({ service: database.name, instanceId: systemWorld.uuid(), world: systemWorld, log: silentLogger, database, bus })
  closers.push(() => component.stop())
  return component
}

function take(database: SqliteDatabase, ...seats: Seat[]): Promise<void> {
  return database.transaction(async (tx) => {
    for (const seat of seats) await publish(tx, seatTaken, seat)
  })
}

/** A consumer in a service of its own that writes a row an event, unless `broken` has its seat. */
async function audience(bus: Bus, broken = new Set<string>(), options: ConsumeOptions<typeof seatTaken, undefined> = {}) {
  const database = open('audience')
  await database.migrate([{ id: '001-effects', sql: 'create table effects (id text, n integer)' }])
  const handler = consume(
    seatTaken,
    async ({ data }, tx) => {
      await tx.sql`insert into effects (id, n) values (${data.id}, ${data.n})`
      if (broken.has(data.id)) throw new Error('broken')
    },
    options,
  )
  await start(handler, database, bus)
  const effects = () => database.read((tx) => tx.sql<Seat>`select id, n from effects order by rowid`)
  return { database, effects, letters: deadLetters(database) }
}

describe('messaging over sqlite', () => {
  it('brings every event of many keys to its effect once, in the order of its key', async () => {
    const bus = openBus()
    const orders = open('orders')
    await start(relay({ batchSize: 7 }), orders, bus)
    const { effects } = await audience(bus)
    const next = new Map<string, number>()
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        orders.transaction(async (tx) => {
          const id = `seat ${index % 8}`
          const n = (next.get(id) ?? 0) + 1
          next.set(id, n)
          await publish(tx, seatTaken, { id, n })
        }),
      ),
    )
    await vi.waitFor(async () => expect(await effects()).toHaveLength(200), 10_000)
    const rows = await effects()
    for (const id of next.keys())
      expect(rows.filter((row) => row.id === id).map(({ n }) => n)).toEqual(Array.from({ length: 25 }, (_, n) => n + 1))
  })

  it.each([0, 1])('stores each event that it says is published, also from a body that is ending, behind %i others', async (others) => {
    const orders = open('orders')
    const outcomes: string[] = []
    for (let steps = 0; steps < 16; steps += 1) {
      let late: Promise<string> | undefined
      await orders.transaction(async (tx) => {
        for (let n = 0; n < others; n += 1) await publish(tx, seatTaken, { id: 'first', n })
        // An "await" is missing: how many promises lie between the end of the body and the event decides what it meets.
        late = (async () => {
          for (let step = 0; step < steps; step += 1) await undefined
          await publish(tx, seatTaken, { id: `${steps}`, n: 1 })
        })().then(
          () => 'stored',
          (error) => error.code,
        )
      })
      outcomes.push((await late) ?? '')
    }
    const rows = await orders.read((tx) => tx.sql<{ key: string }>`select key from banyan_outbox`)
    const wanted = outcomes.map((_, steps) => (rows.some(({ key }) => key === `${steps}`) ? 'stored' : 'ERR_TRANSACTION_OVER'))
    expect(outcomes).toEqual(wanted)
  })

  it('changes nothing when events come again', async () => {
    const bus = openBus()
    const orders = open('orders')
    const sent: Envelope[] = []
    const twice: Bus = {
      ...bus,
      async publish(batch) {
        sent.push(...batch)
        await bus.publish([...batch, ...sent])
      },
    }
    await start(relay(), orders, twice)
    const { effects } = await audience(bus)
    for (let n = 1; n <= 20; n += 1) await take(orders, { id: 'A1', n })
    await take(orders, { id: 'last', n: 1 })
    await vi.waitFor(async () => expect((await effects()).some(({ id }) => id === 'last')).toBe(true), 10_000)
    await vi.waitFor(async () => expect(await effects()).toHaveLength(21), 10_000)
    expect((await effects()).filter(({ id }) => id === 'A1').map(({ n }) => n)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
  })

  it('parks a failing key durably, also over a restart, and runs it in order after a redrive from another process', async () => {
    const bus = openBus()
    const orders = open('orders')
    await start(relay(), orders, bus)
    const broken = new Set(['bad'])
    const { effects, letters } = await audience(bus, broken, { retry: { attempts: 2, baseMs: 5 }, pollMs: 50 })
    await take(orders, { id: 'bad', n: 1 }, { id: 'good', n: 1 }, { id: 'bad', n: 2 }, { id: 'bad', n: 3 }, { id: 'good', n: 2 })
    await vi.waitFor(async () => expect(await letters.list()).toHaveLength(1), 10_000)
    await vi.waitFor(async () => expect(await effects()).toEqual([1, 2].map((n) => ({ id: 'good', n }))), 10_000)
    await vi.waitFor(async () => expect(await letters.stats()).toMatchObject([{ deadLetters: 1, waiting: 2, parkedKeys: 1 }]), 10_000)
    expect((await letters.list())[0]).toMatchObject({ attempts: 2, key: 'bad', message: 'broken' })

    broken.clear()
    // A handle of its own, as the command line has: nothing but the file tells the consumer.
    const other = deadLetters(open('audience'))
    expect(await other.redrive({}, { by: 'eva', reason: 'mended' })).toMatchObject({ dryRun: false })
    await vi.waitFor(async () => expect((await effects()).filter(({ id }) => id === 'bad').map(({ n }) => n)).toEqual([1, 2, 3]), 10_000)
    expect(await letters.stats()).toEqual([])
    expect(await letters.history()).toMatchObject([{ action: 'redrive', by: 'eva' }])
  })

  it('repeats what it published and did not mark, without a second effect', async () => {
    const bus = openBus()
    const orders = open('orders')
    let published = 0
    const dying: Bus = {
      ...bus,
      async publish(batch) {
        await bus.publish(batch)
        published += batch.length
        // The relay dies between publishing and marking.
        throw new Error('killed')
      },
    }
    const { effects } = await audience(bus)
    await take(orders, { id: 'A1', n: 1 }, { id: 'A1', n: 2 })
    const first = relay()
    await start(first, orders, dying)
    await vi.waitFor(() => expect(published).toBeGreaterThanOrEqual(2), 10_000)
    await first.stop()
    await start(relay(), orders, bus)
    await take(orders, { id: 'A1', n: 3 })
    await vi.waitFor(async () => expect(await effects()).toHaveLength(3), 10_000)
    expect((await effects()).map(({ n }) => n)).toEqual([1, 2, 3])
  })

  it('lets several relays of one database move each event, in order, and takes over from one that is gone', async () => {
    const bus = openBus()
    const orders = open('orders')
    const { effects } = await audience(bus)
    const relays = [relay({ batchSize: 3 }), relay({ batchSize: 3 }), relay({ batchSize: 3 })]
    for (const one of relays) await start(one, orders, bus)
    for (let n = 1; n <= 30; n += 1) {
      await take(orders, { id: 'A1', n })
      if (n === 10) await relays[0]?.stop()
      if (n === 20) await relays[1]?.stop()
    }
    await vi.waitFor(async () => expect(await effects()).toHaveLength(30), 10_000)
    expect((await effects()).map(({ n }) => n)).toEqual(Array.from({ length: 30 }, (_, n) => n + 1))
  })

  it.each([
    [300, 1_000],
    [9_000, 3_000],
  ])(
    'drops %i sent rows from the outbox in batches of %i, but for the newest, above which the next one goes',
    async (length, batchSize) => {
      const bus = openBus()
      const orders = open('orders')
      await take(orders, ...Array.from({ length }, (_, n) => ({ id: 'A1', n })))
      await start(relay({ batchSize }), orders, bus)
      const rows = () => orders.read((tx) => tx.sql<{ count: number }>`select count(*) as count from banyan_outbox`)
      await vi.waitFor(async () => expect(await rows()).toEqual([{ count: 1 }]), 10_000)
    },
  )
})
