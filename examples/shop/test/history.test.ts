import { sqlite } from '@banyan/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrations } from '../history/migrations.ts'
import { projectNotification, projectOrder, projectShipment } from '../history/projection.ts'
import type { OrderSummary } from '../orders/contract.ts'

const order: OrderSummary = {
  orderId: 'o1',
  customerId: 'ada',
  items: [{ productId: 'fig-tree', quantity: 2 }],
  totalCents: 4980,
  checkout: 'orchestration',
}

let database: ReturnType<typeof sqlite>
beforeEach(async () => {
  database = sqlite(':memory:', { name: 'history' })
  await database.migrate(migrations)
})
afterEach(() => database.close())

describe('the read model', () => {
  const events: Record<string, (tx: Parameters<typeof projectOrder>[0]) => Promise<void>> = {
    created: (tx) => projectOrder(tx, order, 'pending'),
    confirmed: (tx) => projectOrder(tx, order, 'confirmed'),
    shipped: (tx) => projectShipment(tx, order),
    notified: (tx) => projectNotification(tx, order),
  }

  // Each kind of event is a topic of its own, and topics do not wait for each other.
  it.each([
    ['created, confirmed, shipped, notified'],
    ['confirmed, created, shipped, notified'],
    ['shipped, created, confirmed, notified'],
    ['notified, shipped, confirmed, created'],
    ['created, notified, shipped, confirmed'],
  ])('says the same whatever comes first: %s', async (names) => {
    for (const name of names.split(', ')) await database.transaction(async (tx) => events[name]?.(tx))
    expect(await database.read((tx) => tx.sql`select * from order_history`)).toEqual([
      { order_id: 'o1', customer_id: 'ada', total_cents: 4980, status: 'confirmed', reason: null, shipped: 1, notified: 1 },
    ])
  })
})
