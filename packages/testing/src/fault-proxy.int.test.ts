import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type ManualWorld, manualWorld } from '@banyan/core'
import { afterEach, expect, test, vi } from 'vitest'
import { type FaultProxyOptions, faultProxy } from './fault-proxy.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** A server that sends back what it gets, and the sockets it has. */
async function echo(): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

async function setup(options: Partial<FaultProxyOptions> = {}) {
  const target = await echo()
  const proxy = await faultProxy({ target, ...options })
  cleanUps.push(() => proxy.stop())
  return { proxy, target }
}

interface Caller {
  socket: Socket
  received: () => string
  ended: () => string | undefined
}

async function calling(port: number): Promise<Caller> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  cleanUps.push(() => socket.destroy())
  let received = ''
  let ended: string | undefined
  socket.on('data', (chunk) => {
    received += chunk
  })
  socket.on('end', () => {
    ended ??= 'end'
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    ended = error.code
  })
  await once(socket, 'connect')
  return { socket, received: () => received, ended: () => ended }
}

/** Lets bytes through sockets, without time passing. */
async function until(world: ManualWorld, condition: () => boolean): Promise<void> {
  await vi.waitUntil(async () => {
    await world.advance(0)
    return condition()
  })
}

test('without faults it is not there: bytes and ends go through, both ways', async () => {
  const { proxy } = await setup()
  const { socket } = await calling(proxy.port)
  socket.end('hello'.repeat(10_000))
  expect(await text(socket)).toBe('hello'.repeat(10_000))
  await vi.waitUntil(() => proxy.connections === 0)
  expect(proxy.accepted).toBe(1)
})

test('latency holds every byte back for its time, each way, and pieces do not wait for each other', async () => {
  const world = manualWorld()
  const { proxy, target } = await setup({ world, faults: { latencyMs: 100 } })
  const { socket, received } = await calling(proxy.port)
  socket.write('a')
  // On its way to the server, which has a timer of its own for it.
  await until(world, () => world.pendingTimers() === 1)
  await world.advance(99)
  expect(received()).toBe('')
  await world.advance(1)
  await vi.waitUntil(() => target.sockets[0]?.bytesRead === 1)
  await until(world, () => world.pendingTimers() === 1)
  await world.advance(100)
  await vi.waitUntil(() => received() === 'a')
})

test('jitter comes from the seed and never turns the order', async () => {
  const world = manualWorld()
  const { proxy } = await setup({ world, seed: 7, faults: { latencyMs: 50, jitterMs: 50, direction: 'requests' } })
  const { socket, received } = await calling(proxy.port)
  for (const letter of 'abcdefgh') {
    socket.write(letter)
    await until(world, () => true)
  }
  await until(world, () => world.pendingTimers() >= 1)
  await world.advance(1_000)
  await vi.waitUntil(() => received().length === 8)
  expect(received()).toBe('abcdefgh')
})

test('a slow line carries so many bytes a second', async () => {
  const world = manualWorld()
  const { proxy } = await setup({ world, faults: { bytesPerSecond: 1_000, direction: 'answers' } })
  const { socket, received } = await calling(proxy.port)
  socket.write('x'.repeat(2_000))
  await until(world, () => world.pendingTimers() === 1)
  await world.advance(500)
  await until(world, () => received().length === 500)
  await world.advance(499)
  expect(received().length).toBeLessThan(1_000)
  await world.advance(1_001)
  await vi.waitUntil(() => received().length === 2_000)
})

test('a connection is reset after so many bytes, or closed in order', async () => {
  const { proxy } = await setup({ faults: { resetAfterBytes: 5, direction: 'requests' } })
  const first = await calling(proxy.port)
  first.socket.write('0123456789')
  await vi.waitUntil(() => first.ended() === 'ECONNRESET')
  await proxy.set({ closeAfterBytes: 5, direction: 'answers' })
  const second = await calling(proxy.port)
  second.socket.write('0123456789')
  await vi.waitUntil(() => second.ended() === 'end')
  expect(second.received()).toBe('01234')
  await vi.waitUntil(() => proxy.connections === 0)
})

test('a share of new connections is reset, the same ones for the same seed', async () => {
  async function pattern(seed: number): Promise<string> {
    const { proxy } = await setup({ seed, faults: { resetShare: 0.5 } })
    let seen = ''
    for (let n = 0; n < 12; n += 1) {
      const caller = await calling(proxy.port).catch(() => undefined)
      caller?.socket.write('x')
      await vi.waitUntil(() => !caller || caller.ended() !== undefined || caller.received() === 'x')
      seen += caller?.received() === 'x' ? '.' : 'x'
    }
    return seen
  }
  const first = await pattern(3)
  expect(first).toMatch(/x/)
  expect(first).toMatch(/\./)
  expect(await pattern(3)).toBe(first)
})

test('a black hole tells nobody, not even of a death, and gives back what it held', async () => {
  const { proxy, target } = await setup()
  const { socket, received, ended } = await calling(proxy.port)
  socket.write('a')
  await vi.waitUntil(() => received() === 'a')
  await proxy.set({ blackHole: true })
  socket.write('b')
  const other = await calling(proxy.port)
  other.socket.write('c')
  expect(await quiet(() => received() !== 'a' || other.received() !== '')).toBe(true)
  await proxy.set({})
  await vi.waitUntil(() => received() === 'ab' && other.received() === 'c')
  await proxy.set({ blackHole: true })
  target.sockets[0]?.resetAndDestroy()
  expect(await quiet(() => ended() !== undefined)).toBe(true)
  await proxy.set({})
  await vi.waitUntil(() => ended() !== undefined)
})

test('half-open: the death of one side is not told to the other', async () => {
  const { proxy, target } = await setup({ faults: { halfOpen: true } })
  const { socket, received, ended } = await calling(proxy.port)
  socket.write('a')
  await vi.waitUntil(() => received() === 'a')
  target.sockets[0]?.destroy()
  socket.write('b')
  expect(await quiet(() => ended() !== undefined)).toBe(true)
  expect(received()).toBe('a')
})

test('refused: nobody listens, those who are there stay, and the port is the same afterwards', async () => {
  const { proxy } = await setup()
  const before = await calling(proxy.port)
  await proxy.set({ refuse: true })
  await expect(calling(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  before.socket.write('still here')
  await vi.waitUntil(() => before.received() === 'still here')
  await proxy.set({})
  const { socket, received } = await calling(proxy.port)
  socket.write('a')
  await vi.waitUntil(() => received() === 'a')
  proxy.cut()
  await vi.waitUntil(() => before.ended() === 'ECONNRESET')
})

test('faults out of range are refused by name', async () => {
  const { proxy } = await setup()
  await expect(proxy.set({ latencyMs: -1 })).rejects.toThrow('"latencyMs" is -1, wanted a number from 0')
  await expect(proxy.set({ resetShare: 2 })).rejects.toThrow('"resetShare" is 2, wanted 0 to 1')
  await expect(proxy.set({ bytesPerSecond: 0 })).rejects.toThrow('"bytesPerSecond" is 0')
  await expect(faultProxy({ target: { port: 1 }, faults: { jitterMs: Number.NaN } })).rejects.toThrow('"jitterMs" is NaN')
})

/** Whether nothing happens for twenty turns of the event loop: sockets of one machine need two or three. */
async function quiet(happened: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    if (happened()) return false
  }
  return true
}
