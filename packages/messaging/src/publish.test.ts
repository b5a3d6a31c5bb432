import { event, manualWorld, type ReadTransaction, type Schema } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { causedBy, publish } from './publish.ts'
import { testDatabase } from './test/database.ts'
import { seatTaken } from './test/events.ts'

function setUp() {
  const database = testDatabase(manualWorld())
  const envelopes = async () => (await database.state()).outbox
  return { database, envelopes }
}

describe('publish', () => {
  it('writes whole envelopes with the commit, in the order of the calls', async () => {
    const { database, envelopes } = setUp()
    await database.transaction(async (tx) => {
      await publish(tx, seatTaken, { id: 'A1', n: 1 })
      await publish(tx, seatTaken, { id: 'A2', n: 2 }, { key: 'row A', correlationId: 'booking 7' })
      expect(await rowsIn(tx)).toBe(0)
    })
    const [first, second] = await envelopes()
    expect(first).toMatchObject({
      source: 'orders',
      type: 'seat.taken',
      subject: 'A1',
      time: '2026-01-01T00:00:00.000Z',
      dataschema: 'seat.taken/1',
      data: { id: 'A1', n: 1 },
    })
    expect(first?.correlationid).toBe(first?.id)
    expect(second).toMatchObject({ subject: 'row A', correlationid: 'booking 7' })
  })

  it('publishes nothing when the transaction rolls back', async () => {
    const { database } = setUp()
    const sale = database.transaction(async (tx) => {
      await publish(tx, seatTaken, { id: 'A1', n: 1 })
      throw new Error('sold out')
    })
    await expect(sale).rejects.toThrow('sold out')
    expect((await database.state()).outbox).toEqual([])
  })

  it('loses nothing that nobody waited for', async () => {
    const { database, envelopes } = setUp()
    await database.transaction(async (tx) => {
      for (const n of [1, 2, 3]) void publish(tx, seatTaken, { id: 'A1', n })
    })
    expect((await envelopes()).map(({ data }) => data)).toEqual([1, 2, 3].map((n) => ({ id: 'A1', n })))
  })

  it('takes what another hook publishes before the commit', async () => {
    const { database, envelopes } = setUp()
    await database.transaction(async (tx) => {
      await publish(tx, seatTaken, { id: 'A1', n: 1 })
      tx.beforeCommit(() => publish(tx, seatTaken, { id: 'A1', n: 2 }))
    })
    expect(await envelopes()).toHaveLength(2)
  })

  it('refuses data that does not fit, and publishes the rest when the caller goes on', async () => {
    const { database, envelopes } = setUp()
    await database.transaction(async (tx) => {
      // @ts-expect-error: the seat has no number.
      await expect(publish(tx, seatTaken, { id: 'A1' })).rejects.toMatchObject({ code: 'ERR_EVENT_INVALID' })
      await publish(tx, seatTaken, { id: 'A1', n: 1 })
    })
    expect(await envelopes()).toHaveLength(1)
  })

  it('waits for a schema that takes its time, keeps the order of the calls, and refuses what it refuses', async () => {
    const { database, envelopes } = setUp()
    const slow = event('seat.slow', {
      schema: z.object({ n: z.number().refine(async (n) => n !== 13) }),
      key: () => 'A1',
    })
    await database.transaction(async (tx) => {
      void publish(tx, slow, { n: 1 })
      void publish(tx, seatTaken, { id: 'A1', n: 2 })
      await expect(publish(tx, slow, { n: 13 })).rejects.toMatchObject({ code: 'ERR_EVENT_INVALID' })
      void publish(tx, slow, { n: 3 })
    })
    expect((await envelopes()).map(({ data }) => (data as { n: number }).n)).toEqual([1, 2, 3])
  })

  it.each([
    ['empty', ''],
    ['undefined', undefined],
    ['null', null],
    ['7', 7],
    ['an object', { id: 'A1' }],
  ])('refuses a key that is %s, and lets the transactions that commit with it be', async (given, key) => {
    const { database, envelopes } = setUp()
    const odd = event('seat.odd', { schema: z.any(), key: () => key as string })
    const take = (n: number) => database.transaction((tx) => publish(tx, seatTaken, { id: 'A1', n }))
    const refused = database.transaction((tx) => publish(tx, odd, {}))
    const outcomes = await Promise.allSettled([take(1), take(2), refused, take(3)])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_EVENT_INVALID',
      message: `cannot publish event "seat.odd/1": its key is ${given}, wanted a text`,
    })
    expect(await envelopes()).toHaveLength(3)
  })

  it('refuses a correlation id that is no text, which no consumer could read', async () => {
    const { database, envelopes } = setUp()
    const options = { correlationId: 7 as unknown as string }
    await expect(database.transaction((tx) => publish(tx, seatTaken, { id: 'A1', n: 1 }, options))).rejects.toThrow(
      'its correlation id is 7',
    )
    expect(await envelopes()).toEqual([])
  })

  it('names the event whose data cannot be written as JSON, and publishes the rest when the caller goes on', async () => {
    const { database, envelopes } = setUp()
    const any = event('seat.any', { version: 2, schema: z.any(), key: () => 'A1', upcast: { 1: (data) => data } })
    const circle: Record<string, unknown> = {}
    circle.self = circle
    await database.transaction(async (tx) => {
      for (const data of [{ n: 1n }, circle])
        await expect(publish(tx, any, data)).rejects.toMatchObject({
          code: 'ERR_EVENT_INVALID',
          message: expect.stringContaining('cannot publish event "seat.any/2": its data cannot be written as JSON'),
          cause: expect.any(TypeError),
        })
      await publish(tx, seatTaken, { id: 'A1', n: 1 })
    })
    expect(await envelopes()).toHaveLength(1)
  })

  it('rejects when the schema or the key throws, and never throws itself', async () => {
    const { database, envelopes } = setUp()
    const broken = () => {
      throw new Error('broken')
    }
    const keyless = event('seat.keyless', { schema: z.object({}), key: broken })
    const mad: Schema = { '~standard': { version: 1, vendor: 'test', validate: broken } }
    await database.transaction(async (tx) => {
      await expect(publish(tx, keyless, {})).rejects.toThrow('broken')
      await expect(publish(tx, event('seat.mad', { schema: mad, key: () => 'A1' }), {})).rejects.toThrow('broken')
    })
    expect(await envelopes()).toEqual([])
  })

  it.each([
    ['fits', { id: 'A1', n: 1 }],
    ['does not fit', { id: 'A1' }],
  ])(
    'refuses each event of a transaction that is over, and rejects nothing that nobody could wait for, when the data %s',
    async (_, data) => {
      const { database, envelopes } = setUp()
      const unhandled: unknown[] = []
      const note = (reason: unknown) => void unhandled.push(reason)
      process.on('unhandledRejection', note)
      try {
        const kept = await database.transaction(async (tx) => tx)
        const late = () => publish(kept, seatTaken, data as { id: string; n: number })
        await expect(late()).rejects.toMatchObject({ code: 'ERR_TRANSACTION_OVER' })
        await expect(late()).rejects.toMatchObject({ code: 'ERR_TRANSACTION_OVER' })
        // Node tells of a rejection that nobody waits for once the microtasks are done.
        await new Promise((resolve) => setImmediate(resolve))
      } finally {
        process.off('unhandledRejection', note)
      }
      expect(unhandled).toEqual([])
      expect(await envelopes()).toEqual([])
    },
  )

  it('carries on the correlation, the causation and the trace of the message being handled', async () => {
    const { database, envelopes } = setUp()
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await database.transaction(async (tx) => {
      causedBy(tx, { correlationId: 'booking 7', causationId: 'message 3', traceparent })
      await publish(tx, seatTaken, { id: 'A1', n: 1 })
    })
    const [first] = await envelopes()
    expect(first).toMatchObject({ correlationid: 'booking 7', causationid: 'message 3' })
    expect(first?.traceparent).toContain('0af7651916cd43dd8448eb211c80319c')
  })

  it('writes all events of a transaction in one go, after all its hooks', async () => {
    const { database } = setUp()
    const seen: number[] = []
    await database.transaction(async (tx) => {
      tx.beforeCommit(async () => void seen.push(await rowsIn(tx)))
      await publish(tx, seatTaken, { id: 'A1', n: 1 })
      await publish(tx, seatTaken, { id: 'A1', n: 2 })
      tx.beforeCommit(async () => void seen.push(await rowsIn(tx)))
    })
    expect(seen).toEqual([0, 0])
    expect(await database.read(rowsIn)).toBe(2)
  })
})

async function rowsIn(tx: ReadTransaction): Promise<number> {
  const [row] = await tx.sql<{ rows: number }>`select count(*) as rows from banyan_outbox`
  return row?.rows ?? 0
}
