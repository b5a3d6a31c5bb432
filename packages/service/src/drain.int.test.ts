import { once } from 'node:events'
import { connect } from 'node:net'
import { api, type Instance, type Registry } from '@banyan/core'
import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { client } from './client.ts'
import { framed } from './framed-server.ts'
import { framedTransport } from './framed-transport.ts'
import { httpTransport } from './http-transport.ts'
import { serve } from './serve.ts'
import { type Service, service } from './service.ts'
import { memoryRegistry } from './test/memory-registry.ts'

const stock = api('stock', {
  operations: {
    // Neither may be repeated once it was sent: nothing but the drain keeps their calls whole.
    reserve: { method: 'POST', path: '/reservations', body: z.object({ n: z.int() }), response: z.object({ by: z.string() }) },
    slow: { method: 'POST', path: '/slow', response: z.object({ by: z.string() }) },
  },
})

/** Long enough for a call in the middle of it on a busy machine. */
const DRAIN_MS = 500
const PATIENT = { timeout: 20_000 }

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** A service that says who answered. Slow calls end when `release` is called. */
async function starting(registry: Registry, over: 'http' | 'framed') {
  const it: Service = service('stock', { registry, drainMs: DRAIN_MS, finishMs: 15_000 })
  const held: (() => void)[] = []
  let id = ''
  it.use(
    serve(stock, {
      reserve: () => ({ by: id }),
      slow: () => new Promise((resolve) => void held.push(() => resolve({ by: id }))),
    }),
  )
  if (over === 'framed') it.use(framed())
  cleanUps.push(() => it.stop())
  const { instanceId, url } = await it.start()
  id = instanceId
  function release(): void {
    for (const done of held.splice(0)) done()
  }
  return { it, id, url, held, release }
}

test.each(['http', 'framed'] as const)('calls all through the drain of an instance: none fails (%s)', async (over) => {
  const registry = memoryRegistry()
  const [first, second] = [await starting(registry, over), await starting(registry, over)]
  const transport = over === 'http' ? httpTransport({ registry }) : framedTransport({ registry })
  cleanUps.push(() => transport.close())
  const calls = client(stock, { transport })
  const answered = new Map<string, number>()
  const failures: unknown[] = []
  let stopped = false
  async function caller(): Promise<void> {
    for (let n = 0; !stopped; n += 1) {
      const { by } = await calls.reserve({ body: { n } }).catch((error: unknown) => {
        failures.push(error)
        return { by: 'nobody' }
      })
      answered.set(by, (answered.get(by) ?? 0) + 1)
    }
  }
  const callers = Array.from({ length: 20 }, caller)
  const slow = Array.from({ length: 10 }, () => calls.slow())
  await vi.waitUntil(() => first.held.length + second.held.length === 10 && first.held.length > 0, PATIENT)
  await vi.waitUntil(() => [first, second].every(({ id }) => (answered.get(id) ?? 0) > 20), PATIENT)
  const stopping = first.it.stop()
  await vi.waitUntil(() => registry.instances.length === 1, PATIENT)
  const before = answered.get(second.id) ?? 0
  // Those in flight end only now, in the middle of the drain, or after it has stopped listening.
  await vi.waitUntil(() => (answered.get(second.id) ?? 0) > before + 200, PATIENT)
  first.release()
  await stopping
  second.release()
  await vi.waitUntil(() => (answered.get(second.id) ?? 0) > before + 300, PATIENT)
  stopped = true
  await Promise.all(callers)
  expect(failures).toEqual([])
  expect((await Promise.all(slow)).filter(({ by }) => by === first.id).length).toBeGreaterThan(0)
  expect([...answered.keys()].sort()).toEqual([first.id, second.id].sort())
})

test('the order of a drain: unready, out of the registry, answers go on, each the last of its connection, then nobody listens', async () => {
  const inner = memoryRegistry()
  const events: string[] = []
  let it: Service | undefined
  const registry: Registry = {
    watch: inner.watch,
    async register(instance: Instance) {
      const registration = await inner.register(instance)
      return {
        async deregister() {
          events.push(`${it?.phase}, ${(await it?.health())?.status}`, 'deregister')
          await registration.deregister()
        },
      }
    },
  }
  const { it: running, url, held, release } = await starting(registry, 'http')
  it = running
  const call = fetch(`${url}/slow`, { method: 'POST' })
  await vi.waitUntil(() => held.length === 1, PATIENT)
  const stopping = running.stop()
  await vi.waitUntil(() => events.includes('deregister'), PATIENT)
  const answer = await fetch(`${url}/reservations`, {
    method: 'POST',
    body: '{"n":1}',
    headers: { 'content-type': 'application/json' },
  })
  events.push(`${answer.status}, connection: ${answer.headers.get('connection')}`)
  await vi.waitUntil(
    () =>
      fetch(url)
        .then(() => false)
        .catch(() => true),
    PATIENT,
  )
  events.push('nobody listens')
  release()
  events.push(`${(await call).status} for the one in flight`)
  await stopping
  events.push(running.phase)
  expect(events).toEqual([
    ...['draining, not_ready', 'deregister', '200, connection: close'],
    ...['nobody listens', '200 for the one in flight', 'stopped'],
  ])
})

test('a stop does not wait for who has begun a request and not ended its head', async () => {
  const { it, url } = await starting(memoryRegistry(), 'http')
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  cleanUps.push(() => socket.destroy())
  socket.write('POST /slow HTTP/1.1\r\nhost: a\r\n')
  const closed = once(socket.resume(), 'close')
  // Connections are accepted in their order.
  await fetch(`${url}/health/live`)
  const before = performance.now()
  await it.stop()
  await closed
  expect(performance.now() - before).toBeLessThan(10_000)
})
