import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Instance, manualWorld, type Snapshot } from '@banyan/core'
import { afterEach, expect, test, vi } from 'vitest'
import { type ConsulRegistryOptions, consulRegistry } from './consul-client.ts'
import { registryServer } from './registry-server.ts'
import { upstream } from './upstream.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startServer(options: Parameters<typeof registryServer>[0] = {}) {
  const server = registryServer({ port: 0, ...options })
  cleanups.push(() => server.stop())
  return { server, ...(await server.start()) }
}

function client(url: string, options: Partial<ConsulRegistryOptions> = {}) {
  const registry = consulRegistry({ url, ...options })
  cleanups.push(() => registry.close())
  return registry
}

const instance = (id: string, port: number, more: Partial<Instance> = {}): Instance => ({
  id,
  service: 'orders',
  host: '127.0.0.1',
  port,
  ...more,
})

/** Snapshots as they come, and a way to wait for one. */
function recorder() {
  const seen: Snapshot[] = []
  const waiting = new Set<() => void>()
  return {
    seen,
    take(snapshot: Snapshot) {
      seen.push(snapshot)
      for (const look of [...waiting]) look()
    },
    until(wanted: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`not seen within 10 s; last was ${JSON.stringify(seen.at(-1))}`)), 10_000)
        const look = () => {
          const last = seen.at(-1)
          if (!last || !wanted(last)) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(last)
        }
        waiting.add(look)
        look()
      })
    },
  }
}

const ids = (snapshot: Snapshot) => snapshot.instances.map(({ id }) => id).join()

test('what is registered is seen by every watcher with all it said, and goes at once when it is deregistered', async () => {
  const { url } = await startServer()
  const [one, two] = [recorder(), recorder()]
  client(url).watch('orders', one.take)
  const registry = client(url)
  registry.watch('orders', two.take)
  await one.until(({ revision }) => revision > 0)
  const told = instance('o-1', 3001, { tags: ['blue'], meta: { version: '7' }, weight: 3, zone: 'a' })
  const registration = await registry.register(told)
  expect((await one.until(({ instances }) => instances.length === 1)).instances[0]).toEqual({ ...told, meta: { version: '7', zone: 'a' } })
  await two.until(({ instances }) => instances.length === 1)
  const second = await registry.register(instance('o-2', 3002))
  await one.until(({ instances }) => instances.length === 2)
  await Promise.all([registration.deregister(), registration.deregister(), second.deregister()])
  const empty = await Promise.all([
    one.until(({ instances }) => instances.length === 0),
    two.until(({ instances }) => instances.length === 0),
  ])
  expect(empty.map(({ stale }) => stale)).toEqual([false, false])
  const revisions = one.seen.map(({ revision }) => revision)
  expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b))
})

test('heartbeats keep an instance for longer than its TTL; a process that dies is out after it', async () => {
  const { url } = await startServer()
  const heard = recorder()
  client(url).watch('orders', heard.take)
  const living = client(url, { ttlMs: 1_000 })
  await living.register(instance('o-1', 3001))
  await heard.until((snapshot) => ids(snapshot) === 'o-1')
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  expect(ids(heard.seen.at(-1) as Snapshot)).toBe('o-1') // there was one above
  // Closing without deregistering is what the registry sees of a kill -9.
  await living.close()
  const died = performance.now()
  await heard.until(({ instances }) => instances.length === 0)
  expect(performance.now() - died).toBeLessThan(1_500)
})

test('a process that comes back at its old port replaces the dead one at once', async () => {
  const { url } = await startServer()
  const heard = recorder()
  client(url).watch('orders', heard.take)
  const dead = client(url)
  await dead.register(instance('old', 3001))
  await dead.close()
  await client(url).register(instance('new', 3001))
  await heard.until((snapshot) => ids(snapshot) === 'new')
  expect((await (await fetch(`${url}/v1/health/service/orders`)).json()) as unknown[]).toHaveLength(1)
})

test('while the registry is away the last snapshot is stale; back without its state, it is told again and nobody was lost', async () => {
  const one = await startServer()
  const heard = recorder()
  const registry = client(one.url, { ttlMs: 1_000 })
  registry.watch('orders', heard.take)
  await registry.register(instance('o-1', 3001))
  await registry.register(instance('o-2', 3002))
  await heard.until((snapshot) => ids(snapshot) === 'o-1,o-2')
  await one.server.stop()
  const stale = await heard.until((snapshot) => snapshot.stale)
  expect(ids(stale)).toBe('o-1,o-2')
  const late = recorder()
  registry.watch('orders', late.take)
  expect(ids(await late.until((snapshot) => snapshot.stale))).toBe('o-1,o-2')
  await startServer({ port: one.port })
  const back = await heard.until((snapshot) => !snapshot.stale)
  expect(ids(back)).toBe('o-1,o-2')
  const listed = recorder()
  client(one.url).watch('orders', listed.take)
  await listed.until((snapshot) => ids(snapshot) === 'o-1,o-2')
  expect(heard.seen.some(({ instances, revision }) => revision >= back.revision && instances.length < 2)).toBe(false)
})

test('a registry restarted with its state file has everything before anybody tells it again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'banyan-registry-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const stateFile = join(folder, 'registry.json')
  const one = await startServer({ stateFile })
  const registry = client(one.url, { ttlMs: 60_000 })
  await registry.register(instance('o-1', 3001))
  await one.server.stop()
  await startServer({ stateFile, port: one.port })
  const heard = recorder()
  client(one.url).watch('orders', heard.take)
  await heard.until((snapshot) => ids(snapshot) === 'o-1')
})

test('a service may start before its registry', async () => {
  const early = registryServer({ port: 0 })
  const { port, url } = await early.start()
  await early.stop()
  const heard = recorder()
  const registry = client(url)
  registry.watch('orders', heard.take)
  expect(await heard.until(({ stale }) => stale)).toEqual({ instances: [], revision: 0, stale: true })
  const registering = registry.register(instance('o-1', 3001))
  await startServer({ port })
  await registering
  await heard.until((snapshot) => ids(snapshot) === 'o-1' && !snapshot.stale)
})

test('register rejects when the registry stays away, and at once when it says no', async () => {
  const gone = registryServer({ port: 0 })
  const { url } = await gone.start()
  await gone.stop()
  await expect(client(url, { registerTimeoutMs: 300 }).register(instance('o-1', 3001))).rejects.toMatchObject({
    code: 'ERR_REGISTRY_UNAVAILABLE',
  })
  const guarded = await startServer({ token: 'secret' })
  await expect(client(guarded.url, { token: 'wrong' }).register(instance('o-1', 3001))).rejects.toMatchObject({
    code: 'ERR_REGISTRY_REFUSED',
    message: expect.stringContaining('403'),
  })
  await client(guarded.url, { token: 'secret' }).register(instance('o-1', 3001))
})

test('a watch that is never answered becomes stale and lists again', async () => {
  const { url } = await startServer()
  await client(url).register(instance('o-1', 3001))
  let swallow = false
  // Stands between: passes requests on, or accepts them and never replies.
  const proxy: Server = createServer((request, response) => {
    if (swallow) return
    void fetch(`${url}${request.url}`).then(async (answer) => {
      response.setHeader('x-consul-index', answer.headers.get('x-consul-index') ?? '0').end(await answer.text())
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  cleanups.push(async () => {
    proxy.closeAllConnections()
    await new Promise((resolve) => proxy.close(resolve))
  })
  const heard = recorder()
  client(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, { waitMs: 100 }).watch('orders', heard.take) // listens on TCP
  await heard.until((snapshot) => ids(snapshot) === 'o-1')
  swallow = true
  expect(ids(await heard.until(({ stale }) => stale))).toBe('o-1')
  swallow = false
  await heard.until(({ stale }) => !stale)
})

test('a listener that throws does not keep the others from hearing', async () => {
  const { url } = await startServer()
  const registry = client(url)
  const heard = recorder()
  const bad = registry.watch('orders', () => {
    throw new Error('my own fault')
  })
  registry.watch('orders', heard.take)
  await registry.register(instance('o-1', 3001))
  await heard.until((snapshot) => ids(snapshot) === 'o-1')
  bad.stop()
  bad.stop()
  await registry.register(instance('o-2', 3002))
  await heard.until((snapshot) => ids(snapshot) === 'o-1,o-2')
})

test('an upstream is ready once an instance is known, and picks it', async () => {
  const { url } = await startServer()
  const registry = client(url)
  const orders = upstream({ registry, service: 'orders' })
  cleanups.push(async () => orders.stop())
  expect(orders.pick()).toBeUndefined()
  expect(await orders.ready(50)).toBe(false)
  const ready = orders.ready(5_000)
  await registry.register(instance('o-1', 3001))
  expect(await ready).toBe(true)
  expect(orders.pick()?.instance).toMatchObject({ id: 'o-1', host: '127.0.0.1', port: 3001 })
})

test.each([
  [{ url: 'ftp://x' }, TypeError],
  [{ url: 'http://x', ttlMs: 10 }, RangeError],
  [{ url: 'http://x', massExpiry: { share: 2 } }, RangeError],
])('options out of range are refused: %j', (options, error) => {
  expect(() => consulRegistry(options)).toThrow(error)
})

test('an instance without an id or with a port that is none is refused before anything is sent', async () => {
  const registry = client('http://127.0.0.1:1')
  await expect(registry.register(instance('', 3001))).rejects.toThrow('"id" is empty')
  await expect(registry.register(instance('a', 0))).rejects.toThrow('"port" is 0, wanted 1 to 65535')
})

test('a registration that is not answered at all is given up when its time is over, however long the TTL is', async () => {
  const world = manualWorld()
  const asked = Promise.withResolvers<void>()
  const server = createServer(() => asked.resolve())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo // it listens on TCP
  const registry = client(`http://127.0.0.1:${port}`, { ttlMs: 3_600_000, registerTimeoutMs: 30_000, world })
  let said: unknown
  void registry.register(instance('o-1', 3001)).catch((error) => {
    said = error
  })
  await asked.promise
  await world.advance(30_000)
  await vi.waitUntil(() => said)
  expect(said).toMatchObject({ code: 'ERR_REGISTRY_UNAVAILABLE', message: expect.stringContaining('no answer within 30000 ms') })
})
