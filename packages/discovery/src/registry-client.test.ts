import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { clientSettings, registryClient } from './registry-client.ts'

const instance = { id: 'orders-1', service: 'orders', host: '127.0.0.1', port: 3001 }

function setUp() {
  const world = manualWorld()
  const asked: string[] = []
  const note = (what: string) => async () => void asked.push(what)
  const lease = () => ({ register: note('register'), renew: async () => 'heard' as const, deregister: note('deregister') })
  const ask = (service: string) => async () => {
    asked.push(service)
    return { index: 1, healthy: [], failing: new Set<string>() }
  }
  const registry = registryClient({ lease, ask, close: async () => {} }, clientSettings({ world }))
  return { world, registry, asked }
}

test('a closed client watches nothing more, and holds no timer', async () => {
  const { world, registry, asked } = setUp()
  await registry.close()
  const watch = registry.watch('orders', () => {})
  await world.advance(60_000)
  expect([asked, world.pendingTimers()]).toEqual([[], 0])
  watch.stop()
})

test('a closed client registers nothing, and says why', async () => {
  const { registry, asked } = setUp()
  await registry.close()
  await expect(registry.register(instance)).rejects.toMatchObject({
    code: 'ERR_REGISTRY_UNAVAILABLE',
    message: 'cannot register "orders-1" of "orders": the registry client is closed',
  })
  expect(asked).toEqual([])
})
