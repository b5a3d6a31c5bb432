import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { fullAccess } from './registry-access.ts'
import { registryRoutes } from './registry-routes.ts'
import { emptyRegistry } from './registry-state.ts'
import { registryStore } from './registry-store.ts'

/** The routes of a registry whose file is written when the test says so. */
function setUp() {
  const world = manualWorld()
  const store = registryStore({ state: emptyRegistry, world, onChange() {} })
  const kept = Promise.withResolvers<void>()
  const routes = registryRoutes({ store, world, address: () => '127.0.0.1', longestWaitMs: 1_000, saved: () => kept.promise })
  const answered: string[] = []
  return {
    answered,
    keep: kept.resolve,
    async put(path: string, json: unknown, name = '') {
      const route = routes.find((each) => each.path === path)
      const request = { name, query: new URLSearchParams(), body: async () => json, access: fullAccess, gone: new AbortController().signal }
      await route?.answer(request)
      answered.push(`${path}${name}`)
    },
    settle: () => world.advance(0),
  }
}

test('a registration that is repeated before it is kept is answered when it is kept; a heartbeat waits for nothing', async () => {
  const { answered, keep, put, settle } = setUp()
  const orders = { Name: 'orders', Check: { TTL: '10s', Status: 'passing' } }
  const both = Promise.all([put('/v1/agent/service/register', orders), put('/v1/agent/service/register', orders)])
  await settle()
  await put('/v1/agent/check/pass/', undefined, 'service:orders')
  await settle()
  expect(answered).toEqual(['/v1/agent/check/pass/service:orders'])
  keep()
  await both
  expect(answered).toHaveLength(3)
})
