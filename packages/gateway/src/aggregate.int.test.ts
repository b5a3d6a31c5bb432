import { describe, expect, it } from 'vitest'
import type { GatewayConfig } from './config.ts'
import { closedPort, type Echo, echo, origin, rawRequest, start, statusOf } from './test/harness.ts'

const answer = (status: number, body: unknown, type = 'application/json') =>
  origin(
    (_, response) => void response.writeHead(status, { 'content-type': type }).end(typeof body === 'string' ? body : JSON.stringify(body)),
  )

const overview = (more: Partial<GatewayConfig['routes'][number]> = {}): GatewayConfig => ({
  routes: [
    {
      path: '/overview/{orderId}',
      aggregate: {
        order: { service: 'orders', path: '/orders/{orderId}', required: true },
        payment: { service: 'payments', path: '/payments/order/{orderId}' },
        stock: { service: 'stock', path: '/stock/{orderId}' },
      },
      ...more,
    },
  ],
})

describe('aggregate', () => {
  it('puts the parts together in the order of the file, whichever comes first', async () => {
    const slow = await origin(
      (_, response) => void setTimeout(() => response.setHeader('content-type', 'application/json').end('{"id":1}'), 100),
    )
    const [payments, stock] = [await answer(200, { paid: true }), await answer(200, [1, 2])]
    const { url } = await start(overview(), { orders: [slow.address], payments: [payments.address], stock: [stock.address] })
    const response = await fetch(`${url}/overview/1`)
    expect([response.status, response.headers.get('content-type'), response.headers.get('cache-control')]).toEqual([
      200,
      'application/json',
      'private, no-store',
    ])
    expect(await response.text()).toBe(
      '{"order":{"id":1},"payment":{"paid":true},"stock":[1,2],"_parts":{"order":{"status":200},"payment":{"status":200},"stock":{"status":200}}}',
    )
  })

  it('asks all parts at once', async () => {
    let waiting = 0
    const all: (() => void)[] = []
    const meeting = await origin((_, response) => {
      waiting += 1
      all.push(() => response.setHeader('content-type', 'application/json').end('{}'))
      if (waiting === 3) for (const go of all) go()
    })
    const { url } = await start(overview(), { orders: [meeting.address], payments: [meeting.address], stock: [meeting.address] })
    expect((await fetch(`${url}/overview/1`)).status).toBe(200)
  })

  it.each([
    ['is down', { status: 503, error: 'unavailable' }, async () => [`127.0.0.1:${await closedPort()}`]],
    ['has no instance', { status: 503, error: 'unavailable' }, async () => []],
    ['does not know it', { status: 404, error: 'not found' }, async () => [(await answer(404, { code: 'x' })).address]],
    ['fails', { status: 500, error: 'failed' }, async () => [(await answer(500, {})).address]],
    ['redirects', { status: 502, error: 'failed' }, async () => [(await answer(302, {})).address]],
    ['answers no JSON', { status: 502, error: 'invalid' }, async () => [(await answer(200, '<html>', 'text/html')).address]],
    ['answers broken JSON', { status: 502, error: 'invalid' }, async () => [(await answer(200, '{')).address]],
    ['answers too much', { status: 502, error: 'failed' }, async () => [(await answer(200, `"${'x'.repeat(1_100_000)}"`)).address]],
    ['does not answer in time', { status: 504, error: 'timeout' }, async () => [(await origin(() => undefined)).address]],
    [
      'trickles',
      { status: 504, error: 'timeout' },
      async () => {
        const trickle = await origin((_, response) => {
          response.setHeader('content-type', 'application/json')
          const timer = setInterval(() => response.write(' '), 50)
          response.on('close', () => clearInterval(timer))
        })
        return [trickle.address]
      },
    ],
  ])('says which optional part is missing and why: it %s', async (_, wanted, addresses) => {
    const good = await answer(200, { ok: true })
    const { url } = await start(overview({ timeout_ms: 400 }), {
      orders: [good.address],
      payments: await addresses(),
      stock: [good.address],
    })
    const response = await fetch(`${url}/overview/1`)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      order: { ok: true },
      payment: null,
      stock: { ok: true },
      _parts: { order: { status: 200 }, payment: wanted, stock: { status: 200 } },
    })
  })

  it('answers like a required part that is missing', async () => {
    const good = await answer(200, {})
    const gone = await answer(404, { code: 'ORDER_UNKNOWN', detail: 'no order 1' }, 'application/problem+json')
    const { url } = await start(overview(), { orders: [gone.address], payments: [good.address], stock: [good.address] })
    const response = await fetch(`${url}/overview/1`)
    expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
    expect(await response.json()).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      code: 'ORDER_UNKNOWN',
      detail: 'the part "order" cannot be had: no order 1',
      part: 'order',
    })
  })

  it('does not wait for the rest when a required part is missing', async () => {
    const silent = await origin(() => undefined)
    const { url } = await start(overview({ timeout_ms: 5_000, retries: 0 }), {
      orders: [`127.0.0.1:${await closedPort()}`],
      payments: [silent.address],
      stock: [silent.address],
    })
    const startedAt = Date.now()
    const response = await fetch(`${url}/overview/1`)
    expect([response.status, response.headers.get('retry-after'), await response.json()]).toMatchObject([
      503,
      '1',
      { code: 'ERR_UPSTREAM_UNREACHABLE', part: 'order' },
    ])
    expect(Date.now() - startedAt).toBeLessThan(4_000)
  })

  it('hands on who asks, puts the parameter in escaped, and asks for plain JSON', async () => {
    const service = await echo()
    const { url } = await start(overview(), { orders: [service.address], payments: [service.address], stock: [service.address] })
    const response = await fetch(`${url}/overview/a%2F..%2F..%2Fadmin%3Fx%23?query=1`, {
      headers: { authorization: 'Bearer t', 'accept-encoding': 'gzip', 'x-auth-subject': 'root', 'if-none-match': '*', range: 'bytes=0-1' },
    })
    const { order } = (await response.json()) as { order: Echo }
    expect(order.url).toBe('/orders/a%2F..%2F..%2Fadmin%3Fx%23')
    expect(order.headers).toMatchObject({ authorization: 'Bearer t', accept: 'application/json', 'x-forwarded-for': '127.0.0.1' })
    for (const dropped of ['accept-encoding', 'x-auth-subject', 'if-none-match', 'range']) expect(order.headers).not.toHaveProperty(dropped)
  })

  it('is behind its plugins, answers GET and HEAD at its own path only', async () => {
    const { url, port } = await start(overview({ plugins: [{ name: 'jwt', config: { jwks: 'http://127.0.0.1:1' } }] }))
    expect((await fetch(`${url}/overview/1`)).status).toBe(401)
    expect((await fetch(`${url}/overview/1`, { method: 'POST', body: '{}' })).status).toBe(405)
    expect((await fetch(`${url}/overview/1/x`)).status).toBe(404)
    expect((await fetch(`${url}/overview`)).status).toBe(404)
    const good = await answer(200, {})
    const open = await start(overview(), { orders: [good.address], payments: [good.address], stock: [good.address] })
    const raw = await rawRequest(open.port, 'HEAD /overview/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(statusOf(raw)).toBe(200)
    expect(raw).toMatch(/\r\n\r\n$/)
    expect(port).toBeGreaterThan(0)
  })
})
