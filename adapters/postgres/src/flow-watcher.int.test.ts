import { createHash } from 'node:crypto'
import {
  type BusSubscription,
  type ComponentContext,
  type Delivery,
  type EventType,
  encodeEnvelope,
  event,
  type Schema,
  silentLogger,
  systemWorld,
} from '@banyan/core'
import { flow, flows, watchFlows } from '@banyan/saga'
import { testPostgres } from '@banyan/testing'
import { expect, it } from 'vitest'
import { postgres } from './index.ts'

const schema: Schema<{ id: string }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    // The test's own events: nothing else is delivered.
    validate: (value) => ({ value: value as { id: string } }),
  },
}
const orderEvent = <const Name extends string>(name: Name): EventType<Name, typeof schema> => event(name, { schema, key: ({ id }) => id })
const TYPES = ['placed', 'reserved', 'paid', 'shipped'] as const
const checkout = flow('checkout', { version: 1 })
  .starts(orderEvent('placed'))
  .then(orderEvent('reserved'))
  .then(orderEvent('paid'))
  .ends(orderEvent('shipped'))
  .withinMs(60_000)

/** The four events of an order, the last first; each led to the one after it. */
function deliveriesOf(order: string): Delivery[] {
  return TYPES.map((type, index) => {
    const envelope = {
      ...({ specversion: '1.0', source: 'test', datacontenttype: 'application/json', subject: order } as const),
      ...{ id: `${order}-${type}`, type, time: new Date(index).toISOString(), dataschema: `${type}/1`, data: { id: order } },
      ...{ correlationid: order, ...(index > 0 && { causationid: `${order}-${TYPES[index - 1]}` }) },
    }
    return { envelope, raw: encodeEnvelope(envelope), position: '1' }
  }).reverse()
}

/** A correlation id of another system's, which nobody here has made: too long for an index, however it is packed. */
const LONG = Array.from({ length: 100 }, (_, n) => createHash('sha256').update(`${n}`).digest('hex')).join('')

it.each([
  ['whose events come at once, out of order, and twice, to two instances', Array.from({ length: 10 }, (_, n) => `o${n}`)],
  ['of any correlation id', ['with\0NUL', 'half\ud800', LONG]],
])('follows flows %s', async (_what, orders) => {
  const place = await testPostgres()
  const database = postgres(place.url, { log: silentLogger })
  const subscriptions: BusSubscription[] = []
  const context: ComponentContext = {
    ...{ service: 'orders', instanceId: 'orders-1', world: systemWorld, log: silentLogger, database },
    bus: {
      features: { ordering: 'key', redelivery: true, replay: true },
      publish: async () => {},
      async subscribe(subscription) {
        subscriptions.push(subscription)
        return { stop: async () => {} }
      },
      close: async () => {},
    },
  }
  const watchers = [watchFlows([checkout]), watchFlows([checkout])]
  try {
    for (const watcher of watchers) await watcher.start(context)
    await Promise.all(subscriptions.map(({ handle }) => handle(orders.flatMap(deliveriesOf))))
    const found = await flows(database).list()
    expect(found.map(({ status, open }) => [status, open])).toEqual(orders.map(() => ['ended', []]))
    for (const correlationId of [...orders, ...found.map((one) => one.correlationId)]) {
      const { events } = await flows(database).show({ flow: 'checkout', correlationId })
      expect(events.map(({ type }) => type)).toEqual([...TYPES])
    }
  } finally {
    await Promise.all(watchers.map((watcher) => watcher.stop()))
    await database.close()
    await place.drop()
  }
})
