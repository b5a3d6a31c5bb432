import { api, CodedError, refuse } from '@banyan/core'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { type Client, client } from './client.ts'
import { framed } from './framed-server.ts'
import { framedTransport } from './framed-transport.ts'
import { httpTransport } from './http-transport.ts'
import { inProcessTransport } from './in-process.ts'
import { currentRequest } from './request-scope.ts'
import { type Handlers, serve } from './serve.ts'
import { type Service, service } from './service.ts'
import { memoryRegistry } from './test/memory-registry.ts'

const stockApi = api('stock', {
  operations: {
    reserve: {
      method: 'POST',
      path: '/reservations/{product}',
      body: z.strictObject({ quantity: z.int().min(1) }),
      response: z.object({ left: z.int() }),
      refusals: ['sold-out'],
      idempotencyKey: 'required',
    },
    wait: { method: 'GET', path: '/wait/{ms}', response: z.object({ remainingMs: z.number() }) },
  },
})

const ordersApi = api('orders', {
  operations: {
    place: {
      method: 'POST',
      path: '/orders',
      body: z.object({ product: z.string(), quantity: z.number() }),
      response: z.object({ left: z.int(), by: z.string() }),
      refusals: ['sold-out'],
      idempotencyKey: 'required',
    },
    wait: { method: 'GET', path: '/wait/{ms}', response: z.object({ remainingMs: z.number() }) },
  },
})

const cleanUps: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Shop {
  stock: Service
  startStock: () => Promise<Service>
  shop: Client<typeof ordersApi>
  direct: Client<typeof stockApi>
  /** Why waits at stock were given up. */
  aborted: unknown[]
  /** Waits at stock that run. */
  waiting: Set<string>
  sawKey: string[]
}

async function setup(shape: 'http' | 'framed' | 'in-process'): Promise<Shop> {
  const registry = memoryRegistry()
  const local = shape === 'in-process' ? inProcessTransport() : undefined
  const transport = local ?? (shape === 'framed' ? framedTransport({ registry }) : httpTransport({ registry }))
  const options = { registry, drainMs: 20, finishMs: 2_000, ...(local && { transport: local }) }
  const [direct, shop] = [client(stockApi, { transport }), client(ordersApi, { transport })]
  const notes = { aborted: [], waiting: new Set<string>(), sawKey: [] }
  cleanUps.push(() => transport.close())

  async function start(it: Service): Promise<Service> {
    if (shape === 'framed') it.use(framed())
    cleanUps.push(() => it.stop())
    await it.start()
    return it
  }
  function startStock(): Promise<Service> {
    const stock = service('stock', options)
    stock.use(serve(stockApi, stockHandlers(notes)))
    return start(stock)
  }

  const stock = await startStock()
  const orders = service('orders', options)
  orders.use(
    serve(ordersApi, {
      async place({ body: { product, quantity }, key }, { traceId }) {
        const answer = await direct.reserve({ params: { product }, body: { quantity }, key: `${key}:stock` })
        return 'refused' in answer ? answer : { ...answer, by: traceId }
      },
      wait: ({ params }) => direct.wait({ params }),
    }),
  )
  await start(orders)
  return { stock, startStock, shop, direct, ...notes }
}

function stockHandlers({ aborted, waiting, sawKey }: Pick<Shop, 'aborted' | 'waiting' | 'sawKey'>): Handlers<typeof stockApi> {
  return {
    reserve({ params, body, key }) {
      sawKey.push(key)
      if (params.product === 'unknown') throw new CodedError('ERR_PRODUCT_UNKNOWN', 'there is no such product', { status: 404 })
      return body.quantity > 10 ? refuse('sold-out', 'only 10 left') : { left: 10 - body.quantity }
    },
    wait({ params }, { signal, remainingMs, world, traceId }) {
      waiting.add(traceId)
      return new Promise<{ remainingMs: number }>((resolve, reject) => {
        const timer = world.after(Number(params.ms), () => resolve({ remainingMs }))
        signal.addEventListener('abort', () => {
          timer.cancel()
          aborted.push(signal.reason)
          reject(signal.reason)
        })
      }).finally(() => waiting.delete(traceId))
    },
  }
}

describe.each(['http', 'framed', 'in-process'] as const)('over %s', (shape) => {
  test('a typed call goes through two services, its key and trace along', async () => {
    const { shop, sawKey } = await setup(shape)
    expect(await shop.place({ body: { product: 'mug', quantity: 3 }, key: 'k' })).toEqual({
      left: 7,
      by: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    expect(sawKey).toEqual(['k:stock'])
  })

  test('a refusal comes back as a value through both', async () => {
    const { shop } = await setup(shape)
    expect(await shop.place({ body: { product: 'mug', quantity: 11 }, key: 'k' })).toEqual({ refused: 'sold-out', detail: 'only 10 left' })
  })

  test('what breaks the contract is refused before the handler, field by field', async () => {
    const { direct, sawKey } = await setup(shape)
    await expect(
      direct.reserve({ params: { product: 'mug' }, body: { quantity: 0.5, extra: 1 } as never, key: 'k' }),
    ).rejects.toMatchObject({
      code: 'ERR_PROBLEM',
      status: 422,
      problem: { code: 'ERR_REQUEST_INVALID', errors: [{ path: 'body.quantity' }, { path: 'body' }], instance: '/reservations/mug' },
    })
    expect(sawKey).toEqual([])
  })

  test("another service's problem that nobody handled is a 502 of one's own, not repeated", async () => {
    const { shop, direct, sawKey } = await setup(shape)
    await expect(direct.reserve({ params: { product: 'unknown' }, body: { quantity: 1 }, key: 'a' })).rejects.toMatchObject({
      status: 404,
      problem: { code: 'ERR_PRODUCT_UNKNOWN', detail: 'there is no such product' },
    })
    expect(sawKey).toEqual(['a'])
    const error = await shop.place({ body: { product: 'unknown', quantity: 1 }, key: 'k' }).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_PROBLEM', status: 502, problem: { code: 'ERR_PROBLEM' } })
    expect(error.problem.detail).toBe('stock.reserve answered 404 ERR_PRODUCT_UNKNOWN: there is no such product')
  })

  test('the time a caller has is handed on, and nobody works on after it', async () => {
    const { shop, aborted } = await setup(shape)
    const { remainingMs } = await shop.wait({ params: { ms: '1' } }, { timeoutMs: 900 })
    expect(remainingMs).toBeLessThanOrEqual(900)
    expect(remainingMs).toBeGreaterThan(200)
    const before = performance.now()
    await expect(shop.wait({ params: { ms: '10000' } }, { timeoutMs: 150 })).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' })
    expect(performance.now() - before).toBeLessThan(1_000)
    await vi.waitUntil(() => aborted.length > 0)
    expect(currentRequest()).toBeUndefined()
  })

  test('a caller that gives up is heard of at the far end', async () => {
    const { shop, aborted, waiting } = await setup(shape)
    const abort = new AbortController()
    const call = shop.wait({ params: { ms: '10000' } }, { signal: abort.signal })
    const given = expect(call).rejects.toBe('enough')
    await vi.waitUntil(() => waiting.size === 1)
    abort.abort('enough')
    await given
    await vi.waitUntil(() => aborted.length > 0)
  })

  test('a service that stops finishes what is in flight, then is gone', async () => {
    const { direct, stock, waiting } = await setup(shape)
    const inFlight = [1, 2, 3].map(() => direct.wait({ params: { ms: '300' } }))
    await vi.waitUntil(() => waiting.size === 3)
    const stopping = stock.stop()
    expect(await Promise.all(inFlight)).toHaveLength(3)
    await stopping
    await expect(direct.wait({ params: { ms: '1' } }, { timeoutMs: 400 })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(SERVICE_UNAVAILABLE|REQUEST_TIMEOUT)$/),
    })
  })

  test('a service that is started anew is found again', async () => {
    const { direct, stock, startStock } = await setup(shape)
    expect((await direct.wait({ params: { ms: '1' } })).remainingMs).toBeGreaterThan(0)
    await stock.stop()
    await startStock()
    expect((await direct.wait({ params: { ms: '1' } })).remainingMs).toBeGreaterThan(0)
  })
})
