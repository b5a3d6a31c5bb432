import { type Bus, type BusSubscription, type EventType, encodeEnvelope, event, type Schema, silentLogger } from '@banyan/core'
import { expect, it } from 'vitest'
import { saga } from './define.ts'
import { signalSagas } from './signal.ts'
import { startSaga } from './start.ts'
import { bench } from './test/bench.ts'

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

/** A bus that brings what the test says. */
function busOf() {
  let subscription: BusSubscription | undefined
  const bus: Bus = {
    features: { ordering: 'key', redelivery: true, replay: true },
    publish: async () => {},
    async subscribe(wanted) {
      subscription = wanted
      return { stop: async () => {} }
    },
    close: async () => {},
  }
  const bring = async ({ name }: EventType, source: string, id: string) => {
    const envelope = {
      ...({ specversion: '1.0', datacontenttype: 'application/json', subject: 'o1', time: '2026-01-01T00:00:00.000Z' } as const),
      ...{ source, id, type: name, dataschema: `${name}/1`, data: { orderId: 'o1' } },
    }
    await subscription?.handle([{ envelope, raw: encodeEnvelope(envelope), position: '1' }])
  }
  return { bus, bring }
}

it('events of two sources that number their own are two, and each is one however often it comes', async () => {
  const b = bench()
  const { bus, bring } = busOf()
  const waits = { where: (c: { input: Order }) => c.input.orderId, withinMs: 60_000, otherwise: 'undo' } as const
  const definition = saga<Order>('order', { version: 1, key: ({ orderId }) => orderId })
    .wait('money', { ...waits, for: paid })
    .wait('parcel', { ...waits, for: packed })
    .wait('more', { ...waits, for: paid })
    .done()
  await b.run([definition])
  await signalSagas([definition]).start({
    service: 'orders',
    instanceId: 'i-1',
    world: b.world,
    log: silentLogger,
    database: b.database,
    bus,
  })
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
