import { randomBytes } from 'node:crypto'
import { type Bus, type Component, type Envelope, event, type Schema, silentLogger, systemWorld } from '@banyan/core'
import { type ConsumeOptions, consume, deadLetters, publish, type RelayOptions, relay } from '@banyan/messaging'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type PostgresDatabase, type PostgresOptions, postgres, postgresBus } from './index.ts'

interface Seat {
  id: string
  n: number
}
// The test publishes nothing else.
const schema: Schema<Seat> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Seat }) } }
const seatTaken = event('seat.taken', { schema, key: ({ id }) => id })

/** What is closed after a test, the last opened first. */
const closers: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function place(): Promise<TestDatabase> {
  const made = await testPostgres()
  closers.push(made.drop)
  return made
}

function open(url: string, name: string, options: PostgresOptions = {}): PostgresDatabase {
  const database = postgres(url, { log: silentLogger, name, ...options })
  closers.push(() => database.close())
  return database
}

async function openBus(): Promise<Bus> {
  const bus = postgresBus((await place()).url, { log: silentLogger })
  closers.push(() => bus.close())
  return bus
}

async function start(component: Component, database: PostgresDatabase, bus: Bus): Promise<Component> {
  await component.start({ service: database.name, instanceId: systemWorld.uuid(), world: systemWorld, log: silentLogger, database, bus })
  closers.push(() => component.stop())
  return component
}

function take(database: PostgresDatabase, ...seats: Seat[]): Promise<void> {
  return database.transaction(async (tx) => {
    for (const seat of seats) await publish(tx, seatTaken, seat)
  })
}

/** A consumer in a service of its own that writes a row an event, unless `broken` has its seat. */
async function audience(
  bus: Bus,
  broken = new Set<string>(),
  options: ConsumeOptions<typeof seatTaken, undefined> = {},
  more: PostgresOptions = {},
) {
  const database = open((await place()).url, 'audience', more)
  await database.migrate([{ id: '001-effects', sql: 'create table effects (at bigint generated always as identity, id text, n integer)' }])
  const handler = consume(
    seatTaken,
    async ({ data }, tx) => {
      await tx.sql`insert into effects (id, n) values (${data.id}, ${data.n})`
      if (broken.has(data.id)) throw new Error('broken')
    },
    options,
  )
  await start(handler, database, bus)
  const effects = () => database.read((tx) => tx.sql<Seat>`select id, n from effects order by at`)
  const numbersOf = async (id: string) => (await effects()).filter((row) => row.id === id).map(({ n }) => n)
  return { database, effects, numbersOf, letters: deadLetters(database) }
}

/** As another service would have sent it. */
function envelopeOf(id: string, n: number): Envelope {
  const rest = { datacontenttype: 'application/json', dataschema: 'seat.taken/1', time: '2026-01-01T00:00:00Z' } as const
  return { specversion: '1.0', id: `${id}-${n}`, source: 'elsewhere', type: 'seat.taken', subject: id, data: { id, n }, ...rest }
}

const oneTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
const fast: RelayOptions = { batchSize: 7 }

describe('messaging over PostgreSQL', () => {
  it.each(['serializable', 'read committed'] as const)(
    'brings every event to its effect once, in the order of its key (%s)',
    async (isolation) => {
      const bus = await openBus()
      const orders = open((await place()).url, 'orders', { isolation })
      await start(relay(fast), orders, bus)
      const { effects, numbersOf } = await audience(bus, new Set(), {}, { isolation })
      const keys = oneTo(8).map((n) => `seat ${n}`)
      await Promise.all(
        keys.map(async (id) => {
          for (const n of oneTo(20)) await take(orders, { id, n })
        }),
      )
      await vi.waitFor(async () => expect(await effects()).toHaveLength(160), 20_000)
      for (const id of keys) expect(await numbersOf(id)).toEqual(oneTo(20))
    },
  )

  it('lets several relays of one database move each event, and takes over from one that is gone', async () => {
    const bus = await openBus()
    const { url } = await place()
    const { effects, numbersOf } = await audience(bus)
    // A handle each, as processes have.
    const handles = [open(url, 'orders'), open(url, 'orders'), open(url, 'orders')]
    const relays = await Promise.all(handles.map((handle) => start(relay({ batchSize: 3 }), handle, bus)))
    for (const n of oneTo(30)) {
      for (const id of ['A1', 'B1', 'C1', 'D1']) await take(handles[2] as PostgresDatabase, { id, n })
      if (n === 10) await relays[0]?.stop()
      if (n === 20) await relays[1]?.stop()
    }
    await vi.waitFor(async () => expect(await effects()).toHaveLength(120), 20_000)
    for (const id of ['A1', 'B1', 'C1', 'D1']) expect(await numbersOf(id)).toEqual(oneTo(30))
  })

  it('repeats what it published and did not mark, without a second effect', async () => {
    const bus = await openBus()
    const orders = open((await place()).url, 'orders')
    const sent: Envelope[] = []
    const dying: Bus = {
      ...bus,
      async publish(batch) {
        await bus.publish(batch)
        sent.push(...batch)
        // The relay dies between publishing and marking.
        throw new Error('killed')
      },
    }
    const { effects, numbersOf } = await audience(bus)
    await take(orders, { id: 'A1', n: 1 }, { id: 'A1', n: 2 })
    const first = await start(relay(), orders, dying)
    await vi.waitFor(() => expect(sent.length).toBeGreaterThanOrEqual(2), 10_000)
    await first.stop()
    await start(relay(), orders, bus)
    await take(orders, { id: 'A1', n: 3 })
    await vi.waitFor(async () => expect(await effects()).toHaveLength(3), 10_000)
    expect(await numbersOf('A1')).toEqual([1, 2, 3])
  })

  it('parks one key and redrives it under load: its order is kept, and the others do not notice', { timeout: 180_000 }, async () => {
    const bus = await openBus()
    const orders = open((await place()).url, 'orders')
    await start(relay(), orders, bus)
    const broken = new Set(['bad'])
    const { numbersOf, letters } = await audience(bus, broken, { retry: { attempts: 2, baseMs: 5 }, pollMs: 50 })
    const good = ['good 1', 'good 2', 'good 3', 'good 4']
    const reached = (rounds: number) =>
      vi.waitFor(async () => {
        for (const id of good) expect((await numbersOf(id)).length).toBeGreaterThanOrEqual(rounds)
      }, 60_000)
    let round = 0
    let loading = true
    const load = (async () => {
      while (loading) {
        round += 1
        const n = round
        await Promise.all([...good, 'bad'].map((id) => take(orders, { id, n })))
        // Load, not a flood: on a slow machine the audience keeps pace.
        if (n % 20 === 0) await reached(n - 40)
      }
    })()
    const flows = (rounds: number) => reached(round + rounds)

    await vi.waitFor(async () => expect(await letters.list()).toMatchObject([{ key: 'bad', attempts: 2, message: 'broken' }]), 60_000)
    await flows(20)
    expect(await numbersOf('bad')).toEqual([])
    expect(await letters.stats()).toMatchObject([{ parkedKeys: 1, deadLetters: 1 }])
    expect(await letters.redrive({ key: 'bad' }, { by: 'eva', reason: 'mended', dryRun: true })).toMatchObject({ dryRun: true })
    expect(await numbersOf('bad')).toEqual([])
    broken.clear()
    await letters.redrive({ key: 'bad' }, { by: 'eva', reason: 'mended' })
    await flows(20)
    loading = false
    await load
    await vi.waitFor(async () => expect(await numbersOf('bad')).toHaveLength(round), 60_000)
    for (const id of [...good, 'bad']) {
      await vi.waitFor(async () => expect(await numbersOf(id)).toHaveLength(round), 60_000)
      expect(await numbersOf(id)).toEqual(oneTo(round))
    }
    expect(await letters.stats()).toEqual([])
    expect(await letters.history()).toMatchObject([{ action: 'redrive', by: 'eva', why: 'mended' }])
  })

  it('tells each of two people who decide at once what became of which dead letter (read committed)', async () => {
    const bus = await openBus()
    const { database, letters } = await audience(
      bus,
      new Set(['bad']),
      { retry: { attempts: 1 }, ordering: 'none' },
      { isolation: 'read committed' },
    )
    const orders = open((await place()).url, 'orders')
    await start(relay(), orders, bus)
    await take(orders, ...oneTo(60).map((n) => ({ id: 'bad', n })))
    await vi.waitFor(async () => expect(await letters.list()).toHaveLength(60), 20_000)
    const one = letters.redrive({}, { by: 'eva', reason: 'mended' })
    const other = deadLetters(database).discard({}, { by: 'ada', reason: 'too old' })
    const ids = [...(await one).ids, ...(await other).ids].sort((a, b) => a - b)
    expect(ids).toEqual([...new Set(ids)])
    expect(ids).toHaveLength(60)
    expect((await letters.history()).filter(({ action }) => action === 'redrive')).toHaveLength((await one).ids.length)
  })

  it('keeps what PostgreSQL has no place for: the character NUL becomes a sign for it, and nothing stands still', async () => {
    const bus = await openBus()
    const orders = open((await place()).url, 'orders')
    await start(relay(), orders, bus)
    const { effects, letters } = await audience(bus, new Set(['a\0b']), { retry: { attempts: 1 } })
    await take(orders, { id: 'a\0b', n: 1 }, { id: 'good', n: 1 })
    await vi.waitFor(async () => expect(await effects()).toEqual([{ id: 'good', n: 1 }]), 10_000)
    await vi.waitFor(async () => expect(await letters.list()).toHaveLength(1), 10_000)
  })

  it('lets people find and decide about a message in whose id and key it stands', async () => {
    const bus = await openBus()
    const broken = new Set(['bad'])
    const { numbersOf, letters } = await audience(bus, broken, { retry: { attempts: 1 }, pollMs: 50 })
    const [key, reason] = ['a\0b', 'mended\0']
    await bus.publish([{ ...envelopeOf('bad', 1), id: 'x\0y', subject: key }])
    await vi.waitFor(async () => expect(await letters.list()).toHaveLength(1), 10_000)
    expect(await letters.list({ key })).toHaveLength(1)
    broken.clear()
    await letters.redrive({ key }, { by: 'eva', reason })
    await vi.waitFor(async () => expect(await numbersOf('bad')).toEqual([1]), 10_000)
    expect(await letters.history()).toMatchObject([{ action: 'redrive', messageId: 'x\ufffdy', why: 'mended\ufffd' }])
  })

  describe('with keys and ids longer than an index takes', () => {
    // Random, or the server would press it together.
    const long = () => randomBytes(6_000).toString('base64')

    it('parks such a key and redrives it, its events in order behind each other, found by the whole of it', async () => {
      const bus = await openBus()
      const orders = open((await place()).url, 'orders')
      await start(relay(fast), orders, bus)
      const key = long()
      const broken = new Set([key])
      const { numbersOf, letters } = await audience(bus, broken, { retry: { attempts: 1 }, pollMs: 50 })
      await take(orders, { id: key, n: 1 }, { id: 'good', n: 1 }, { id: key, n: 2 })
      await vi.waitFor(async () => expect(await numbersOf('good')).toEqual([1]), 10_000)
      await vi.waitFor(async () => expect(await letters.stats()).toMatchObject([{ parkedKeys: 1, deadLetters: 1, waiting: 1 }]), 10_000)
      const [letter] = await letters.list({ key })
      expect(letter?.key).toBe(key)
      expect(await letters.show(letter?.id ?? 0)).toMatchObject({ followers: 1 })
      broken.clear()
      await letters.redrive({ key }, { by: 'eva', reason: 'mended' })
      await take(orders, { id: key, n: 3 })
      await vi.waitFor(async () => expect(await numbersOf(key)).toEqual([1, 2, 3]), 10_000)
    })

    it('handles an event with such an id once, and parks it like any other', async () => {
      const bus = await openBus()
      const { effects, letters, database } = await audience(bus, new Set(['bad']), { retry: { attempts: 1 } })
      const foreign = (id: string, seat: string, n: number) => ({ ...envelopeOf(seat, n), id })
      const [one, bad] = [long(), long()]
      await bus.publish([foreign(one, 'A1', 1), foreign(one, 'A1', 1), foreign(bad, 'bad', 1), foreign('after', 'B1', 1)])
      await vi.waitFor(async () => expect(await effects()).toHaveLength(2), 10_000)
      expect(await effects()).toEqual(
        expect.arrayContaining([
          { id: 'A1', n: 1 },
          { id: 'B1', n: 1 },
        ]),
      )
      await vi.waitFor(async () => expect(await letters.list()).toMatchObject([{ key: 'bad', messageId: bad }]), 10_000)
      expect(await database.read((tx) => tx.sql`select count(*) as n from banyan_inbox`)).toEqual([{ n: 3 }])
    })

    it('relays past such a key that the bus refuses, and what comes later of it waits', async () => {
      const orders = open((await place()).url, 'orders')
      const key = long()
      const sent: string[] = []
      let refusing = true
      const choosy: Bus = {
        ...(await openBus()),
        async publish(batch) {
          if (refusing && batch.some(({ subject }) => subject === key))
            throw Object.assign(new Error('too large'), { code: 'ERR_BUS_REFUSED' })
          sent.push(...batch.map(({ subject, data }) => `${subject.slice(0, 4)} ${(data as Seat).n}`))
        },
      }
      await take(orders, { id: key, n: 1 }, { id: 'good', n: 1 })
      await start(relay({ retry: { attempts: 1 } }), orders, choosy)
      const letters = deadLetters(orders)
      await vi.waitFor(async () => expect(await letters.list({ key })).toHaveLength(1), 10_000)
      refusing = false
      await take(orders, { id: key, n: 2 }, { id: 'good', n: 2 })
      const head = key.slice(0, 4)
      await vi.waitFor(async () => expect(await letters.stats()).toMatchObject([{ deadLetters: 1, waiting: 1 }]), 10_000)
      await vi.waitFor(() => expect([...sent].sort()).toEqual(['good 1', 'good 2']), 10_000)
      await letters.redrive({ key }, { by: 'eva', reason: 'the bus takes it now' })
      await vi.waitFor(() => expect(sent.filter((one) => one.startsWith(head))).toEqual([`${head} 1`, `${head} 2`]), 10_000)
      await vi.waitFor(async () => expect(await letters.stats()).toEqual([]), 10_000)
    })
  })
})
