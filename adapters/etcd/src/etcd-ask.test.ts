import { manualWorld, sleep } from '@banyan/core'
import { clientSettings, registryClient } from '@banyan/discovery/internal'
import { expect, test } from 'vitest'
import { etcdAsk } from './etcd-ask.ts'
import type { EtcdHttp } from './etcd-http.ts'
import { keyOf, storedValue } from './etcd-instance.ts'

/** A watched etcd that is empty, in which an instance is put every `everyMs`. */
function setUp(everyMs: number) {
  const world = manualWorld()
  let open = 0
  const http: EtcdHttp = {
    call: async () => ({ header: { revision: '1' } }),
    async *stream(_path, _body, signal) {
      open += 1
      try {
        yield { result: { created: true } }
        for (let revision = 2; ; revision += 1) {
          await sleep(world, everyMs, signal)
          const instance = { id: `o-${revision}`, service: 'orders', host: '127.0.0.1', port: 3001 }
          const key = Buffer.from(keyOf('/r', instance)).toString('base64')
          const kv = { key, value: storedValue(instance, false), mod_revision: String(revision) }
          yield { result: { header: { revision: String(revision) }, events: [{ kv }] } }
        }
      } finally {
        open -= 1
      }
    },
    close: async () => {},
  }
  const ask = (service: string) => etcdAsk({ http, root: '/r', service, world })
  const registry = registryClient(
    {
      lease: () => {
        throw new Error('not here')
      },
      ask,
      close: async () => {},
    },
    clientSettings({ world }),
  )
  return { world, registry, open: () => open }
}

test.each([
  ['waits for news', 50],
  ['pauses between two questions', 10],
])('a watch that is stopped while it %s leaves no stream open and no timer', async (_, afterMs) => {
  const { world, registry, open } = setUp(1_000)
  const watch = registry.watch('orders', () => {})
  await world.advance(2_000 + afterMs)
  expect(open()).toBe(1)
  watch.stop()
  await world.advance(0)
  expect([open(), world.pendingTimers()]).toEqual([0, 0])
})

test('a watcher keeps up with however many changes there are', async () => {
  const { world, registry } = setUp(1)
  let known = 0
  const watch = registry.watch('orders', ({ instances }) => {
    known = instances.length
  })
  await world.advance(1_000)
  expect(known).toBeGreaterThan(950)
  watch.stop()
})
