import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { api, systemWorld } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { type FaultProxy, faultProxy } from '@banyan/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { client } from './client.ts'
import { defaultPolicy } from './client-defaults.ts'
import { type HttpTransportOptions, httpTransport } from './http-transport.ts'
import { serve } from './serve.ts'
import { service } from './service.ts'

const things = api('things', {
  operations: {
    get: { method: 'GET', path: '/things', response: z.object({ n: z.int() }) },
    add: { method: 'POST', path: '/things', response: z.object({ n: z.int() }) },
    addOnce: { method: 'POST', path: '/once', response: z.object({ n: z.int() }), idempotencyKey: 'required' },
    large: { method: 'GET', path: '/large', response: z.object({ text: z.string() }) },
  },
})

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Behind {
  proxy: FaultProxy
  handled: string[]
  address: string
}

/** A service behind a proxy of its own. */
async function behindProxy(n: number): Promise<Behind> {
  const handled: string[] = []
  const it = service('things', { drainMs: 0, finishMs: 200 })
  const note = (what: string) => {
    handled.push(what)
    return { n }
  }
  it.use(
    serve(things, {
      get: () => note('get'),
      add: () => note('add'),
      addOnce: () => note('addOnce'),
      large: () => ({ text: 'x'.repeat(200_000) }),
    }),
  )
  const { port } = await it.start()
  const proxy = await faultProxy({ target: { port } })
  cleanUps.push(
    () => it.stop(),
    () => proxy.stop(),
  )
  return { proxy, handled, address: `127.0.0.1:${proxy.port}` }
}

function calling(addresses: string[], options: Partial<HttpTransportOptions> & { attemptTimeoutMs?: number } = {}) {
  const { attemptTimeoutMs, ...rest } = options
  const transport = httpTransport({ registry: staticRegistry({ things: addresses }), ...rest })
  cleanUps.push(() => transport.close())
  const policy = attemptTimeoutMs === undefined ? {} : { policy: defaultPolicy('things', systemWorld, { attemptTimeoutMs }) }
  return client(things, { transport, ...policy })
}

test('an instance that accepts and never replies costs a call its time, and lets go of its connection', async () => {
  const { proxy, address } = await behindProxy(1)
  await proxy.set({ blackHole: true })
  const calls = calling([address])
  await expect(calls.get(undefined, { timeoutMs: 80 })).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT', status: 504 })
  await proxy.set({})
  await vi.waitUntil(() => proxy.connections === 0)
})

test('with a bound on each attempt, a call that may be repeated gets past an instance that never replies', async () => {
  const [deaf, well] = [await behindProxy(1), await behindProxy(2)]
  await deaf.proxy.set({ blackHole: true })
  const calls = calling([deaf.address, well.address], { attemptTimeoutMs: 400 })
  for (let n = 0; n < 4; n += 1) expect(await calls.get()).toEqual({ n: 2 })
  expect(deaf.proxy.accepted).toBeGreaterThan(0)
  const keyed = await Promise.all(['a', 'b', 'c', 'd'].map((key) => calls.addOnce({ key })))
  expect(keyed).toEqual(Array.from({ length: 4 }, () => ({ n: 2 })))
})

test('one that may not be repeated is sent once, whatever comes of it', async () => {
  const [slow, well] = [await behindProxy(1), await behindProxy(2)]
  await slow.proxy.set({ blackHole: true, direction: 'answers' })
  const calls = calling([slow.address, well.address], { attemptTimeoutMs: 1_000 })
  await Promise.allSettled(Array.from({ length: 8 }, () => calls.add()))
  expect(slow.handled.length + well.handled.length).toBeLessThanOrEqual(8)
  expect(slow.handled.length).toBeGreaterThan(0)
})

test.each([
  ['reset in the middle of its answer', { resetAfterBytes: 30, direction: 'answers' }],
  ['closed in the middle of its answer', { closeAfterBytes: 150, direction: 'answers' }],
  ['reset in the middle of the request', { resetAfterBytes: 20, direction: 'requests' }],
] as const)('a connection that is %s: repeated elsewhere where it may be, an error where not', async (_, faults) => {
  const [broken, well] = [await behindProxy(1), await behindProxy(2)]
  await broken.proxy.set(faults)
  const both = calling([broken.address, well.address])
  for (let n = 0; n < 6; n += 1) expect(await both.get()).toEqual({ n: 2 })
  expect(broken.proxy.accepted).toBeGreaterThan(0)
  const alone = calling([broken.address])
  const before = broken.proxy.accepted
  await expect(alone.add()).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE', status: 503 })
  expect(broken.proxy.accepted).toBe(before + 1)
})

test('half of a large answer is no answer', async () => {
  const { proxy, address } = await behindProxy(1)
  await proxy.set({ closeAfterBytes: 100_000, direction: 'answers' })
  await expect(calling([address]).large()).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE' })
  await proxy.set({ bytesPerSecond: 2_000_000, latencyMs: 5, jitterMs: 5 })
  expect((await calling([address]).large()).text).toHaveLength(200_000)
})

test('a kept connection that the other side has closed meanwhile is not used, even for what may be sent only once', async () => {
  const { proxy, address, handled } = await behindProxy(1)
  const calls = calling([address])
  for (let n = 1; n <= 5; n += 1) {
    expect(await calls.add()).toEqual({ n: 1 })
    proxy.cut()
    // Heard of by this side before the next call.
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
  expect(handled).toHaveLength(5)
  expect(proxy.accepted).toBe(5)
})

test('a kept connection that is closed under a request: repeated only if that may be, as the request may have been read', async () => {
  let requests = 0
  // Answers the first request of each connection, and closes it at the sight of the second.
  const server = createServer((socket) => {
    let first = true
    socket.on('error', () => {})
    socket.on('data', () => {
      requests += 1
      if (!first) return socket.destroy()
      first = false
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"n":1}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUps.push(() => server.close())
  const calls = calling([`127.0.0.1:${(server.address() as AddressInfo).port}`], { connections: 1 })
  expect(await calls.get()).toEqual({ n: 1 })
  await expect(calls.add()).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE' })
  expect(requests).toBe(2)
  expect(await calls.get()).toEqual({ n: 1 })
  expect(await calls.get()).toEqual({ n: 1 })
  expect(requests).toBe(5)
})

test('so many connections to an instance and no more; the calls beyond them wait their turn', async () => {
  const { proxy, address } = await behindProxy(1)
  const calls = calling([address])
  expect(await Promise.all(Array.from({ length: 90 }, () => calls.get()))).toHaveLength(90)
  expect(proxy.accepted).toBeLessThanOrEqual(20)
  const few = calling([address], { connections: 2 })
  const before = proxy.accepted
  await Promise.all(Array.from({ length: 30 }, () => few.get()))
  expect(proxy.accepted - before).toBeLessThanOrEqual(2)
})

test('a call that waits for a connection until its time is up has sent nothing', async () => {
  const { proxy, address, handled } = await behindProxy(1)
  const calls = calling([address], { connections: 1 })
  await calls.add()
  await proxy.set({ blackHole: true })
  const both = [100, 60].map((timeoutMs) =>
    expect(calls.add(undefined, { timeoutMs })).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' }),
  )
  await Promise.all(both)
  await proxy.set({})
  await vi.waitUntil(() => proxy.connections === 0)
  expect(handled.length).toBeLessThanOrEqual(2)
})

test('Retry-After is waited for before the next attempt', async () => {
  const times: number[] = []
  const server = createHttpServer((_, response) => {
    times.push(performance.now())
    if (times.length === 1) response.writeHead(503, { 'retry-after': '1' }).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{"n":1}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  expect(await calling([`127.0.0.1:${(server.address() as AddressInfo).port}`]).get()).toEqual({ n: 1 })
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(995)
})
