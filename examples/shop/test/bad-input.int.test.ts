import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenShop, openShop } from './open-shop.ts'

let shop: OpenShop
let token: string
beforeAll(async () => {
  shop = await openShop({ processes: 'one', checkout: 'orchestration' })
  const session = await ask('POST', '/api/sessions', { body: JSON.stringify({ email: 'grace@example.com', password: 'banyan-shop' }) })
  token = session.body.token
})
afterAll(() => shop?.close())

const GOOD_BODY = JSON.stringify({ items: [{ productId: 'seed-mix', quantity: 1 }] })
const line = (quantity: unknown, productId: unknown = 'seed-mix') => JSON.stringify({ items: [{ productId, quantity }] })

describe('what a client gets wrong is named in a problem, and nothing is written', () => {
  const cases: [string, () => Parameters<typeof ask>, number, RegExp][] = [
    ['malformed JSON', () => ['POST', '/api/orders', signed({ body: '{"items": [' })], 400, /JSON/],
    ['a wrong content type', () => ['POST', '/api/orders', signed({ body: GOOD_BODY, type: 'text/plain' })], 415, /application\/json/],
    [
      'an unknown field',
      () => ['POST', '/api/orders', signed({ body: '{"items":[{"productId":"a","quantity":1}],"discount":99}' })],
      422,
      /discount/,
    ],
    [
      'a body over the limit',
      () => ['POST', '/api/orders', signed({ body: `"${'x'.repeat(2_000_000)}"` })],
      413,
      /1[ ,.]?0?4?8?5?7?6?|1 MiB|limit/,
    ],
    ['no token', () => ['POST', '/api/orders', { body: GOOD_BODY, key: 'k' }], 401, /token|Authorization/i],
    ['a token that is none', () => ['POST', '/api/orders', { body: GOOD_BODY, key: 'k', token: 'abc.def.ghi' }], 401, /token/i],
    ['an unknown product', () => ['POST', '/api/orders', signed({ body: line(1, 'perpetual-motion') })], 422, /perpetual-motion/],
    ['quantity 0', () => ['POST', '/api/orders', signed({ body: line(0) })], 422, /quantity/],
    ['quantity 1e9', () => ['POST', '/api/orders', signed({ body: line(1e9) })], 422, /quantity/],
    ['no idempotency key', () => ['POST', '/api/orders', { ...signed({ body: GOOD_BODY }), key: undefined }], 400, /Idempotency-Key/i],
    ['an order that is not there', () => ['GET', '/api/orders/none', signed({})], 404, /none/],
    ["somebody else's path", () => ['GET', '/api/orders/%00', signed({})], 400, /path/i],
  ]

  it.each(cases)('%s', async (_, request, status, says) => {
    const answer = await ask(...request())
    expect(answer.status, answer.text).toBe(status)
    expect(answer.type).toContain('application/problem+json')
    expect(answer.text).toMatch(says)
    expect(answer.text).not.toMatch(/node_modules|\.ts:\d+/)
  })

  it('the same key with another body', async () => {
    expect((await ask('POST', '/api/orders', signed({ body: line(1), key: 'reused' }))).status).toBe(202)
    const second = await ask('POST', '/api/orders', signed({ body: line(2), key: 'reused' }))
    expect(second.status, second.text).toBe(422)
    expect(second.body.code).toBe('ERR_KEY_REUSED')
  })

  it('a refund of what can be no payment', async () => {
    const payments = await instanceOf('payments')
    for (const id of ['x', 'y', 'PAYMENT-o1', 'payment-']) {
      const answer = await ask('POST', `/payments/${id}/refunds`, { key: `refund-${id}` }, payments)
      expect({ status: answer.status, code: answer.body.code }, id).toEqual({ status: 404, code: 'ERR_PAYMENT_UNKNOWN' })
    }
    // It is in the way of no order's charge.
    const body = JSON.stringify({ orderId: 'o1', amountCents: 13, checkout: 'orchestration' })
    expect((await ask('POST', '/payments', { key: 'charge-o1', body }, payments)).body.code).toBe('declined')
  })

  it('another amount for an order that has a payment', async () => {
    const payments = await instanceOf('payments')
    const charge = (amountCents: number, key: string) =>
      ask('POST', '/payments', { key, body: JSON.stringify({ orderId: 'o2', amountCents, checkout: 'orchestration' }) }, payments)
    expect((await charge(113, 'first')).body.code).toBe('declined')
    const other = await charge(500, 'second')
    expect({ status: other.status, code: other.body.code }).toEqual({ status: 422, code: 'ERR_PAYMENT_DIFFERS' })
    expect((await charge(113, 'third')).body.code).toBe('declined')
  })

  it('a second reservation of one order under another key', async () => {
    const inventory = await instanceOf('inventory')
    const items = [{ productId: 'seed-mix', quantity: 1 }]
    const body = JSON.stringify({ orderId: 'o3', customerId: 'ada', items, totalCents: 499, checkout: 'orchestration' })
    expect((await ask('POST', '/reservations', { key: 'hold', body }, inventory)).status).toBe(200)
    const second = await ask('POST', '/reservations', { key: 'hold-again', body }, inventory)
    expect({ status: second.status, code: second.body.code }).toEqual({ status: 409, code: 'ERR_ORDER_RESERVED' })
    expect((await ask('DELETE', '/reservations/reservation-o3', { key: 'hold' }, inventory)).status).toBe(204)
  })

  it("another customer's orders and messages", async () => {
    const other = shop.shopper.customerId
    for (const path of [`/api/customers/${other}/orders`, `/api/notifications?customerId=${other}`]) {
      const answer = await ask('GET', path, { token })
      expect({ status: answer.status, code: answer.body.code }, path).toEqual({ status: 403, code: 'ERR_NOT_YOURS' })
    }
  })

  it('a route that nobody has', async () => {
    const answer = await ask('GET', '/no/such/page', {})
    expect(answer.status).toBe(404)
  })

  it('leaves the one good order and no other', async () => {
    await shop.until(
      async () => {
        const { broken } = await shop.books()
        return { status: broken.length, body: { broken }, traceId: undefined }
      },
      ({ status }) => status === 0,
    )
    expect((await shop.books()).orders).toEqual({ confirmed: 1 })
  })
})

interface Request {
  body?: string
  type?: string
  key?: string | undefined
  token?: string
}

let keys = 0
const signed = (request: Request): Request => ({ token, key: `key-${keys++}`, ...request })

/** Past the gateway, as only those inside can go. */
async function instanceOf(service: string): Promise<string> {
  const answer = await fetch(`${shop.running.registryUrl}/v1/health/service/${service}?passing=1`)
  const [entry] = (await answer.json()) as { Service: { Address: string; Port: number } }[]
  if (!entry) throw new Error(`the registry knows no ${service}`)
  return `http://${entry.Service.Address}:${entry.Service.Port}`
}

async function ask(method: string, path: string, request: Request, origin = shop.running.gatewayUrl) {
  const { body, type = 'application/json', key, token } = request
  const response = await fetch(origin + path, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': type }),
      ...(key ? { 'idempotency-key': key } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await response.text()
  return { status: response.status, type: response.headers.get('content-type') ?? '', text, body: JSON.parse(text || '{}') }
}
