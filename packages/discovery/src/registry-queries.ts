import type { World } from '@banyan/core'
import { badRequest } from './fields.ts'
import { type Access, assertMay, visibleTo } from './registry-access.ts'
import { indexOf, type RegistryState } from './registry-index.ts'
import { assertSupported, filtered, flagOf, indexAsked, waitAsked } from './registry-query.ts'
import type { RegistryRequest, Route } from './registry-route.ts'
import type { RegistryStore } from './registry-store.ts'
import {
  catalogNode,
  catalogNodes,
  catalogRows,
  catalogServices,
  checksInState,
  healthRows,
  nodeChecks,
  serviceChecks,
} from './registry-views.ts'

/** What queries work on. */
export interface QueryContext {
  store: RegistryStore
  world: World
  address: () => string
  longestWaitMs: number
}

type View = (state: RegistryState, request: RegistryRequest) => unknown

/**
 * Routes that wait, given an `index`, until it is no longer the current one: `one` follows the service of the path, `all` everything.
 * An index from before a restart, or of another registry, is never the current one, so it is answered at once. As in Consul a sixteenth of
 * the wait is added by chance, so that those who came together do not return together.
 *
 * @see https://developer.hashicorp.com/consul/api-docs/features/blocking
 */
export function queryRoutes({ store, world, address, longestWaitMs }: QueryContext): readonly Route[] {
  const cached = answerCache()
  const route = (path: string, of: 'all' | 'one', view: View, rows = true): Route => ({
    method: 'GET',
    path,
    async answer(request) {
      const { name, query, gone, access } = request
      assertSupported(query)
      if (!rows && query.has('filter')) throw badRequest(`"filter" is not supported at "${path}"; leave it out`)
      const service = of === 'one' ? name : undefined
      if (service !== undefined) assertMay(access, service, 'read')
      const index = indexAsked(query)
      const waitMs = waitAsked(query, longestWaitMs)
      if (index > 0) await store.changed(service, index, waitMs * (1 + world.random() / 16), gone)
      const state = store.get()
      const key = JSON.stringify([path, name, query.getAll('tag'), query.get('passing'), query.get('filter')])
      const json = cached(state, access, key, () => JSON.stringify(filtered(query, view(visibleTo(access, state), request))))
      return { json, index: service === undefined ? state.index : indexOf(state, service) }
    },
  })
  return [
    route('/v1/catalog/services', 'all', (state) => catalogServices(state), false),
    route('/v1/catalog/nodes', 'all', (state) => catalogNodes(state, address())),
    route('/v1/catalog/node/', 'all', (state, { name }) => catalogNode(state, address(), name), false),
    route('/v1/catalog/service/', 'one', (state, { name, query }) =>
      catalogRows(state, address(), { service: name, tags: query.getAll('tag') }),
    ),
    route('/v1/health/service/', 'one', (state, { name, query }) =>
      healthRows(state, address(), { service: name, tags: query.getAll('tag'), passing: flagOf(query, 'passing') }),
    ),
    route('/v1/health/checks/', 'one', (state, { name }) => serviceChecks(state, name)),
    route('/v1/health/node/', 'all', (state, { name }) => nodeChecks(state, name)),
    route('/v1/health/state/', 'all', (state, { name }) => checksInState(state, stateAsked(name))),
  ]
}

function stateAsked(name: string): 'any' | 'passing' | 'warning' | 'critical' {
  if (name === 'any' || name === 'passing' || name === 'warning' || name === 'critical') return name
  throw badRequest(`the state is "${name}", wanted any, passing, warning or critical`)
}

/** Answers to so many questions, of so many bytes and one, are kept while nothing changes: a client may ask for anything. */
const mostAnswers = 1_000
const mostBytes = 64 * 1_024 * 1_024

/** Builds an answer once, its bytes too, for all who were woken by one change and may see the same. */
function answerCache() {
  let of: RegistryState | undefined
  let count = 0
  let bytes = 0
  // By who asks and not by a name, which another may have too.
  let answers = new Map<Access, Map<string, Buffer>>()
  return (state: RegistryState, access: Access, key: string, build: () => string): Buffer => {
    if (state !== of || count >= mostAnswers || bytes >= mostBytes) {
      answers = new Map()
      count = 0
      bytes = 0
    }
    of = state
    const own = answers.get(access) ?? new Map<string, Buffer>()
    answers.set(access, own)
    const known = own.get(key)
    if (known) return known
    const json = Buffer.from(build())
    own.set(key, json)
    count += 1
    bytes += json.length
    return json
  }
}
