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
  return async (path: string, name = '', query = '', access: Access = fullAccess): Promise<unknown> => {
    const route = routes.find((each) => each.path === path)
    const gone = new AbortController().signal
    const answer = await route?.answer({ name, query: new URLSearchParams(query), body: async () => ({}), access, gone })
    return JSON.parse(String(answer?.json))
  }
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
