import { testPostgres } from '@banyan/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { call } from '../load/shopper.ts'
import { type OpenShop, openShop } from './open-shop.ts'

const shapes = [
  { processes: 'each', checkout: 'orchestration', engine: 'SQLite' },
  { processes: 'one', checkout: 'orchestration', engine: 'SQLite' },
  { processes: 'each', checkout: 'choreography', engine: 'SQLite' },
  { processes: 'one', checkout: 'choreography', engine: 'SQLite' },
  { processes: 'each', checkout: 'orchestration', engine: 'PostgreSQL' },
  { processes: 'one', checkout: 'choreography', engine: 'PostgreSQL' },
] as const

describe.each(shapes)('the shop on $engine, processes: $processes, checkout by $checkout', ({ processes, checkout, engine }) => {
  let shop: OpenShop
  beforeAll(async () => {
    shop = await openShop({ processes, checkout, ...(engine === 'PostgreSQL' && { databaseUrl: (await testPostgres()).url }) })
  })
  afterAll(() => shop?.close())

  it('confirms an order, ships it, tells the customer, and shows it in the history', async () => {
    const order = await shop.order('good', 'fig-tree', 2)
    expect(order.body).toMatchObject({ status: 'confirmed', totalCents: 4980 })
    const history = await shop.until(
      () => shop.shopper.get(`/api/customers/${shop.shopper.customerId}/orders`),
      ({ body }) => Array.isArray(body) && body.some((entry) => entry.orderId === order.body.orderId && entry.notified),
    )
    expect(history.body).toContainEqual(expect.objectContaining({ orderId: order.body.orderId, status: 'confirmed', shipped: true }))
    const sent = await shop.shopper.get(`/api/notifications?customerId=${shop.shopper.customerId}`)
    expect(kindsOf(sent.body, order.body.orderId)).toEqual(['confirmed', 'received', 'shipped'])
  })

  it('rejects an order whose payment is declined, and gives the stock back', async () => {
    const order = await shop.order('unlucky', 'unlucky-clover')
    expect(order.body).toMatchObject({ status: 'rejected', reason: 'declined' })
    const stock = await shop.until(
      () => call(shop.running.gatewayUrl, 'GET', '/api/stock/unlucky-clover'),
      ({ body }) => body.available === body.onHand,
    )
    expect(stock.body).toMatchObject({ available: 1_000_000 })
  })

  it('rejects an order that is out of stock, without charging', async () => {
    const order = await shop.order('rare', 'blue-rose')
    expect(order.body).toMatchObject({ status: 'rejected', reason: 'out-of-stock' })
  })

  it('gives the overview of an order from four services', async () => {
    const order = await shop.order('overview', 'seed-mix')
    const overview = await shop.until(
      () => shop.shopper.get(`/api/order-overview/${order.body.orderId}`),
      ({ body }) => Boolean(body.shipment),
    )
    expect(overview.body).toMatchObject({
      order: { status: 'confirmed' },
      payment: { status: 'succeeded' },
      inventory: { status: 'held' },
      shipment: { orderId: order.body.orderId },
    })
  })

  it('makes one order of the same key sent twice', async () => {
    const items = [{ productId: 'secateurs', quantity: 1 }]
    const [first, second] = await Promise.all([shop.shopper.placeOrder('twice', items), shop.shopper.placeOrder('twice', items)])
    expect(second.body.orderId).toBe(first.body.orderId)
  })

  it('sends what it has no route for to the monolith', async () => {
    const { status, body } = await call(shop.running.gatewayUrl, 'GET', '/legacy/orders/1001')
    expect({ status, body }).toMatchObject({ status: 200, body: { customer: 'Ada', state: 'SHIPPED' } })
  })

  it('keeps every invariant of the books', async () => {
    await shop.until(
      async () => {
        const { broken } = await shop.books()
        return { status: broken.length, body: { broken }, traceId: undefined }
      },
      ({ status }) => status === 0,
    )
    expect((await shop.books()).broken).toEqual([])
  })
})

function kindsOf(body: unknown, orderId: unknown): string[] {
  if (!Array.isArray(body)) throw new Error(`wanted a list of notifications, got ${JSON.stringify(body)}`)
  return body
    .filter((sent) => sent.orderId === orderId)
    .map((sent) => String(sent.kind))
    .sort()
}
