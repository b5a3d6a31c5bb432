import type { World } from '@banyan/core'
import type { CheckStatus } from './consul-json.ts'
import { parseDuration } from './duration.ts'
import { DiscoveryError } from './errors.ts'
import { badRequest } from './fields.ts'
import { readRegistration, readUpdate } from './registry-input.ts'
import { findCheck, indexOf, type RegistryEvent, type RegistryState } from './registry-state.ts'
import type { RegistryStore } from './registry-store.ts'
import { agentChecks, agentServices, catalogRows, catalogServices, healthRows } from './registry-views.ts'

/** What routes work on. */
export interface RouteContext {
  store: RegistryStore
  world: World
  /** The address of the registry, which services without one of their own are at. */
  address: () => string
}

/** A request as a route sees it. */
export interface RegistryRequest {
  /** The decoded last part of the path, if the route has one. */
  name: string
  query: URLSearchParams
  body: () => Promise<unknown>
  /** Aborts when nobody waits for the answer. */
  gone: AbortSignal
}

/** An answer: its JSON as text, empty for none, and the `X-Consul-Index` where it has one. */
export interface RegistryAnswer {
  json: string
  index?: number
}

/** One path of Consul's API. */
export interface Route {
  method: 'GET' | 'PUT'
  /** Ends with `/` when a name follows. */
  path: string
  answer: (request: RegistryRequest) => Promise<RegistryAnswer> | RegistryAnswer
}

const defaultWaitMs = 300_000
const longestWaitMs = 600_000

/** All that the registry answers. */
export function registryRoutes(context: RouteContext): readonly Route[] {
  const { store, address } = context
  const put = (path: string, change: (request: RegistryRequest) => RegistryEvent | Promise<RegistryEvent>): Route => ({
    method: 'PUT',
    path,
    async answer(request) {
      store.apply(await change(request))
      return { json: '' }
    },
  })
  const get = (path: string, view: (state: RegistryState) => unknown): Route => ({
    method: 'GET',
    path,
    answer: () => ({ json: JSON.stringify(view(store.get())) }),
  })
  const report = (path: string, status: CheckStatus) =>
    put(path, ({ name, query }) => reportOf(store, name, status, query.get('note') ?? ''))
  const blocking = blockingRoutes(context)
  return [
    get('/health/live', () => ({ status: 'live' })),
    get('/v1/status/leader', () => `${address()}:8300`),
    get('/v1/agent/services', agentServices),
    get('/v1/agent/checks', agentChecks),
    put('/v1/agent/service/register', async ({ body }) => ({ type: 'register', ...readRegistration(await body()) })),
    put('/v1/agent/service/deregister/', ({ name }) => ({ type: 'deregister', id: known(store, name) })),
    put('/v1/agent/service/maintenance/', ({ name, query }) => maintenanceOf(known(store, name), query)),
    report('/v1/agent/check/pass/', 'passing'),
    report('/v1/agent/check/warn/', 'warning'),
    report('/v1/agent/check/fail/', 'critical'),
    put('/v1/agent/check/update/', async ({ name, body }) => {
      const { status, output } = readUpdate(await body())
      return reportOf(store, name, status, output)
    }),
    blocking('/v1/catalog/services', 'all', (state) => catalogServices(state)),
    blocking('/v1/catalog/service/', 'one', (state, { name, query }) =>
      catalogRows(state, address(), { service: name, tags: query.getAll('tag') }),
    ),
    blocking('/v1/health/service/', 'one', (state, { name, query }) =>
      healthRows(state, address(), { service: name, tags: query.getAll('tag'), passing: flagOf(query, 'passing') }),
    ),
  ]
}

/**
 * Routes that wait, given an `index`, until it is no longer the current one.
 *
 * @see https://developer.hashicorp.com/consul/api-docs/features/blocking
 */
function blockingRoutes({ store, world }: RouteContext) {
  const cached = answerCache()
  return (path: string, of: 'all' | 'one', view: (state: RegistryState, request: RegistryRequest) => unknown): Route => ({
    method: 'GET',
    path,
    async answer(request) {
      const { name, query, gone } = request
      if (query.has('filter')) throw badRequest('"filter" is not supported by this registry; leave it out, or use "tag" and "passing"')
      const service = of === 'one' ? name : undefined
      const index = indexAsked(query)
      const waitMs = waitAsked(query)
      // A sixteenth more by chance, as Consul does, so that those who came together do not return together.
      if (index > 0) await store.changed(service, index, waitMs * (1 + world.random() / 16), gone)
      const state = store.get()
      const json = cached(state, `${path}${name}?${query.getAll('tag').join('&')}?${query.get('passing')}`, () =>
        JSON.stringify(view(state, request)),
      )
      return { json, index: service === undefined ? state.index : indexOf(state, service) }
    },
  })
}

/** Builds an answer once for all who were woken by one change. */
function answerCache() {
  let of: RegistryState | undefined
  const answers = new Map<string, string>()
  return (state: RegistryState, key: string, build: () => string): string => {
    if (state !== of) answers.clear()
    of = state
    const json = answers.get(key) ?? build()
    answers.set(key, json)
    return json
  }
}

function known(store: RegistryStore, id: string): string {
  if (store.get().entries.has(id)) return id
  throw new DiscoveryError('ERR_NOT_FOUND', `unknown service id "${id}"`, { status: 404 })
}

function reportOf(store: RegistryStore, checkId: string, status: CheckStatus, output: string): RegistryEvent {
  const found = findCheck(store.get(), checkId)
  if (!found) throw new DiscoveryError('ERR_NOT_FOUND', `unknown check id "${checkId}"; register its service again`, { status: 404 })
  const { type } = found.check.kind
  if (type !== 'ttl') throw badRequest(`check "${checkId}" is a check by ${type}, wanted one with a TTL`)
  return { type: 'report', checkId, status, output: output.slice(0, 4_096) }
}

function maintenanceOf(id: string, query: URLSearchParams): RegistryEvent {
  if (!query.has('enable')) throw badRequest('"enable" is missing, wanted true or false')
  const reason = query.get('reason') || 'Maintenance mode is enabled for this service, but no reason was provided.'
  return { type: 'maintenance', id, reason: flagOf(query, 'enable') ? reason : undefined }
}

/** As Consul: there without a value means true. */
function flagOf(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  if (value === null || value === 'false' || value === '0') return false
  if (value === '' || value === 'true' || value === '1') return true
  throw badRequest(`"${name}" is "${value}", wanted true or false`)
}

function indexAsked(query: URLSearchParams): number {
  const text = query.get('index')
  if (text === null || text === '') return 0
  if (/^\d{1,20}$/.test(text)) return Number(text)
  throw badRequest(`"index" is "${text}", wanted a whole number, as X-Consul-Index gave it`)
}

function waitAsked(query: URLSearchParams): number {
  const text = query.get('wait')
  if (text === null || text === '') return defaultWaitMs
  const waitMs = parseDuration(text)
  if (waitMs === undefined) throw badRequest(`"wait" is "${text}", wanted a duration, as in "10s", "500ms" or "1m30s"`)
  return waitMs === 0 ? defaultWaitMs : Math.min(waitMs, longestWaitMs)
}
