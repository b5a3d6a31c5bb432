import type { Snapshot } from '@banyan/core'
import { expect, test } from 'vitest'
import { staticRegistry } from './static-registry.ts'

async function listOf(registry: ReturnType<typeof staticRegistry>, service: string): Promise<Snapshot> {
  return new Promise((resolve) => registry.watch(service, resolve))
}

test('tells the list, once', async () => {
  const registry = staticRegistry({ orders: ['127.0.0.1:3001', '[::1]:3002', { host: 'orders.internal', port: 80, weight: 3 }] })
  const { instances, stale, revision } = await listOf(registry, 'orders')
  expect(instances).toEqual([
    { id: 'orders@127.0.0.1:3001', service: 'orders', host: '127.0.0.1', port: 3001 },
    { id: 'orders@::1:3002', service: 'orders', host: '::1', port: 3002 },
    { id: 'orders@orders.internal:80', service: 'orders', host: 'orders.internal', port: 80, weight: 3 },
  ])
  expect({ stale, revision }).toEqual({ stale: false, revision: 1 })
  expect((await listOf(registry, 'other')).instances).toEqual([])
})

test('a watch stopped at once hears nothing', async () => {
  const heard: Snapshot[] = []
  staticRegistry({ a: ['h:1'] })
    .watch('a', (snapshot) => heard.push(snapshot))
    .stop()
  await listOf(staticRegistry({}), 'a')
  expect(heard).toEqual([])
})

test('registering is accepted and changes nothing', async () => {
  const registry = staticRegistry({ a: ['h:1'] })
  const registration = await registry.register({ id: 'x', service: 'a', host: 'h', port: 2 })
  expect((await listOf(registry, 'a')).instances).toHaveLength(1)
  await registration.deregister()
})

test.each([
  ['localhost', TypeError],
  ['http://h:1', TypeError],
  ['h:0', RangeError],
  ['h:70000', RangeError],
])('refuses %s', (address, error) => {
  expect(() => staticRegistry({ orders: [address] })).toThrow(error)
})

test('refuses a weight that is none', () => {
  expect(() => staticRegistry({ orders: [{ host: 'h', port: 1, weight: 0 }] })).toThrow('the weight of "h:1" is 0, wanted 1 to 65535')
})
