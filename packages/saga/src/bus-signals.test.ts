import { type EventType, event, type Schema, silentLogger } from '@banyan/core'
import { expect, it } from 'vitest'
import { saga } from './define.ts'
import type { Saga } from './definition.ts'
import { signalSagas } from './signal.ts'
import { startSaga } from './start.ts'
import { type Bench, bench } from './test/bench.ts'
import { broughtBus } from './test/brought-bus.ts'

interface Order {
  orderId: string
}

const schema: Schema<Order> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    // The test's own events: nothing else is published.
    validate: (value) => ({ value: value as Order }),
  },
}
const orderEvent = <const Name extends string>(name: Name) => event(name, { schema, key: ({ orderId }) => orderId })
const paid = orderEvent('order.paid')
const packed = orderEvent('order.packed')
const v1 = { version: 1, key: ({ orderId }: Order) => orderId }
const waits = { where: (c: { input: Order }) => c.input.orderId, withinMs: 60_000, otherwise: 'undo' } as const

/** Runs a saga, and hands it what the test brings. */
async function signalled(b: Bench, definition: Saga<Order>) {
  const { bus, bring } = broughtBus()
  await b.run([definition])
  await signalSagas([definition]).start({
    service: 'orders',
    instanceId: 'i-1',
    world: b.world,
    log: silentLogger,
    database: b.database,
    bus,
  })
  return async ({ name }: EventType, source: string, id: string, key = 'o1') => {
    const envelope = {
      ...({ specversion: '1.0', datacontenttype: 'application/json', subject: key, time: '2026-01-01T00:00:00.000Z' } as const),
      ...{ source, id, type: name, dataschema: `${name}/1`, data: { orderId: key } },
    }
    await bring(envelope)
  }
}

it('events of two sources that number their own are two, and each is one however often it comes', async () => {
  const b = bench()
  const definition = saga<Order>('order', v1)
    .wait('money', { ...waits, for: paid })
    .wait('parcel', { ...waits, for: packed })
    .wait('more', { ...waits, for: paid })
    .done()
  const bring = await signalled(b, definition)
  await startSaga(b.database, definition, { orderId: 'o1' })
  await bring(paid, 'payments', '1')
  await bring(packed, 'warehouse', '1')
  await bring(paid, 'payments', '1')
  await b.world.advance(1_000)
  expect(await b.only()).toMatchObject({ status: 'waiting', step: 'more' })
  await bring(paid, 'bank', '1')
  await b.world.advance(1_000)
  expect((await b.only()).status).toBe('completed')
})

it('an event under a key that no saga can wait for is kept for none, and is handled', async () => {
  const b = bench()
  const definition = saga<Order>('order', v1)
    .wait('money', { ...waits, for: paid })
    .done()
  const bring = await signalled(b, definition)
  // What a database may make of a half of a surrogate pair.
  await startSaga(b.database, definition, { orderId: 'o\ufffd' })
  for (const key of ['o\ud800', 'o\0', 'o'.repeat(201)]) await bring(paid, 'payments', b.world.uuid(), key)
  await b.world.advance(1_000)
  expect(await b.database.read((tx) => tx.sql`select channel from banyan_saga_signals`)).toEqual([])
  expect(await b.database.read((tx) => tx.sql`select id from banyan_inbox`)).toHaveLength(3)
  expect(await b.only()).toMatchObject({ status: 'waiting', step: 'money' })
})
