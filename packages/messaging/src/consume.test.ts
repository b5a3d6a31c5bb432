import { event, manualWorld, type Schema, type Transaction } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { type ConsumeOptions, consume } from './consume.ts'
import { deadLetters } from './dead-letters.ts'
import { publish } from './publish.ts'
import { addEffect, contextOf, testDatabase, timersLeft } from './test/database.ts'
import { seatFreed, seatTaken, taken } from './test/events.ts'
import { memoryBus } from './test/memory-bus.ts'

type Types = readonly [typeof seatTaken, typeof seatFreed]

/** A running consumer whose handler writes `A1-1` for seat A1, number 1, unless `fails` says no. */
async function setUp(options: ConsumeOptions<Types, unknown> = {}, handler?: (id: string, tx: Transaction) => Promise<void>) {
  const world = manualWorld()
  const database = testDatabase(world)
  const bus = memoryBus()
  const test = { fails: (_id: string) => false, runs: [] as string[] }
  const component = consume(
    [seatTaken, seatFreed] as Types,
    async ({ data, id }, tx) => {
      test.runs.push(id)
      await addEffect(tx, `${data.id}-${data.n}`)
      await handler?.(id, tx)
      if (test.fails(id)) throw Object.assign(new Error('no such row'), { code: 'ERR_ROW' })
    },
    options,
  )
  await component.start(contextOf(world, { database, bus }))
  const effects = async () => (await database.state()).effects
  return { world, database, bus, component, test, effects, letters: deadLetters(database, { world }) }
}

describe('consume', () => {
  it('has the effects of each event once, however often it comes', async () => {
    const { bus, effects, test } = await setUp()
    await bus.deliver(taken('A1', 1), taken('A1', 1), taken('A1', 2))
    await bus.deliver(taken('A1', 1), taken('A1', 2))
    expect(await effects()).toEqual(['A1-1', 'A1-2'])
    expect(test.runs).toEqual(['A1-1', 'A1-2'])
  })

  it('commits what the handler publishes with its effects, caused by the event', async () => {
    const { bus, database } = await setUp({}, (_id, tx) => publish(tx, seatTaken, { id: 'A2', n: 9 }))
    await bus.deliver(taken('A1', 1, { correlationid: 'booking 7' }))
    const { outbox } = await database.state()
    expect(outbox[0]).toMatchObject({ correlationid: 'booking 7', causationid: 'A1-1', source: 'orders' })
  })

  it('hands the correlation, the causation and the trace on to what `prepare` publishes in transactions of its own', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const { bus, database } = await setUp({
      prepare: async ({ key }, context) => {
        await context.database.transaction((tx) => publish(tx, seatTaken, { id: `${key} asked for`, n: 1 }))
        await context.database.transaction((tx) => publish(tx, seatTaken, { id: `${key} answered`, n: 1 }))
      },
    })
    await bus.deliver(taken('A1', 1, { correlationid: 'booking 7', traceparent }), taken('B1', 1))
    const { outbox } = await database.state()
    const published = (id: string) => outbox.find(({ subject }) => subject === id)
    for (const id of ['A1 asked for', 'A1 answered'])
      expect(published(id)).toMatchObject({ correlationid: 'booking 7', causationid: 'A1-1', traceparent })
    expect(published('B1 answered')).toMatchObject({ correlationid: 'B1-1', causationid: 'B1-1' })
  })

  it('runs different keys at once and one key in order, with `prepare` outside the transaction', async () => {
    const log: string[] = []
    const { bus, world, effects, component } = await setUp({
      prepare: async ({ id, key }, context) => {
        log.push(`begin ${id}`)
        await new Promise<void>((resolve) => void context.world.after(key === 'A1' ? 100 : 10, resolve))
        log.push(`end ${id}`)
      },
    })
    const handled = bus.deliver(taken('A1', 1), taken('A1', 2), taken('B1', 1))
    await world.advance(1_000)
    await handled
    expect(log).toEqual(['begin A1-1', 'begin B1-1', 'end B1-1', 'end A1-1', 'begin A1-2', 'end A1-2'])
    expect(await effects()).toEqual(['B1-1', 'A1-1', 'A1-2'])
    await component.stop()
    expect(await timersLeft(world)).toBe(0)
  })

  it('runs at most `concurrency` keys at once', async () => {
    let now = 0
    let most = 0
    const { bus, world } = await setUp({
      concurrency: 3,
      prepare: async (_event, context) => {
        now += 1
        most = Math.max(most, now)
        await new Promise<void>((resolve) => void context.world.after(10, resolve))
        now -= 1
      },
    })
    const handled = bus.deliver(...Array.from({ length: 10 }, (_, n) => taken(`S${n}`, 1)))
    await world.advance(1_000)
    await handled
    expect(most).toBe(3)
  })

  it('gives what `prepare` found to the handler, and does not prepare what is known or waits', async () => {
    const world = manualWorld()
    const database = testDatabase(world)
    const bus = memoryBus()
    const prepared: string[] = []
    const component = consume(
      seatTaken,
      async (_event, tx, price: { cents: number }) => {
        if (price.cents === 1) throw new Error('too cheap')
        await addEffect(tx, `${price.cents} cents`)
      },
      {
        prepare: async ({ id, data }) => {
          prepared.push(id)
          return { cents: data.n }
        },
        retry: { attempts: 1 },
      },
    )
    await component.start(contextOf(world, { database, bus }))
    await bus.deliver(taken('A1', 7), taken('B1', 1), taken('B1', 2))
    await bus.deliver(taken('A1', 7))
    expect((await database.state()).effects).toEqual(['7 cents'])
    expect(prepared).toEqual(['A1-7', 'B1-1'])
  })

  it('tells events of two sources apart that have the same id, handled or parked', async () => {
    const { bus, world, effects, test, letters } = await setUp({ retry: { attempts: 1 } })
    await bus.deliver(taken('A1', 1, { id: '1', source: 'one' }), taken('B1', 1, { id: '1', source: 'two' }))
    expect(await effects()).toEqual(['A1-1', 'B1-1'])
    test.fails = () => true
    await bus.deliver(taken('A1', 2, { id: '2', source: 'one' }), taken('B1', 2, { id: '2', source: 'two' }))
    expect(await letters.list()).toMatchObject([
      { key: 'A1', messageId: '2', envelope: { source: 'one' } },
      { key: 'B1', messageId: '2', envelope: { source: 'two' } },
    ])
    await bus.again()
    test.fails = () => false
    await letters.redrive({}, { by: 'eva', reason: 'mended' })
    await world.advance(10_000)
    expect(await effects()).toEqual(['A1-1', 'B1-1', 'A1-2', 'B1-2'])
    expect(await letters.history()).toMatchObject([{ messageId: '2' }, { messageId: '2' }])
  })

  it('retries a failed event with growing pauses and lets later ones of its key wait, others flow', async () => {
    const { bus, world, effects, test, database } = await setUp()
    test.fails = (id) => id === 'A1-1'
    await bus.deliver(taken('A1', 1), taken('A1', 2), taken('B1', 1))
    expect(await effects()).toEqual(['B1-1'])
    expect((await database.state()).queue.map(({ messageId, kind }) => [messageId, kind])).toEqual([
      ['["box-office","A1-1"]', 'due'],
      ['["box-office","A1-2"]', 'waiting'],
    ])
    await world.advance(50)
    test.fails = () => false
    await world.advance(10_000)
    expect(await effects()).toEqual(['B1-1', 'A1-1', 'A1-2'])
    expect((await database.state()).queue).toEqual([])
  })

  it('runs a parked message once at a time, also when others become due meanwhile', async () => {
    let runs = 0
    const { bus, world, test, effects } = await setUp({
      retry: { baseMs: 0 },
      prepare: async ({ key }, context) => {
        if (key !== 'A1') return
        runs += 1
        await new Promise<void>((resolve) => void context.world.after(500, resolve))
      },
    })
    test.fails = () => true
    const handled = bus.deliver(taken('A1', 1))
    await world.advance(500)
    await handled
    test.fails = () => false
    await world.advance(100)
    expect(runs).toBe(2)
    for (let n = 1; n <= 5; n += 1) {
      test.fails = () => true
      await bus.deliver(taken(`B${n}`, 1))
      test.fails = () => false
      await world.advance(10)
    }
    expect(runs).toBe(2)
    await world.advance(1_000)
    expect(runs).toBe(2)
    expect(await effects()).toContain('A1-1')
  })

  it('makes a dead letter of what fails every time, with all that is known', async () => {
    const { bus, world, test, letters, component } = await setUp({ retry: { attempts: 3 } })
    test.fails = (id) => id === 'A1-1'
    await bus.deliver(taken('A1', 1, { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }), taken('A1', 2))
    await world.advance(10_000)
    expect(test.runs).toEqual(['A1-1', 'A1-1', 'A1-1'])
    const [letter] = await letters.list()
    expect(letter).toMatchObject({
      group: 'orders/seat.taken+seat.freed',
      type: 'seat.taken',
      key: 'A1',
      reason: 'failed',
      code: 'ERR_ROW',
      message: 'no such row',
      attempts: 3,
      traceId: '0af7651916cd43dd8448eb211c80319c',
      envelope: { id: 'A1-1' },
    })
    expect(letter?.stack).toContain('no such row')
    expect(letter?.lastAt).toBeGreaterThan(letter?.firstAt ?? 0)
    expect(await component.health?.()).toEqual({ healthy: true, detail: '1 keys parked, 1 dead letters' })
  })

  it('runs a redriven letter at once and those behind it in order', async () => {
    const { bus, world, effects, test, letters } = await setUp({ retry: { attempts: 1 } })
    test.fails = (id) => id === 'A1-1'
    await bus.deliver(taken('A1', 1), taken('A1', 2), taken('A1', 3))
    await bus.deliver(taken('A1', 4))
    test.fails = () => false
    expect(await letters.redrive({ key: 'A1' }, { by: 'eva', reason: 'fixed', dryRun: true })).toEqual({ ids: [1], dryRun: true })
    await world.advance(5_000)
    expect(await effects()).toEqual([])
    await letters.redrive({ key: 'A1' }, { by: 'eva', reason: 'fixed' })
    await world.advance(0)
    expect(await effects()).toEqual(['A1-1', 'A1-2', 'A1-3', 'A1-4'])
    expect(await letters.history()).toMatchObject([{ action: 'redrive', by: 'eva', why: 'fixed', messageId: 'A1-1' }])
  })

  it('lets those behind a discarded letter flow', async () => {
    const { bus, world, effects, test, letters } = await setUp({ retry: { attempts: 1 } })
    test.fails = (id) => id === 'A1-1'
    await bus.deliver(taken('A1', 1), taken('A1', 2))
    expect(await letters.discard({ id: 1 }, { by: 'eva', reason: 'a test order' })).toEqual({ ids: [1], dryRun: false })
    await world.advance(0)
    expect(await effects()).toEqual(['A1-2'])
    await bus.deliver(taken('A1', 1))
    expect(await effects()).toEqual(['A1-2'])
  })

  it('makes a dead letter at once of what does not fit, is too new or cannot be read, and runs it once edited', async () => {
    const { bus, world, effects, letters, test } = await setUp()
    await bus.deliver(taken('A1', 1, { data: { id: 'A1' } }), taken('B1', 1, { dataschema: 'seat.taken/2' }), 'rubbish', taken('A1', 2))
    await bus.deliver('rubbish')
    // Different keys run at once, so in which order they came in does not matter.
    const found = (await letters.list()).sort((one, other) => other.reason.localeCompare(one.reason))
    expect(found.map(({ reason, code }) => [reason, code])).toEqual([
      ['version-unknown', 'ERR_EVENT_VERSION_UNKNOWN'],
      ['undecodable', 'ERR_ENVELOPE_INVALID'],
      ['invalid', 'ERR_EVENT_INVALID'],
    ])
    expect(test.runs).toEqual([])
    const [, rubbish, invalid] = found
    await letters.edit(invalid?.id ?? 0, { id: 'A1', n: 5 }, { by: 'eva', reason: 'added the number' })
    await world.advance(0)
    expect(await effects()).toEqual(['A1-5', 'A1-2'])
    await expect(letters.edit(rubbish?.id ?? 0, {}, { by: 'eva', reason: '?' })).rejects.toMatchObject({
      code: 'ERR_DEAD_LETTER_UNDECODABLE',
    })
    await expect(letters.show(99)).rejects.toMatchObject({ code: 'ERR_DEAD_LETTER_UNKNOWN' })
  })

  it('does not take an error of the handler for one of the message', async () => {
    const { bus, database } = await setUp({}, () => Promise.reject(Object.assign(new Error('mine'), { code: 'ERR_EVENT_INVALID' })))
    await bus.deliver(taken('A1', 1))
    expect((await database.state()).queue[0]).toMatchObject({ kind: 'due', reason: 'failed' })
  })

  it('counts a `prepare` that takes too long as failed, and tells it', async () => {
    let aborted: unknown
    const { bus, world, letters } = await setUp({
      handlerTimeoutMs: 500,
      retry: { attempts: 1 },
      prepare: (_event, { signal }) => new Promise(() => signal.addEventListener('abort', () => (aborted = signal.reason))),
    })
    const handled = bus.deliver(taken('A1', 1))
    await world.advance(500)
    await handled
    expect(aborted).toMatchObject({ code: 'ERR_PREPARE_TIMEOUT' })
    expect(await letters.list()).toMatchObject([{ code: 'ERR_PREPARE_TIMEOUT' }])
  })

  it('counts a schema that never answers as failed, tries again, and lets other keys flow meanwhile', async () => {
    const world = manualWorld()
    const database = testDatabase(world)
    const bus = memoryBus()
    let answers = false
    const validate = (value: unknown) => {
      const seat = value as { id: string; n: number }
      return seat.id === 'A1' && !answers ? new Promise<never>(() => {}) : { value: seat }
    }
    const schema: Schema<{ id: string; n: number }> = { '~standard': { version: 1, vendor: 'test', validate } }
    const type = event('seat.taken', { schema, key: ({ id }) => id })
    const component = consume(type, ({ data }, tx) => addEffect(tx, data.id), { handlerTimeoutMs: 500, retry: { attempts: 2 } })
    await component.start(contextOf(world, { database, bus }))
    const handled = bus.deliver(taken('A1', 1), taken('B1', 1))
    await world.advance(500)
    await handled
    expect((await database.state()).effects).toEqual(['B1'])
    expect((await database.state()).queue).toMatchObject([{ messageId: expect.stringContaining('A1-1'), kind: 'due' }])
    await world.advance(1_000)
    expect(await deadLetters(database).list()).toMatchObject([{ code: 'ERR_SCHEMA_TIMEOUT', attempts: 2 }])
    answers = true
    await deadLetters(database).redrive({}, { by: 'eva', reason: 'mended' })
    await world.advance(0)
    expect((await database.state()).effects).toEqual(['B1', 'A1'])
    await component.stop()
    expect(await timersLeft(world)).toBe(0)
  })

  it('parks nothing behind a failed event with ordering `none`', async () => {
    const { bus, effects, test } = await setUp({ ordering: 'none' })
    test.fails = (id) => id === 'A1-1'
    await bus.deliver(taken('A1', 1), taken('A1', 2))
    expect(await effects()).toEqual(['A1-2'])
  })

  it('rejects the batch when the database cannot even park, so that the bus brings it again', async () => {
    const { bus, database, effects } = await setUp()
    database.breakWith(new Error('disk full'))
    await expect(bus.deliver(taken('A1', 1), taken('B1', 1))).rejects.toThrow('disk full')
    database.breakWith(undefined)
    await bus.deliver(taken('A1', 1), taken('B1', 1))
    expect(await effects()).toEqual(['A1-1', 'B1-1'])
  })

  it('does not let a parked event wait for an hour because the clock was set back by one', async () => {
    const { bus, world, effects, test } = await setUp()
    test.fails = () => true
    await bus.deliver(taken('A1', 1))
    test.fails = () => false
    world.jump(-3_600_000)
    await world.advance(2_000)
    expect(await effects()).toEqual(['A1-1'])
  })

  it('uses up no attempts of a parked event while the database is away', async () => {
    const { bus, world, database, effects, test } = await setUp({ retry: { attempts: 2 } })
    test.fails = () => true
    await bus.deliver(taken('A1', 1))
    database.breakWith(new Error('disk full'))
    await world.advance(60_000)
    database.breakWith(undefined)
    test.fails = () => false
    await world.advance(2_000)
    expect(await effects()).toEqual(['A1-1'])
  })

  it('finishes what has begun when it stops, leaves the rest for the next time, and keeps no timer', async () => {
    const { bus, world, effects, component } = await setUp({
      concurrency: 1,
      prepare: (_event, context) => new Promise<void>((resolve) => void context.world.after(100, resolve)),
    })
    const handled = bus.deliver(taken('A1', 1), taken('B1', 1))
    const failed = expect(handled).rejects.toThrow('the consumer stops')
    await world.advance(50)
    const stopped = component.stop()
    await world.advance(100)
    await Promise.all([stopped, failed])
    expect(await effects()).toEqual(['A1-1'])
    expect(await timersLeft(world)).toBe(0)
  })

  it('keeps no timer when it stops, also where the bus cannot end the subscription', async () => {
    const { bus, world, component } = await setUp()
    bus.onStop = () => {
      throw new Error('the broker is away')
    }
    await expect(component.stop()).rejects.toThrow('the broker is away')
    expect(await timersLeft(world)).toBe(0)
  })

  it('forgets ids after the retention, and not before', async () => {
    const { bus, world, database } = await setUp({ inboxRetentionMs: 3_600_000 })
    await bus.deliver(taken('A1', 1))
    await world.advance(3_500_000)
    expect((await database.state()).inbox).toBe(1)
    await world.advance(200_000)
    expect((await database.state()).inbox).toBe(0)
  })

  it('forgets ids also where no process lives for a minute', async () => {
    const { bus, world, database, component, effects } = await setUp({ inboxRetentionMs: 3_600_000 })
    await bus.deliver(taken('A1', 1))
    await world.advance(10_000)
    await component.stop()
    await world.advance(4_000_000)
    await component.start(contextOf(world, { database, bus }))
    await world.advance(10_000)
    expect((await database.state()).inbox).toBe(0)
    await bus.again()
    expect(await effects()).toEqual(['A1-1'])
    await component.stop()
    expect(await timersLeft(world)).toBe(0)
  })

  it('notes at its end what was settled while it was noting the rest', async () => {
    const { bus, world, database, component } = await setUp({ inboxRetentionMs: 3_600_000 })
    await component.stop()
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let calls = 0
    const slow: typeof database = {
      ...database,
      async transaction(body) {
        calls += 1
        if (calls === 1) await held
        return database.transaction(body)
      },
    }
    await component.start(contextOf(world, { database: slow, bus }))
    await world.advance(50)
    expect(calls).toBe(1)
    await bus.deliver(taken('A1', 1))
    const stopped = component.stop()
    goOn()
    await stopped
    await world.advance(4_000_000)
    await component.start(contextOf(world, { database, bus }))
    await world.advance(50)
    expect((await database.state()).inbox).toBe(0)
    await component.stop()
  })

  it('changes nothing when the bus brings something again after the ids are forgotten', async () => {
    const { bus, world, database, effects, letters } = await setUp({ inboxRetentionMs: 3_600_000, retry: { attempts: 1 } })
    await bus.deliver(taken('A1', 1), 'rubbish', taken('A1', 2))
    await world.advance(4_000_000)
    expect((await database.state()).inbox).toBe(0)
    await bus.again()
    expect(await effects()).toEqual(['A1-1', 'A1-2'])
    expect(await letters.list()).toHaveLength(1)
  })

  it('makes a dead letter of an event whose handler hangs, and lets other keys flow', async () => {
    const { bus, world, effects, letters } = await setUp({ retry: { attempts: 1 } }, (id) =>
      id === 'A1-1' ? new Promise(() => {}) : Promise.resolve(),
    )
    const handled = bus.deliver(taken('A1', 1), taken('A1', 2), taken('B1', 1))
    await world.advance(60_000)
    await handled
    expect(await letters.list()).toMatchObject([{ key: 'A1', code: 'ERR_TRANSACTION_TIMEOUT', attempts: 1 }])
    expect(await effects()).toEqual(['B1-1'])
  })

  it.each([[undefined], [null], ['no reason'], [{ strange: true }], [42]])(
    'makes a dead letter of an event whose handler throws %j',
    async (thrown) => {
      const { bus, letters } = await setUp({ retry: { attempts: 1 } }, () => Promise.reject(thrown))
      await bus.deliver(taken('A1', 1))
      expect(await letters.list()).toMatchObject([{ key: 'A1', reason: 'failed', message: expect.any(String) }])
    },
  )

  it.each<[string, () => unknown]>([
    ['has a list of call sites as its stack', () => Object.assign(new Error('no'), { stack: [{ frame: 1 }] })],
    ['has an object as its message', () => Object.assign(new Error('no'), { message: { status: 409 } })],
    ['has a symbol as its message', () => Object.assign(new Error('no'), { message: Symbol('no') })],
    ['has a number as its code', () => Object.assign(new Error('no'), { code: 23_505 })],
    ['has the name of a method as its code', () => Object.assign(new Error('no'), { code: 'constructor' })],
    ['throws when its code is read', () => Object.defineProperty(new Error('no'), 'code', { get: refuse })],
    ['throws when its stack is read', () => Object.defineProperty(new Error('no'), 'stack', { get: refuse })],
    ['throws whatever is done with it', () => new Proxy(new Error('no'), { get: refuse, has: refuse, getPrototypeOf: refuse })],
  ])('makes a dead letter of an event whose handler or schema throws an error that %s, and lets others flow', async (_, strange) => {
    const { bus, letters, effects } = await setUp({ retry: { attempts: 1 } }, (id) =>
      id === 'A1-1' ? Promise.reject(strange()) : Promise.resolve(),
    )
    await bus.deliver(taken('A1', 1), taken('B1', 1))
    expect(await letters.list()).toMatchObject([{ key: 'A1', reason: 'failed', message: expect.any(String) }])
    expect(await effects()).toEqual(['B1-1'])

    const hostile = { '~standard': { version: 1 as const, vendor: 'test', validate: () => Promise.reject(strange()) } }
    const world = manualWorld()
    const database = testDatabase(world)
    const reader = memoryBus()
    await consume(event('seat.taken', { schema: hostile, key: () => 'A1' }), async () => {}, { retry: { attempts: 1 } }).start(
      contextOf(world, { database, bus: reader }),
    )
    await reader.deliver(taken('A1', 1))
    expect(await deadLetters(database).list()).toMatchObject([{ key: 'A1', reason: 'failed' }])
  })

  it('takes no notice of what a handler returns, and hands on whatever `prepare` does', async () => {
    const world = manualWorld()
    const database = testDatabase(world)
    const bus = memoryBus()
    const seen: unknown[] = []
    // A program without types may return anything.
    const rubbish = (async (_event: unknown, tx: Transaction, prepared: unknown) => {
      seen.push(prepared)
      await addEffect(tx, 'once')
      return Symbol('rubbish')
    }) as never
    const component = consume(seatTaken, rubbish, { prepare: async () => Number.NaN as unknown })
    await component.start(contextOf(world, { database, bus }))
    await bus.deliver(taken('A1', 1))
    expect(seen).toEqual([Number.NaN])
    expect((await database.state()).effects).toEqual(['once'])
    expect((await database.state()).queue).toEqual([])
  })

  it('does not start as the group of the relay, which an event type called `relay` would make it, and does with a group of its own', async () => {
    const world = manualWorld()
    const database = testDatabase(world)
    const bus = memoryBus()
    const type = event('relay', { schema: seatTaken.schema, key: ({ id }) => id })
    await expect(consume(type, async () => {}).start(contextOf(world, { database, bus }))).rejects.toThrow(
      'cannot consume relay: the group "orders/relay" is that of the service\'s relay, give another "group"',
    )
    await expect(consume(seatTaken, async () => {}, { group: 'orders/relay' }).start(contextOf(world, { database, bus }))).rejects.toThrow(
      RangeError,
    )
    expect(world.pendingTimers()).toBe(0)
    const component = consume(type, ({ data }, tx) => addEffect(tx, data.id), { group: 'orders/runners' })
    await component.start(contextOf(world, { database, bus }))
    await bus.deliver(taken('A1', 1, { type: 'relay', dataschema: 'relay/1' }))
    expect((await database.state()).effects).toEqual(['A1'])
    await component.stop()
  })

  it('is not started without a database or a bus, and refuses wrong options', async () => {
    const world = manualWorld()
    const component = consume(seatTaken, async () => {})
    await expect(component.start({ ...contextOf(world, { database: testDatabase(world) }) })).rejects.toMatchObject({
      code: 'ERR_NO_BUS',
    })
    expect(world.pendingTimers()).toBe(0)
    expect(() => consume(seatTaken, async () => {}, { concurrency: 0 })).toThrow(RangeError)
    expect(() => consume(seatTaken, async () => {}, { handlerTimeoutMs: 2 ** 52 })).toThrow('to 3155760000000 (a hundred years)')
    consume(seatTaken, async () => {}, { handlerTimeoutMs: 30 * 86_400_000 })
    expect(() => consume([], async () => {})).toThrow(RangeError)
    // A program without types may give any word, and a key's order must not hang on its spelling.
    for (const ordering of ['keys', 'KEY', '', null] as never[])
      expect(() => consume(seatTaken, async () => {}, { ordering })).toThrow(`wanted "key" or "none"`)
    expect(() => consume(seatTaken, async () => {}, { group: '' })).toThrow('"group" is empty, wanted a name')
  })
})

function refuse(): never {
  throw new Error('look elsewhere')
}
