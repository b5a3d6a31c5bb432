import { decodeEnvelope, type Logger, type ManualWorld, manualWorld, type StorePort, silentLogger } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { deadLetters } from './dead-letters.ts'
import { keyQueuePort, type OutboxLog, outboxLogPort } from './ports.ts'
import { publish } from './publish.ts'
import { relay } from './relay.ts'
import { contextOf, type TestDatabase, testDatabase, timersLeft } from './test/database.ts'
import { seatTaken } from './test/events.ts'
import { type MemoryBus, memoryBus } from './test/memory-bus.ts'

function setUp() {
  const world = manualWorld()
  const database = testDatabase(world)
  const bus = memoryBus()
  return { world, database, bus, context: contextOf(world, { database, bus }) }
}

function take(database: TestDatabase, ...seats: string[]): Promise<void> {
  return database.transaction(async (tx) => {
    for (const seat of seats) {
      const [id = '', n] = seat.split('-')
      await publish(tx, seatTaken, { id, n: Number(n) })
    }
  })
}

const seatsOf = (bus: MemoryBus) => bus.published.map(({ data }) => Object.values(data as object).join('-'))
/** Without what came again, and what is there to show that the bus is. */
const once = (bus: MemoryBus) => [...new Set(seatsOf(bus))].filter((seat) => !seat.startsWith('other'))

/** Lets time pass while others publish and the bus takes it. */
async function busy(world: ManualWorld, database: TestDatabase, forMs: number): Promise<void> {
  const others = ['other1', 'other2', 'other3', 'other4', 'other5']
  for (const end = world.now() + forMs; world.now() < end; await world.advance(5_000))
    await take(database, ...others.map((other) => `${other}-${world.now()}`))
}
const settle = (world: ManualWorld) => world.advance(0)

describe('relay', () => {
  it('moves what was committed at once, in order, and writes nothing when idle', async () => {
    const { world, database, bus, context } = setUp()
    const component = relay()
    await component.start(context)
    await world.advance(60_000)
    expect((await database.state()).lease).toMatchObject({ kind: 'free', epoch: 0 })
    await take(database, 'A1-1', 'A2-1', 'A1-2')
    await settle(world)
    expect(seatsOf(bus)).toEqual(['A1-1', 'A2-1', 'A1-2'])
    expect(await component.health?.()).toEqual({ healthy: true, detail: 'backlog 0' })
    await component.stop()
    expect(await timersLeft(world)).toBe(0)
  })

  it('finds what another process committed within the longest poll', async () => {
    const { world, database, bus, context } = setUp()
    await relay().start(context)
    await world.advance(60_000)
    // Written behind the back of the store that wakes.
    const body = JSON.stringify(bodyOf('B'))
    await database.transaction((tx) => tx.sql`insert into banyan_outbox (type, key, body, time) values ('seat.taken', 'B', ${body}, 0)`)
    await world.advance(1_000)
    expect(bus.published).toHaveLength(1)
  })

  it('finds it so soon also where the longest poll is shorter than the shortest one is by default', async () => {
    const { world, database, bus, context } = setUp()
    const component = relay({ maxPollMs: 2 })
    await component.start(context)
    await settle(world)
    const body = JSON.stringify(bodyOf('B'))
    await database.transaction((tx) => tx.sql`insert into banyan_outbox (type, key, body, time) values ('seat.taken', 'B', ${body}, 0)`)
    await world.advance(2)
    expect(bus.published).toHaveLength(1)
    await component.stop()
  })

  it('repeats what it had not marked when it died, and the next one goes on from there within the lease', async () => {
    const { world, database, bus, context } = setUp()
    await take(database, 'A1-1', 'A1-2')
    // The world of a process that dies stands still: it renews nothing.
    const stopped = manualWorld()
    bus.onPublish = async (batch) => {
      bus.published.push(...batch)
      await new Promise(() => {})
    }
    await relay().start({ ...context, world: stopped })
    await settle(stopped)
    expect(seatsOf(bus)).toEqual(['A1-1', 'A1-2'])
    expect(await database.state()).toMatchObject({ done: 0, lease: { kind: 'held', epoch: 1 } })

    bus.onPublish = () => {}
    bus.published.length = 0
    await relay().start({ ...context, instanceId: 'orders-2' })
    await world.advance(1_400)
    expect(seatsOf(bus)).toEqual([])
    await world.advance(200)
    expect(seatsOf(bus)).toEqual(['A1-1', 'A1-2'])
    expect(await database.state()).toMatchObject({ done: 2, lease: { epoch: 2 } })
  })

  it('marks and parks nothing after it slept through its lease, and keeps still while another has it', async () => {
    const { world, database, bus, context } = setUp()
    let published = 0
    let wakeUp = () => {}
    bus.onPublish = async () => {
      published += 1
      await new Promise<void>((resolve) => {
        wakeUp = resolve
      })
      throw Object.assign(new Error('too large'), { code: 'ERR_BUS_REFUSED' })
    }
    const sleeper = relay()
    await sleeper.start(context)
    await take(database, 'A1-1')
    await settle(world)
    // Another took over meanwhile and has not moved yet.
    const taken = { kind: 'held', epoch: 2, owner: 'another', expiresAt: world.now() + 10_000 } as const
    await database.transaction((tx) => tx.store(outboxLogPort).saveLease(tx, 0, taken))
    wakeUp()
    await settle(world)
    wakeUp()
    await world.advance(4_000)
    expect(published).toBe(2)
    expect(await database.state()).toMatchObject({ done: 0, queue: [], lease: { owner: 'another', epoch: 2 } })
    expect((await database.state()).outbox).toHaveLength(1)
  })

  it('keeps its lease while the bus is slow', async () => {
    const { world, database, bus, context } = setUp()
    bus.onPublish = () => new Promise((resolve) => void world.after(10_000, resolve))
    const slow = relay()
    const other = relay()
    await slow.start(context)
    await take(database, 'A1-1')
    await settle(world)
    await other.start({ ...context, instanceId: 'orders-2' })
    await world.advance(9_000)
    expect((await database.state()).lease).toMatchObject({ epoch: 1 })
    await world.advance(2_000)
    expect(bus.published).toHaveLength(1)
    expect((await database.state()).done).toBe(1)
    await Promise.all([slow.stop(), other.stop()])
    expect(await timersLeft(world)).toBe(0)
  })

  it('takes over from one that died before the clock was set back by an hour', async () => {
    const { world, database, bus, context } = setUp()
    const held = { kind: 'held', epoch: 1, owner: 'another', expiresAt: world.now() + 1_500 } as const
    await database.transaction(async (tx) => {
      await tx.store(outboxLogPort).load(tx, 0)
      await tx.store(outboxLogPort).saveLease(tx, 0, held)
    })
    await take(database, 'A1-1')
    world.jump(-3_600_000)
    const component = relay()
    await component.start(context)
    await world.advance(4_000)
    expect(seatsOf(bus)).toEqual([])
    await world.advance(2_500)
    expect(seatsOf(bus)).toEqual(['A1-1'])
    await component.stop()
  })

  it('gives its lease back when it stops, so that the next one starts at once', async () => {
    const { world, database, bus, context } = setUp()
    const first = relay()
    await first.start(context)
    await take(database, 'A1-1')
    await settle(world)
    await first.stop()
    expect((await database.state()).lease).toMatchObject({ kind: 'free', epoch: 1 })
    await relay().start(context)
    await take(database, 'A1-2')
    await settle(world)
    expect(seatsOf(bus)).toEqual(['A1-1', 'A1-2'])
  })

  it('parks and loses nothing while the bus is away, stays healthy, and says so', async () => {
    const { world, database, bus, context } = setUp()
    const component = relay()
    await component.start(context)
    bus.onPublish = () => {
      throw new Error('connection refused')
    }
    await take(database, 'A1-1', 'A2-1', 'A1-2')
    await world.advance(120_000)
    expect((await database.state()).queue).toEqual([])
    expect(await component.health?.()).toEqual({
      healthy: true,
      detail: 'backlog 3, the oldest 120000 ms old; last error: connection refused',
    })
    bus.onPublish = () => {}
    await world.advance(6_000)
    expect(seatsOf(bus)).toEqual(['A1-1', 'A2-1', 'A1-2'])
  })

  it('parks the key of an event the bus does not take, lets others flow, and sends the rest in order after a redrive', async () => {
    const { world, database, bus, context } = setUp()
    const component = relay()
    await component.start(context)
    bus.onPublish = (batch) => {
      if (batch.some(({ subject }) => subject === 'bad')) throw new Error('too large')
    }
    await take(database, 'bad-1', 'good-1', 'bad-2', 'good-2')
    await world.advance(60_000)
    await take(database, 'bad-3', 'good-3')
    await busy(world, database, 200_000)
    expect(once(bus)).toEqual(['good-1', 'good-2', 'good-3'])
    const letters = deadLetters(database, { world })
    expect(await letters.list()).toMatchObject([
      { group: 'orders/relay', key: 'bad', type: 'seat.taken', attempts: 6, message: 'too large' },
    ])
    expect(await letters.stats()).toMatchObject([{ group: 'orders/relay', parkedKeys: 1, deadLetters: 1, waiting: 2 }])

    bus.onPublish = () => {}
    await letters.redrive({}, { by: 'eva', reason: 'limit raised' })
    await settle(world)
    expect(once(bus)).toEqual(['good-1', 'good-2', 'good-3', 'bad-1', 'bad-2', 'bad-3'])
    expect((await database.state()).queue).toEqual([])
    await component.stop()
    expect(await timersLeft(world)).toBe(0)
  })

  it('keeps an event that it cannot read, as it stands there, and parks one that it can as its envelope', async () => {
    const { world, database, bus, context } = setUp()
    bus.onPublish = (batch) => {
      if (batch.some(({ subject }) => subject === 'bad')) throw Object.assign(new Error('too large'), { code: 'ERR_EVENT_TOO_LARGE' })
    }
    await database.transaction((tx) => tx.sql`insert into banyan_outbox (type, key, body, time) values ('', '', '[rubbish', 0)`)
    await take(database, 'bad-1')
    const component = relay()
    await component.start(context)
    await busy(world, database, 200_000)
    const letters = deadLetters(database, { world })
    const [rubbish, bad] = await letters.list()
    expect(rubbish).toMatchObject({ reason: 'undecodable', messageId: 'outbox-1', raw: '[rubbish', envelope: undefined })
    expect(bad).toMatchObject({ key: 'bad', type: 'seat.taken', envelope: { subject: 'bad', data: { id: 'bad', n: 1 } } })
    expect(decodeEnvelope(bad?.raw ?? '')).toEqual(bad?.envelope)
    await component.stop()
  })

  it.each(['a\ud800b', 'a\0b', 'a\0\udfffb'])('lets nothing of the parked key %j overtake what is parked', async (key) => {
    const { world, database, bus, context } = setUp()
    const component = relay()
    await component.start(context)
    bus.onPublish = (batch) => {
      if (batch.some(({ subject }) => subject === key)) throw Object.assign(new Error('too large'), { code: 'ERR_EVENT_TOO_LARGE' })
    }
    await take(database, `${key}-1`)
    await busy(world, database, 200_000)
    bus.onPublish = () => {}
    await take(database, `${key}-2`, 'good-1')
    await world.advance(5_000)
    expect(once(bus)).toEqual(['good-1'])
    await deadLetters(database, { world }).redrive({}, { by: 'eva', reason: 'limit raised' })
    await world.advance(5_000)
    expect(once(bus)).toEqual(['good-1', `${key}-1`, `${key}-2`])
    await component.stop()
  })

  it('sends what a relay of an older version has parked unread, once it is redriven', async () => {
    const { world, database, bus, context } = setUp()
    await take(database, 'A1-1')
    const [stored] = await database.read((tx) => tx.sql<{ body: string }>`select body from banyan_outbox`)
    const failure = { reason: 'undecodable', code: undefined, message: 'not an object', stack: undefined, firstAt: 0, lastAt: 0 } as const
    await database.transaction(async (tx) => {
      const parking = { kind: 'dead', attempts: 1, failure } as const
      const message = {
        group: 'orders/relay',
        lane: 'A1',
        messageId: 'outbox-1',
        type: undefined,
        key: 'A1',
        traceId: undefined,
        parkedAt: 0,
      }
      await database.store(keyQueuePort).push(tx, { ...message, raw: stored?.body ?? '', parking })
      await tx.sql`update banyan_outbox_lease set done = 1`
    })
    const component = relay()
    await component.start(context)
    await settle(world)
    expect(bus.published).toEqual([])
    await deadLetters(database, { world }).redrive({}, { by: 'eva', reason: 'the new relay runs' })
    await world.advance(5_000)
    expect(seatsOf(bus)).toEqual(['A1-1'])
    await component.stop()
  })

  it('finds the keys behind more events of one key than a batch holds, when the bus takes none of these', async () => {
    const { world, database, bus, context } = setUp()
    const component = relay({ batchSize: 5 })
    bus.onPublish = (batch) => {
      if (batch.some(({ subject }) => subject === 'bad')) throw new Error('too large')
    }
    await take(database, ...Array.from({ length: 40 }, (_, n) => `bad-${n}`), 'good-1', 'good-2')
    await component.start(context)
    await world.advance(60_000)
    await busy(world, database, 200_000)
    expect(once(bus)).toEqual(['good-1', 'good-2'])
    const letters = deadLetters(database, { world })
    expect(await letters.stats()).toMatchObject([{ parkedKeys: 1, deadLetters: 1, waiting: 39 }])
    bus.onPublish = () => {}
    await letters.redrive({}, { by: 'eva', reason: 'limit raised' })
    await world.advance(5_000)
    expect(seatsOf(bus).filter((seat) => seat.startsWith('bad'))).toEqual(Array.from({ length: 40 }, (_, n) => `bad-${n}`))
    await component.stop()
  })

  it('finds the keys behind such events also where they are large, and a read brings but a few of them', async () => {
    const { world, database, bus, context } = setUp()
    const asked: number[] = []
    const log = database.store(outboxLogPort)
    const few: OutboxLog = {
      ...log,
      async read(partition, after, limit) {
        asked.push(limit)
        return (await log.read(partition, after, limit)).slice(0, 5)
      },
    }
    // The one port that is not as it was.
    const store = <T>(port: StorePort<T>) => (port.name === outboxLogPort.name ? (few as T) : database.store(port))
    bus.onPublish = (batch) => {
      if (batch.some(({ subject }) => subject === 'bad')) throw new Error('too large')
    }
    await take(database, ...Array.from({ length: 100 }, (_, n) => `bad-${n}`), 'good-1', 'good-2')
    const component = relay({ batchSize: 20 })
    await component.start({ ...context, database: { ...database, store } })
    await world.advance(300_000)
    expect(once(bus)).toEqual(['good-1', 'good-2'])
    // What the store would have to bring at once does not grow with the failures.
    expect(Math.max(...asked)).toBe(20)
    await component.stop()
  })

  it('finds the keys behind such events also where several relays hand each other the lease meanwhile', async () => {
    const { world, database, bus, context } = setUp()
    const relays = Array.from({ length: 4 }, () => relay({ batchSize: 5 }))
    bus.onPublish = (batch) => {
      if (batch.some(({ subject }) => subject === 'bad')) throw new Error('too large')
    }
    await take(database, ...Array.from({ length: 300 }, (_, n) => `bad-${n}`), 'good-1', 'good-2')
    for (const [n, component] of relays.entries()) await component.start({ ...context, instanceId: `orders-${n}` })
    await world.advance(300_000)
    expect(once(bus)).toEqual(['good-1', 'good-2'])
    expect(await deadLetters(database).stats()).toMatchObject([{ parkedKeys: 1, waiting: 300 }])
    await Promise.all(relays.map((component) => component.stop()))
    expect(await timersLeft(world)).toBe(0)
  })

  it('says no more that nothing moves once another relay moves what it could not', async () => {
    const { world, database, bus, context } = setUp()
    const cutOff = memoryBus()
    cutOff.onPublish = () => {
      throw new Error('no route to host')
    }
    bus.onPublish = () => new Promise<void>((resolve) => void world.after(10_000, resolve))
    const one = relay({ batchSize: 1 })
    await one.start({ ...context, bus: cutOff })
    await take(database, ...Array.from({ length: 50 }, (_, n) => `A1-${n}`))
    await world.advance(1_000)
    expect(await one.health?.()).toMatchObject({ detail: expect.stringContaining('no route to host') })
    const other = relay({ batchSize: 1 })
    await other.start({ ...context, instanceId: 'orders-2' })
    await world.advance(200_000)
    expect((await one.health?.())?.detail).toMatch(/^backlog [1-4]\d, the oldest \d+ ms old$/)
    const stopped = Promise.all([one.stop(), other.stop()])
    await world.advance(60_000)
    await stopped
  })

  it.each(['all is quiet', 'others publish', 'one call in four succeeds'])(
    'makes no dead letter of a parked event while the bus is away, where %s',
    async (meanwhile) => {
      const { world, database, bus, context } = setUp()
      const component = relay({ retry: { baseMs: 100, attempts: 2 } })
      await component.start(context)
      let state: 'there' | 'choosy' | 'away' = 'choosy'
      let calls = 0
      bus.onPublish = (batch) => {
        const isParked = batch.some(({ subject }) => subject === 'A1')
        if (state === 'there' || (state === 'choosy' && !isParked)) return
        if (!isParked) calls += 1
        if (isParked || meanwhile !== 'one call in four succeeds' || calls % 4 > 0) throw new Error('connection refused')
      }
      await take(database, 'A1-1', 'A2-1', 'A1-2')
      await world.advance(10_000)
      expect(await deadLetters(database).stats()).toMatchObject([{ parkedKeys: 1, deadLetters: 0 }])
      state = 'away'
      if (meanwhile === 'all is quiet') await world.advance(600_000)
      else await busy(world, database, 600_000)
      expect(await deadLetters(database).stats()).toMatchObject([{ parkedKeys: 1, deadLetters: 0, waiting: 2 }])
      state = 'there'
      await world.advance(60_000)
      expect(once(bus)).toEqual(['A2-1', 'A1-1', 'A1-2'])
      expect(await deadLetters(database).stats()).toEqual([])
      await component.stop()
    },
  )

  it('makes no dead letter of an event that is redriven while the bus is away', async () => {
    const { world, database, bus, context } = setUp()
    const component = relay({ retry: { attempts: 1 } })
    await component.start(context)
    const letters = deadLetters(database, { world })
    let isThere = true
    bus.onPublish = (batch) => {
      if (!isThere || batch.some(({ subject }) => subject === 'bad')) throw new Error('connection refused')
    }
    await take(database, 'bad-1', 'good-1')
    await busy(world, database, 60_000)
    expect(await letters.stats()).toMatchObject([{ deadLetters: 1 }])
    // The first time the bus is there, and the event is to blame once more.
    await letters.redrive({}, { by: 'eva', reason: 'limit raised' })
    await busy(world, database, 200_000)
    expect(await letters.stats()).toMatchObject([{ deadLetters: 1 }])
    isThere = false
    await letters.redrive({}, { by: 'eva', reason: 'limit raised further' })
    await busy(world, database, 200_000)
    expect(await letters.stats()).toMatchObject([{ deadLetters: 0, waiting: 1 }])
    await component.stop()
  })

  it('parks no key when the bus comes back while events are sent one by one, whenever that is', async () => {
    for (const backAfter of [1, 7, 40, 110]) {
      const { world, database, bus, context } = setUp()
      let failures = 0
      let back = Number.POSITIVE_INFINITY
      const debug = (fields: { failures?: number }) => {
        failures = fields.failures ?? failures
      }
      const parked: object[] = []
      const log: Logger = { ...silentLogger, debug, error: (fields) => void parked.push(fields) }
      bus.onPublish = async () => {
        back -= 1
        if (back < 0) return
        await new Promise<void>((resolve) => void world.after(20, resolve))
        throw new Error('timed out')
      }
      const component = relay()
      await component.start({ ...context, log })
      await take(database, ...Array.from({ length: 150 }, (_, n) => `S${n}-1`), ...Array.from({ length: 150 }, (_, n) => `S${n}-2`))
      while (failures < 7) await world.advance(100)
      back = backAfter
      await world.advance(30_000)
      expect(parked).toEqual([])
      expect(new Set(seatsOf(bus)).size).toBe(300)
      for (let n = 0; n < 150; n += 1) expect(once(bus).filter((seat) => seat.startsWith(`S${n}-`))).toEqual([`S${n}-1`, `S${n}-2`])
      await component.stop()
    }
  })

  it('stops after the event that is with the bus, however many are to be sent one by one', async () => {
    const { world, database, bus, context } = setUp()
    let calls = 0
    bus.onPublish = async () => {
      calls += 1
      await new Promise<void>((resolve) => void world.after(1_000, resolve))
      throw new Error('timed out')
    }
    const component = relay()
    await component.start(context)
    await take(database, ...Array.from({ length: 300 }, (_, n) => `S${n}-1`))
    // In the middle of its eighth step one by one.
    while (calls < 200) await world.advance(1_000)
    const before = calls
    const stopped = component.stop()
    await world.advance(1_500)
    await stopped
    expect(calls - before).toBeLessThanOrEqual(1)
    expect((await database.state()).lease).toMatchObject({ kind: 'free' })
    expect(await timersLeft(world)).toBe(0)
  })

  it('sends again what it could not mark, and marks it then', async () => {
    const { world, database, bus, context } = setUp()
    const component = relay({ batchSize: 2 })
    await component.start(context)
    let broken = false
    bus.onPublish = () => {
      // The database goes away while the first batch is with the bus.
      if (!broken) database.breakWith(new Error('disk full'))
      broken = true
    }
    await take(database, 'A1-1', 'A1-2', 'A1-3')
    await world.advance(2_000)
    database.breakWith(undefined)
    await world.advance(10_000)
    expect((await database.state()).done).toBe(3)
    const first = seatsOf(bus).filter((seat, index, all) => all.indexOf(seat) === index)
    expect(first).toEqual(['A1-1', 'A1-2', 'A1-3'])
    expect(seatsOf(bus).filter((seat) => seat === 'A1-1').length).toBeGreaterThan(1)
    await component.stop()
  })

  it('goes on when the database comes back', async () => {
    const { world, database, bus, context } = setUp()
    await relay().start(context)
    await take(database, 'A1-1')
    database.breakWith(new Error('disk full'))
    await world.advance(20_000)
    database.breakWith(undefined)
    await world.advance(6_000)
    expect(seatsOf(bus)).toEqual(['A1-1'])
  })

  it.each([{ batchSize: 0 }, { leaseMs: -1 }, { maxPollMs: 1.5 }, { retry: { attempts: 0 } }])('refuses %j', (options) => {
    expect(() => relay(options)).toThrow(RangeError)
  })

  it('refuses a shortest poll that is longer than the longest', () => {
    const wanted = 'cannot create relay: "minPollMs" is 60000, wanted at most "maxPollMs", which is 1000'
    expect(() => relay({ minPollMs: 60_000 })).toThrow(new RangeError(wanted))
    expect(() => relay({ maxPollMs: Number.NaN })).toThrow('"maxPollMs" is NaN')
  })
})

function bodyOf(id: string) {
  return {
    specversion: '1.0',
    id,
    source: 'orders',
    type: 'seat.taken',
    subject: id,
    time: '2026-01-01T00:00:00.000Z',
    dataschema: 'seat.taken/1',
    data: { id, n: 1 },
  }
}
