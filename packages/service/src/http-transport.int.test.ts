import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { api } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { client } from './client.ts'
import { type HttpTransportOptions, httpTransport } from './http-transport.ts'
import { problemOf } from './problem-of.ts'
import { serve } from './serve.ts'
import { service } from './service.ts'
import { memoryRegistry } from './test/memory-registry.ts'

const things = api('things', {
  operations: {
    get: { method: 'GET', path: '/things', response: z.object({ n: z.int() }) },
    add: { method: 'POST', path: '/things', response: z.object({ n: z.int() }) },
  },
})

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function serving(listener: RequestListener): Promise<string> {
  const server: Server = createHttpServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** An address where nobody listens. */
async function nobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `127.0.0.1:${port}`
}

function calling(addresses: string[], options: Partial<HttpTransportOptions> = {}) {
  const transport = httpTransport({ registry: staticRegistry({ things: addresses }), ...options })
  cleanUps.push(() => transport.close())
  return { transport, things: client(things, { transport }) }
}

const good: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"n":1}')
}

test('instances that are dead cost no call, not even many at once: another is tried before the breaker hears of it', async () => {
  const { things } = calling([await nobody(), await nobody(), await serving(good)])
  const calls = Array.from({ length: 60 }, (_, i) => (i % 2 ? things.get() : things.add()))
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 60 }, () => ({ n: 1 })))
})

test('a connection killed before the answer is tried again elsewhere, for what may be repeated', async () => {
  const kill = vi.fn<RequestListener>((request) => request.socket.destroy())
  const { things } = calling([await serving(kill), await serving(good)])
  for (let i = 0; i < 10; i += 1) expect(await things.get()).toEqual({ n: 1 })
  expect(kill.mock.calls.length).toBeGreaterThan(0)
})

test('a connection killed is an error at once for a call that may not be repeated', async () => {
  const kill = vi.fn<RequestListener>((request) => request.socket.destroy())
  const { things } = calling([await serving(kill)])
  await expect(things.add()).rejects.toMatchObject({
    code: 'ERR_SERVICE_UNAVAILABLE',
    status: 503,
    retryAfterMs: 1_000,
    message: expect.stringMatching(/^no answer from "things" at 127\.0\.0\.1:\d+: /),
  })
  expect(kill).toHaveBeenCalledTimes(1)
})

test('the address of an instance that gave no answer is for the log, and not for those who called the caller', async () => {
  const { things } = calling([await serving((request) => request.socket.destroy())])
  const error: unknown = await things.add().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ message: expect.stringMatching(/ at 127\.0\.0\.1:\d+: /) })
  expect(problemOf(error)).toMatchObject({ status: 503, code: 'ERR_SERVICE_UNAVAILABLE', detail: 'no answer from "things"' })
})

test('an answer cut off in the middle is no answer', async () => {
  const cut = vi.fn<RequestListener>((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('{"n":')
    setTimeout(() => response.destroy(), 10)
  })
  const { things } = calling([await serving(cut)])
  await expect(things.get()).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE' })
  expect(cut).toHaveBeenCalledTimes(3)
})

test('an answer that is too large is an error', async () => {
  const { things } = calling([await serving((_, response) => response.end('x'.repeat(5_000)))], { maxResponseBytes: 1_000 })
  await expect(things.get()).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE' })
})

test('a service that nobody knows of is an error after a short wait', async () => {
  const { things } = calling([], { waitMs: 30 })
  const before = performance.now()
  await expect(things.add()).rejects.toMatchObject({
    code: 'ERR_SERVICE_UNAVAILABLE',
    message: 'no healthy instance of "things" is known; does it run and is it registered?',
  })
  expect(performance.now() - before).toBeLessThan(1_000)
})

test('a call that takes too long lets go of its connection', async () => {
  let closed = false
  const address = await serving((request) => request.socket.on('close', () => (closed = true)))
  const { things } = calling([address])
  await expect(things.get(undefined, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' })
  await vi.waitUntil(() => closed)
})

test('problems of whatever stands between are told by their status', async () => {
  const { things } = calling([await serving((_, response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad'))])
  await expect(things.add()).rejects.toMatchObject({ code: 'ERR_PROBLEM', status: 502, problem: { code: 'ERR_HTTP_502' } })
})

test('once closed, calls fail and closing again does nothing', async () => {
  const { things, transport } = calling([await serving(good)])
  await things.get()
  await transport.close()
  await transport.close()
  await expect(things.add()).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE' })
})

test('bad options are refused by name', () => {
  expect(() => calling([], { connections: 0 })).toThrow('"connections" is 0, wanted a number from 1')
})

test('the words of a path are in any language', async () => {
  const sizes = api('sizes', {
    operations: { look: { method: 'GET', path: '/größen und maße/{id}', response: z.object({ id: z.string() }) } },
  })
  const registry = memoryRegistry()
  const it = service('sizes', { registry, drainMs: 0 })
  it.use(serve(sizes, { look: ({ params }) => params }))
  const transport = httpTransport({ registry })
  await it.start()
  try {
    expect(await client(sizes, { transport }).look({ params: { id: 'groß/klein' } })).toEqual({ id: 'groß/klein' })
  } finally {
    await transport.close()
    await it.stop()
  }
})
