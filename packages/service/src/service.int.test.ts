import { once } from 'node:events'
import { createServer } from 'node:net'
import { type Component, type Database, type Instance, type Registry, silentLogger } from '@banyan/core'
import { afterEach, expect, test, vi } from 'vitest'
import { type Service, type ServiceOptions, service } from './service.ts'

const running: Service[] = []
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop()
})

function orders(options: ServiceOptions = {}): Service {
  const made = service('orders', { drainMs: 0, finishMs: 500, ...options })
  running.push(made)
  return made
}

function noting(events: string[], name: string, more: Partial<Component> = {}): Component {
  return {
    name,
    async start() {
      events.push(`start ${name}`)
    },
    async stop() {
      events.push(`stop ${name}`)
    },
    ...more,
  }
}

function notingRegistry(events: string[]): Registry & { instances: Instance[] } {
  const instances: Instance[] = []
  return {
    instances,
    async register(instance) {
      events.push('register')
      instances.push(instance)
      return {
        async deregister() {
          events.push('deregister')
        },
      }
    },
    watch: () => ({ stop() {} }),
  }
}

test('starts in order: tables, components, HTTP, registry; and stops the other way round', async () => {
  const events: string[] = []
  const registry = notingRegistry(events)
  // Of a database, only what a start uses.
  const database = { migrate: async () => void events.push('migrate') } as unknown as Database
  const it = orders({ registry, database, migrations: [{ id: '001', sql: '' }], tags: ['blue'] })
  for (const name of ['relay', 'consumer']) it.use(noting(events, name))
  const { url, port, instanceId } = await it.start()
  expect((await fetch(`${url}/health/live`)).status).toBe(200)
  expect(registry.instances).toEqual([{ id: instanceId, service: 'orders', host: '127.0.0.1', port, tags: ['blue'] }])
  await it.stop()
  expect(events).toEqual([...['migrate', 'start relay', 'start consumer', 'register'], ...['deregister', 'stop consumer', 'stop relay']])
  await expect(fetch(`${url}/health/live`)).rejects.toThrow()
})

test('a failed start stops what was started, the one that failed too, and says why', async () => {
  const events: string[] = []
  const it = orders()
  it.use(noting(events, 'relay'))
  it.use(noting(events, 'consumer', { start: () => Promise.reject(new Error('no bus')) }))
  it.use(noting(events, 'never'))
  await expect(it.start()).rejects.toThrow('no bus')
  expect(events).toEqual(['start relay', 'stop consumer', 'stop relay'])
  expect(it.phase).toBe('failed')
  await expect(it.start()).rejects.toMatchObject({ code: 'ERR_SERVICE_STATE', message: 'cannot start service "orders": it is failed' })
})

test('a port that is taken is one clear line', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const events: string[] = []
  const it = orders({ port })
  it.use(noting(events, 'relay'))
  await expect(it.start()).rejects.toMatchObject({
    code: 'ERR_PORT_TAKEN',
    message: `cannot start service "orders": port ${port} on 127.0.0.1 is taken; stop what listens there or choose another port`,
  })
  expect(events).toEqual(['start relay', 'stop relay'])
  other.close()
})

test('an address that is not there is one clear line', async () => {
  await expect(orders({ host: '192.0.2.1' }).start()).rejects.toMatchObject({ code: 'ERR_LISTEN_FAILED' })
})

test('readiness names the component that is not well, with 503', async () => {
  const it = orders({ checkTimeoutMs: 50 })
  let bus = false
  it.use(noting([], 'bus', { health: async () => ({ healthy: bus, detail: bus ? 'connected' : 'no connection' }) }))
  it.use(noting([], 'relay', { health: () => new Promise(() => {}) }))
  const { url } = await it.start()
  const response = await fetch(`${url}/health/ready`)
  expect(response.status).toBe(503)
  expect(await response.json()).toEqual({
    status: 'not_ready',
    checks: { bus: { healthy: false, detail: 'no connection' }, relay: { healthy: false, detail: 'no answer within 50 ms' } },
  })
  bus = true
  await vi.waitUntil(async () => (await it.health()).checks.bus?.healthy)
  expect(await (await fetch(`${url}/health/live`)).json()).toEqual({ status: 'alive' })
})

test('it is not ready before it has started and after it has stopped', async () => {
  const it = orders()
  expect(await it.health()).toEqual({ status: 'not_ready', checks: { service: { healthy: false, detail: 'created' } } })
  await it.start()
  expect((await it.health()).status).toBe('ready')
  await it.stop()
  expect((await it.health()).checks).toEqual({ service: { healthy: false, detail: 'stopped' } })
})

test('while it drains it says unready, and still answers until watchers have heard', async () => {
  const events: string[] = []
  const it = orders({ registry: notingRegistry(events), drainMs: 300 })
  const { url } = await it.start()
  const stopping = it.stop()
  await vi.waitUntil(() => events.includes('deregister'))
  const response = await fetch(`${url}/health/ready`)
  expect(response.status).toBe(503)
  expect(await response.json()).toMatchObject({ checks: { service: { detail: 'draining' } } })
  await stopping
})

test('a stop while it starts ends the start, undone', async () => {
  const events: string[] = []
  const it = orders()
  let proceed = () => {}
  const wait = new Promise<void>((resolve) => {
    proceed = resolve
  })
  it.use(noting(events, 'slow', { start: () => wait }))
  it.use(noting(events, 'never'))
  const start = expect(it.start()).rejects.toMatchObject({ code: 'ERR_SERVICE_STATE' })
  const stop = it.stop()
  proceed()
  await Promise.all([start, stop])
  expect(events).toEqual(['stop slow'])
  expect(it.phase).toBe('stopped')
})

test('a stop while it registers ends the start, too: nobody is told that it is ready', async () => {
  const events: string[] = []
  const lines: string[] = []
  let proceed = () => {}
  const wait = new Promise<void>((resolve) => {
    proceed = resolve
  })
  const registry = notingRegistry(events)
  const register: Registry['register'] = async (instance) => {
    events.push('asked')
    await wait
    return registry.register(instance)
  }
  const log = { ...silentLogger, info: (_: object, message: string) => void lines.push(message) }
  const it = orders({ registry: { ...registry, register }, log })
  const start = expect(it.start()).rejects.toMatchObject({ code: 'ERR_SERVICE_STATE' })
  await vi.waitUntil(() => events.includes('asked'))
  const stop = it.stop()
  proceed()
  await Promise.all([start, stop])
  expect([events, it.phase]).toEqual([['asked', 'register', 'deregister'], 'stopped'])
  expect(lines.filter((line) => line.includes('is ready'))).toEqual([])
})

test('a component that does not stop, or fails to, holds nobody up', async () => {
  const events: string[] = []
  const errors: string[] = []
  const it = orders({ finishMs: 50, log: { ...silentLogger, error: (_, message) => void errors.push(message) } })
  it.use(noting(events, 'first'))
  it.use(noting(events, 'broken', { stop: () => Promise.reject(new Error('no')) }))
  it.use(noting(events, 'hanging', { stop: () => new Promise(() => {}) }))
  await it.start()
  await it.stop()
  expect(events).toEqual(['start first', 'start broken', 'start hanging', 'stop first'])
  expect(errors).toEqual([
    'stopping "hanging" of service "orders" took longer than 50 ms; going on without it',
    'stopping "broken" of service "orders" failed: no',
  ])
})

test('stopping twice, or before a start, does no harm', async () => {
  const it = orders()
  await it.start()
  await Promise.all([it.stop(), it.stop()])
  await it.stop()
  const never = orders()
  await never.stop()
  await expect(never.start()).rejects.toMatchObject({ code: 'ERR_SERVICE_STATE' })
})

test('names of components are unique, and none can be added later', async () => {
  const it = orders()
  it.use(noting([], 'relay'))
  expect(() => it.use(noting([], 'relay'))).toThrow('it has a component of that name')
  expect(() => it.use(noting([], 'database'))).toThrow('it has a component of that name')
  await it.start()
  expect(() => it.use(noting([], 'late'))).toThrow('cannot add "late" to service "orders": it is ready')
})

test('metrics are there when given', async () => {
  const { url } = await orders({ metrics: async () => 'up 1\n' }).start()
  const response = await fetch(`${url}/metrics`)
  expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4')
  expect(await response.text()).toBe('up 1\n')
  const without = service('plain')
  running.push(without)
  expect((await fetch(`${(await without.start()).url}/metrics`)).status).toBe(404)
})

test('bad options are refused by name', () => {
  expect(() => service('')).toThrow(TypeError)
  expect(() => service('a', { port: 70_000 })).toThrow('"port" is 70000, wanted a whole number from 0 to 65535')
  expect(() => service('a', { port: '80' as unknown as number })).toThrow('"port" is "80", wanted a whole number from 0 to 65535')
  expect(() => service('a', { drainMs: -1 })).toThrow('"drainMs" is -1')
})
