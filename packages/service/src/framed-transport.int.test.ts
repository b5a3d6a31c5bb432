import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { api, type Instance, type Logger, type Registry, silentLogger } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { type FaultProxy, faultProxy } from '@banyan/testing'
import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { client } from './client.ts'
import { type FramedOptions, framed } from './framed-server.ts'
import { type FramedTransportOptions, framedTransport } from './framed-transport.ts'
import { FRAMED_PORT_META, helloText, KIND, requestHead } from './framed-wire.ts'
import { type Handlers, serve } from './serve.ts'
import { service } from './service.ts'
import { memoryRegistry } from './test/memory-registry.ts'

const shelf = api('shelf', {
  operations: {
    look: { method: 'GET', path: '/shelf/{id}', response: z.object({ id: z.string(), auth: z.string().optional() }) },
    put: { method: 'POST', path: '/shelf', body: z.object({ text: z.string() }), response: z.object({ bytes: z.int() }) },
    wait: { method: 'POST', path: '/wait', response: z.object({ remainingMs: z.number() }) },
    fill: { method: 'GET', path: '/fill/{bytes}', response: z.object({ text: z.string() }) },
  },
})

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Seen {
  handled: string[]
  waiting: Set<() => void>
  aborted: unknown[]
  warnings: string[]
}

function handlers({ handled, waiting, aborted }: Seen): Handlers<typeof shelf> {
  return {
    look({ params, headers }) {
      handled.push(params.id)
      return { id: params.id, auth: headers.authorization }
    },
    put({ body }) {
      handled.push('put')
      return { bytes: body.text.length }
    },
    wait(_, { signal, remainingMs }) {
      handled.push('wait')
      return new Promise((resolve, reject) => {
        const done = () => resolve({ remainingMs })
        waiting.add(done)
        signal.addEventListener('abort', () => {
          aborted.push(signal.reason)
          reject(signal.reason)
        })
      })
    },
    fill({ params }) {
      handled.push('fill')
      return { text: 'x'.repeat(Number(params.bytes)) }
    },
  }
}

/** A service that offers frames, as its registry knows it. */
async function serving(options: FramedOptions = {}) {
  const registry = memoryRegistry()
  const seen: Seen = { handled: [], waiting: new Set(), aborted: [], warnings: [] }
  const log: Logger = { ...silentLogger, warn: (_, message) => void seen.warnings.push(message) }
  const it = service('shelf', { registry, log, drainMs: 0, finishMs: 1_000, maxBodyBytes: 20_000 })
  it.use(serve(shelf, handlers(seen)))
  it.use(framed(options))
  cleanUps.push(() => it.stop())
  await it.start()
  const instance = registry.instances[0] as Instance
  return { it, registry, instance, framedPort: Number(instance.meta?.[FRAMED_PORT_META]), ...seen }
}

function calling(registry: Registry, options: Partial<FramedTransportOptions> = {}) {
  const lines: string[] = []
  const log: Logger = { ...silentLogger, info: (_, message) => void lines.push(message) }
  const transport = framedTransport({ registry, log, ...options })
  cleanUps.push(() => transport.close())
  return { transport, lines, shelf: client(shelf, { transport }) }
}

/** A registry in which the instance's HTTP and framed ports are these. */
function at({ instance }: { instance: Instance }, ports: { http?: number; framed?: number }): Registry {
  const { http = instance.port, framed: port = Number(instance.meta?.[FRAMED_PORT_META]) } = ports
  return staticRegistry({ shelf: [{ host: '127.0.0.1', port: http, meta: { [FRAMED_PORT_META]: String(port) } }] })
}

/** A port where nobody listens. */
async function nobody(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function proxied(port: number): Promise<FaultProxy> {
  const proxy = await faultProxy({ target: { port } })
  cleanUps.push(() => proxy.stop())
  return proxy
}

test('calls go in frames, all over one connection, with their headers', async () => {
  const it = await serving()
  const proxy = await proxied(it.framedPort)
  const { shelf, transport } = calling(at(it, { http: await nobody(), framed: proxy.port }))
  const ids = Array.from({ length: 60 }, (_, n) => `ü ${n}`)
  expect(await Promise.all(ids.map((id) => shelf.look({ params: { id } })))).toEqual(ids.map((id) => ({ id })))
  expect(proxy.accepted).toBe(1)
  const signal = new AbortController().signal
  const headers = { authorization: 'Bearer x' }
  const answer = await transport.call({ service: 'shelf', method: 'GET', path: '/shelf/7', headers, body: undefined, signal })
  expect(JSON.parse(answer.body)).toEqual({ id: '7', auth: 'Bearer x' })
})

test('the deadline goes along, and a call that is given up is heard of at the other end', async () => {
  const it = await serving()
  const { shelf } = calling(at(it, { http: await nobody() }))
  await expect(shelf.wait(undefined, { timeoutMs: 60 })).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' })
  await vi.waitUntil(() => it.aborted.length === 1)
  const abort = new AbortController()
  const call = expect(shelf.wait(undefined, { signal: abort.signal })).rejects.toBe('enough')
  await vi.waitUntil(() => it.waiting.size === 2)
  abort.abort('enough')
  await call
  await vi.waitUntil(() => it.aborted.length === 2)
  expect(await shelf.look({ params: { id: 'after' } })).toEqual({ id: 'after' })
})

test('an instance that offers no frames is called over HTTP', async () => {
  const it = await serving()
  const { shelf, lines } = calling(staticRegistry({ shelf: [`127.0.0.1:${it.instance.port}`] }))
  expect(await shelf.look({ params: { id: 'a' } })).toEqual({ id: 'a' })
  expect(lines).toEqual([])
})

test('a framed port that is gone, silent, or somebody else: HTTP, said once', async () => {
  const it = await serving()
  const silent = createServer().listen(0, '127.0.0.1')
  const web = createHttpServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  await Promise.all([once(silent, 'listening'), once(web, 'listening')])
  cleanUps.push(
    () => silent.close(),
    () => web.close(),
  )
  const other = service('other', { registry: memoryRegistry() })
  const notes = memoryRegistry()
  const another = service('another', { registry: notes, drainMs: 0 })
  another.use(framed())
  cleanUps.push(() => another.stop())
  await another.start()
  expect(other.phase).toBe('created')
  const ports = [
    [await nobody(), /ECONNREFUSED/],
    [(silent.address() as AddressInfo).port, /no hello within 50 ms/],
    [(web.address() as AddressInfo).port, /a frame says it is \d+ bytes long/],
    [Number(notes.instances[0]?.meta?.[FRAMED_PORT_META]), /"another" is there, wanted "shelf"/],
  ] as const
  for (const [port, why] of ports) {
    const { shelf, lines } = calling(at(it, { framed: port }), { connectTimeoutMs: 50 })
    for (const id of ['a', 'b']) expect(await shelf.look({ params: { id } })).toEqual({ id })
    expect(lines).toEqual([expect.stringMatching(why)])
  }
})

test('a connection that dies takes its calls along: those that may be repeated are, the others fail', async () => {
  const it = await serving()
  const proxy = await proxied(it.framedPort)
  const { shelf } = calling(at(it, { framed: proxy.port }))
  await shelf.look({ params: { id: 'first' } })
  await proxy.set({ blackHole: true, direction: 'answers' })
  const [safe, unsafe] = [shelf.look({ params: { id: 'again' } }), shelf.put({ body: { text: 'x' } })]
  const failed = expect(unsafe).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE', status: 503 })
  await vi.waitUntil(() => it.handled.includes('put'))
  await proxy.set({})
  proxy.cut()
  await failed
  expect(await safe).toEqual({ id: 'again' })
  expect(it.handled.filter((what) => what === 'put')).toHaveLength(1)
  expect(it.handled.filter((what) => what === 'again').length).toBeGreaterThan(1)
})

test('an other side that gives no sign of life is given up, and its calls with it', async () => {
  const it = await serving()
  const proxy = await proxied(it.framedPort)
  const { shelf } = calling(at(it, { framed: proxy.port }), { idleMs: 40 })
  await shelf.look({ params: { id: 'first' } })
  await proxy.set({ blackHole: true })
  await expect(shelf.put({ body: { text: 'x' } })).rejects.toMatchObject({ message: expect.stringContaining('ERR_FRAMED_CLOSED') })
})

test('a client whose machine is gone without a word is noticed by the system, and its connection with it', async () => {
  const keepAlive = vi.spyOn(Socket.prototype, 'setKeepAlive')
  const it = await serving()
  keepAlive.mockClear()
  const socket = await raw(it.framedPort)
  socket.write(hello)
  await once(socket, 'data')
  expect(keepAlive.mock.calls).toEqual([[true, 30_000]])
  keepAlive.mockRestore()
})

test('a slow answer is no silence: the other side says that it is there', async () => {
  const it = await serving()
  const { shelf } = calling(at(it, { http: await nobody() }), { idleMs: 20 })
  const call = shelf.wait()
  await vi.waitUntil(() => it.waiting.size === 1)
  const before = performance.now()
  await vi.waitUntil(() => performance.now() - before > 150)
  for (const done of it.waiting) done()
  expect(await call).toMatchObject({ remainingMs: expect.any(Number) })
})

test('a request too large for a frame goes over HTTP, an answer too large is an error of its call alone', async () => {
  const it = await serving({ maxFrameBytes: 4_000 })
  const { shelf } = calling(it.registry, { maxResponseBytes: 10 })
  expect(await shelf.put({ body: { text: 'x'.repeat(2_000) } })).toEqual({ bytes: 2_000 })
  await expect(shelf.put({ body: { text: 'x'.repeat(5_000) } })).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE' })
  const roomy = calling(it.registry)
  expect(await roomy.shelf.put({ body: { text: 'x'.repeat(5_000) } })).toEqual({ bytes: 5_000 })
  await expect(roomy.shelf.put({ body: { text: 'x'.repeat(30_000) } })).rejects.toMatchObject({ status: 413 })
  const other = calling(at(it, { http: await nobody() }), { maxResponseBytes: 1_000 })
  const [large, small] = [other.shelf.fill({ params: { bytes: '90000' } }), other.shelf.look({ params: { id: 'a' } })]
  await expect(large).rejects.toMatchObject({ message: expect.stringContaining('ERR_FRAMED_FAILED') })
  expect(await small).toEqual({ id: 'a' })
})

/** A client that says what it likes. */
async function raw(port: number) {
  const socket = connect(port, '127.0.0.1')
  cleanUps.push(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

function frame(kind: number, call: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content)
  const head = Buffer.alloc(9)
  head.writeUInt32BE(bytes.length + 5)
  head[4] = kind
  head.writeUInt32BE(call, 5)
  return Buffer.concat([head, bytes])
}

function request(call: number, path: string): Buffer {
  const head = Buffer.from(
    requestHead({ service: '', method: 'GET', path, headers: {}, body: undefined, signal: new AbortController().signal }),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32BE(head.length)
  return frame(KIND.request, call, Buffer.concat([length, head]))
}

const hello = frame(KIND.hello, 0, helloText({ service: 'shelf', maxFrameBytes: 1e6 }))

test('what is malformed closes its own connection, with a line in the log, and nothing else', async () => {
  const it = await serving()
  const { shelf } = calling(at(it, { http: await nobody() }))
  await shelf.look({ params: { id: 'before' } })
  const wrong: [Buffer, RegExp][] = [
    [Buffer.from('GET / HTTP/1.1\r\n\r\n'), /a frame says it is \d+ bytes long/],
    [frame(KIND.ping, 0, ''), /the first frame is no hello/],
    [frame(KIND.hello, 0, '["other/1"]'), /the hello is none of banyan-framed\/1/],
    [Buffer.concat([hello, frame(KIND.response, 1, '')]), /a frame of kind 3 comes from no client/],
    [Buffer.concat([hello, frame(KIND.request, 1, 'xx')]), /a frame ends before its head begins/],
    [Buffer.concat([hello, request(1, '/shelf/a b')]), /the path of a request is none/],
  ]
  for (const [bytes, why] of wrong) {
    const socket = await raw(it.framedPort)
    socket.resume()
    socket.write(bytes)
    await once(socket, 'close')
    expect(it.warnings.at(-1)).toMatch(/^closed the framed connection of 127\.0\.0\.1:\d+ to "shelf": /)
    expect(it.warnings.at(-1)).toMatch(why)
  }
  expect(it.warnings).toHaveLength(wrong.length)
  expect(await shelf.look({ params: { id: 'after' } })).toEqual({ id: 'after' })
})

test('whatever bytes come, after a hello or without, the service answers the others', async () => {
  const it = await serving()
  const { shelf } = calling(at(it, { http: await nobody() }))
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 400 })
  const pieces = fc.array(
    fc.oneof(bytes, fc.constantFrom(hello, request(1, '/shelf/a'), frame(KIND.cancel, 1, ''), frame(KIND.ping, 0, ''))),
    {
      maxLength: 6,
    },
  )
  await fc.assert(
    fc.asyncProperty(pieces, async (some) => {
      const socket = await raw(it.framedPort)
      socket.resume()
      for (const piece of some) socket.write(piece)
      socket.end()
      expect(await shelf.look({ params: { id: 'a' } })).toEqual({ id: 'a' })
      socket.destroy()
    }),
    { numRuns: 100 },
  )
})

test('so many calls of a connection are handled at once, and no more', async () => {
  const it = await serving({ maxInFlight: 3 })
  const { shelf } = calling(at(it, { http: await nobody() }))
  const calls = Array.from({ length: 10 }, () => shelf.wait())
  await vi.waitUntil(() => it.waiting.size === 3)
  let most = 0
  while (it.handled.length < 10 || it.waiting.size > 0) {
    most = Math.max(most, it.waiting.size)
    for (const done of [...it.waiting]) {
      it.waiting.delete(done)
      done()
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await Promise.all(calls)).toHaveLength(10)
  expect(most).toBe(3)
})

test('a client that does not read its answers is read no further', async () => {
  const it = await serving()
  const socket = await raw(it.framedPort)
  socket.pause()
  socket.write(hello)
  // 4 MB of requests for 100 MB of answers.
  const many = 1_000
  for (let call = 1; call <= many; call += 1)
    socket.write(Buffer.concat([request(call, '/fill/100000'), frame(KIND.ping, 0, 'x'.repeat(4_000))]))
  await vi.waitUntil(() => it.handled.length > 0)
  let [before, calm] = [0, 0]
  while (calm < 50) {
    await new Promise((resolve) => setImmediate(resolve))
    calm = it.handled.length === before ? calm + 1 : 0
    before = it.handled.length
  }
  expect(it.handled.length).toBeLessThan(many / 2)
  socket.resume()
  await vi.waitUntil(() => it.handled.length === many, { timeout: 20_000 })
})

test('a service that stops answers what is on its way; its clients part from it by themselves', async () => {
  const it = await serving()
  const proxy = await proxied(it.framedPort)
  const { shelf } = calling(at(it, { framed: proxy.port }))
  const calls = [1, 2, 3].map(() => shelf.wait())
  await vi.waitUntil(() => it.waiting.size === 3)
  const stopping = it.it.stop()
  await vi.waitUntil(() => it.it.phase === 'draining')
  for (const done of it.waiting) done()
  expect(await Promise.all(calls)).toHaveLength(3)
  await stopping
  await vi.waitUntil(() => proxy.connections === 0)
  expect(it.warnings).toEqual([])
})

test('bad options are refused by name', () => {
  expect(() => framed({ maxFrameBytes: 10 })).toThrow('cannot offer framed connections: "maxFrameBytes" is 10, wanted a number from 1033')
  expect(() => framedTransport({ registry: memoryRegistry(), idleMs: 0 })).toThrow('cannot create framed transport: "idleMs" is 0')
  expect(() => framedTransport({ registry: memoryRegistry(), connections: 0 })).toThrow(
    'cannot create framed transport: "connections" is 0',
  )
})

test('who begins a hello and does not end it is not waited for any longer than who is silent', async () => {
  const { framedPort } = await serving({ helloTimeoutMs: 50 })
  const socket = await raw(framedPort)
  socket.resume()
  socket.write(hello.subarray(0, 5))
  await once(socket, 'close')
})

test('a port that is none is refused where it is given', () => {
  for (const port of [-1, 1.5, 65_536, Number.NaN])
    expect(() => framed({ port })).toThrow(`"port" is ${port}, wanted a whole number from 0 to 65535`)
})
