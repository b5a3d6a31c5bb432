import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { type Access, accessOf, fullAccess, readAccessRules } from './registry-access.ts'
import { readRegistration } from './registry-input.ts'
import { queryRoutes } from './registry-queries.ts'
import { emptyRegistry } from './registry-state.ts'
import { registryStore } from './registry-store.ts'

/** A registry with services, each with its tags; `ask` gives the answer to a query. */
function setup(services: Readonly<Record<string, readonly string[]>>) {
  const world = manualWorld()
  const store = registryStore({ state: emptyRegistry, world, onChange() {} })
  for (const [name, tags] of Object.entries(services)) {
    store.apply({ type: 'register', ...readRegistration({ Name: name, Tags: tags }) })
  }
  const routes = queryRoutes({ store, world, address: () => '127.0.0.1', longestWaitMs: 1_000 })
  const bytes = async (path: string, name = '', query = '', access: Access = fullAccess) => {
    const route = routes.find((each) => each.path === path)
    const gone = new AbortController().signal
    return (await route?.answer({ name, query: new URLSearchParams(query), body: async () => ({}), access, gone }))?.json
  }
  const ask = async (...question: Parameters<typeof bytes>): Promise<unknown> => JSON.parse(String(await bytes(...question)))
  return Object.assign(ask, { bytes })
}

test('an answer is not given to another of the same name who may see less', async () => {
  const find = accessOf(
    readAccessRules({
      tokens: [{ name: 'anonymous', secret: 's', services: { '': 'read' } }],
      anonymous: { services: { open: 'read' } },
    }),
  )
  const ask = setup({ open: [], secret: [] })
  expect(await ask('/v1/catalog/services', '', '', find('s'))).toEqual({ open: [], secret: [] })
  expect(await ask('/v1/catalog/services', '', '', find(''))).toEqual({ open: [] })
})

test('tags with an "&" in them are not taken for several', async () => {
  const ask = setup({ orders: ['a', 'b'] })
  expect(await ask('/v1/catalog/service/', 'orders', 'tag=a&tag=b')).toHaveLength(1)
  expect(await ask('/v1/catalog/service/', 'orders', 'tag=a%26b')).toHaveLength(0)
})

test('answers that are kept while nothing changes take a bounded amount of memory, however many are asked for', async () => {
  const { bytes } = setup({ orders: ['x'.repeat(4_000_000)] })
  const asked = (filter: number) => bytes('/v1/catalog/service/', 'orders', `filter=ServiceID != ${filter}`)
  const first = await asked(0)
  expect(await asked(0)).toBe(first)
  for (let filter = 1; filter < 20; filter += 1) await asked(filter)
  // 80 MB later it is made anew.
  expect(await asked(0)).not.toBe(first)
})
