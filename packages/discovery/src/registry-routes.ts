import type { World } from '@banyan/core'
import type { CheckStatus } from './consul-json.ts'
import { DiscoveryError } from './errors.ts'
import { badRequest } from './fields.ts'
import { type Access, assertMay, assertMayWriteNode, visibleTo } from './registry-access.ts'
import { keyOf, type RegistryState } from './registry-index.ts'
import { readAgentCheck, readCatalogDeregistration, readCatalogRegistration, readRegistration, readUpdate } from './registry-input.ts'
import { queryRoutes } from './registry-queries.ts'
import { filtered, flagOf } from './registry-query.ts'
import { type Entry, localNode } from './registry-records.ts'
import type { RegistryRequest, Route } from './registry-route.ts'
import { type FoundCheck, findCheck, type RegistryEvent } from './registry-state.ts'
import type { RegistryStore } from './registry-store.ts'
import { agentChecks, agentMembers, agentSelf, agentService, agentServices, worstOf } from './registry-views.ts'

/** What routes work on. */
export interface RouteContext {
  store: RegistryStore
  world: World
  /** The address of the registry, which services without one of their own are at. */
  address: () => string
  /** The longest a blocking query may wait, milliseconds. */
  longestWaitMs: number
  /** Resolves when what was changed so far is kept. */
  saved: () => Promise<void>
}

/** All that the registry answers. */
export function registryRoutes(context: RouteContext): readonly Route[] {
  const { store, address } = context
  return [
    get('/health/live', () => ({ status: 'live' })),
    get('/v1/status/leader', () => `${address()}:8300`),
    get('/v1/status/peers', () => [`${address()}:8300`]),
    get('/v1/catalog/datacenters', () => ['dc1']),
    get('/v1/agent/self', () => agentSelf(address())),
    get('/v1/agent/members', () => agentMembers(address())),
    get('/v1/agent/services', ({ access, query }) => filtered(query, agentServices(visibleTo(access, store.get())))),
    get('/v1/agent/checks', ({ access, query }) => filtered(query, agentChecks(visibleTo(access, store.get())))),
    get('/v1/agent/service/', ({ name, query, access }) => {
      if (query.has('hash')) throw badRequest('"hash" is not supported by this registry; ask health/service/:name with an "index"')
      return agentService(known(store.get(), name, access, 'read'))
    }),
    agentHealth(store),
    ...writingRoutes(context),
    ...catalogRoutes(context),
    ...queryRoutes(context),
  ]
}

/** `agent/health/service/id/:id`, by its status for those who look at nothing else: 200, 429, 503. */
function agentHealth(store: RegistryStore): Route {
  const codes = { passing: 200, warning: 429, critical: 503 }
  return {
    method: 'GET',
    path: '/v1/agent/health/service/id/',
    answer({ name, access }) {
      const entry = known(store.get(), name, access, 'read')
      const status = worstOf(store.get(), entry)
      return { json: JSON.stringify({ AggregatedStatus: status, Service: agentService(entry) }), code: codes[status] }
    },
  }
}

function writingRoutes(context: RouteContext): readonly Route[] {
  const { store } = context
  const put = putter(context)
  const report = (path: string, status: CheckStatus) => put(path, (request) => reportOf(store, request, status, noteOf(request)))
  return [
    put('/v1/agent/service/register', async ({ body, access, query }) => {
      const registration = readRegistration(await body())
      const { id, name } = registration.service
      assertMay(access, name, 'write')
      // Else an id would be a way to take over the instance of another service.
      if (store.get().entries.has(id)) known(store.get(), id, access, 'write')
      for (const check of registration.checks) assertMayTake(store, check.id, id, access)
      return { type: 'register', ...registration, replaceChecks: flagOf(query, 'replace-existing-checks') }
    }),
    put('/v1/agent/service/deregister/', ({ name, access }) => {
      known(store.get(), name, access, 'write')
      return { type: 'deregister', id: name }
    }),
    put('/v1/agent/service/maintenance/', ({ name, query, access }) => {
      known(store.get(), name, access, 'write')
      return { type: 'maintenance', id: name, reason: maintenanceReason(query, 'service') }
    }),
    put('/v1/agent/maintenance', ({ query, access }) => {
      assertMayWriteNode(access)
      return { type: 'maintenance', id: undefined, reason: maintenanceReason(query, 'node') }
    }),
    put('/v1/agent/check/register', async ({ body, access }) => {
      const { serviceId, check } = readAgentCheck(await body())
      if (serviceId === undefined) assertMayWriteNode(access)
      else known(store.get(), serviceId, access, 'write')
      assertMayTake(store, check.id, serviceId, access)
      return { type: 'add-check', serviceId, check }
    }),
    put('/v1/agent/check/deregister/', (request) => {
      checkFor(store, request)
      return { type: 'remove-check', checkId: request.name }
    }),
    report('/v1/agent/check/pass/', 'passing'),
    report('/v1/agent/check/warn/', 'warning'),
    report('/v1/agent/check/fail/', 'critical'),
    put('/v1/agent/check/update/', async (request) => {
      const { status, output } = readUpdate(await request.body())
      return reportOf(store, request, status, output)
    }),
  ]
}

function catalogRoutes(context: RouteContext): readonly Route[] {
  const { store } = context
  const put = putter(context)
  return [
    put('/v1/catalog/register', async ({ body, access }) => {
      const registration = readCatalogRegistration(await body())
      assertMayWriteNode(access)
      if (registration.service) assertMay(access, registration.service.name, 'write')
      const { node, service, checks } = registration
      const orphan = checks.find(({ serviceId: id }) => id !== '' && id !== service?.id && !store.get().entries.has(keyOf(node.name, id)))
      if (orphan) throw badRequest(`the check "${orphan.check.id}" is of "${orphan.serviceId}", which is no service of "${node.name}"`)
      return { type: 'catalog-register', ...registration }
    }),
    put('/v1/catalog/deregister', async ({ body, access }) => {
      const deregistration = readCatalogDeregistration(await body())
      assertMayWriteNode(access)
      return { type: 'catalog-deregister', ...deregistration }
    }),
  ]
}

/** A change is answered when it is kept: who was told of it finds it there after a crash. */
function putter({ store, saved }: RouteContext) {
  return (path: string, change: (request: RegistryRequest) => RegistryEvent | Promise<RegistryEvent>): Route => ({
    method: 'PUT',
    path,
    async answer(request) {
      const event = await change(request)
      const { index } = store.get()
      // Most heartbeats change nothing. What else changes nothing may say again what is not kept yet, as whoever was not answered in time does.
      if (store.apply(event).index !== index || event.type !== 'report') await saved()
      return { json: path.startsWith('/v1/catalog/') ? 'true' : '' }
    },
  })
}

function get(path: string, view: (request: RegistryRequest) => unknown): Route {
  return { method: 'GET', path, answer: (request) => ({ json: JSON.stringify(view(request)) }) }
}

function known(state: RegistryState, id: string, access: Access, what: 'read' | 'write'): Entry {
  const entry = state.entries.get(id)
  if (entry?.node !== localNode) throw new DiscoveryError('ERR_NOT_FOUND', `unknown service id "${id}"`, { status: 404 })
  assertMay(access, entry.service.name, what)
  return entry
}

function checkFor(store: RegistryStore, { name, access }: RegistryRequest) {
  const found = findCheck(store.get(), name)
  if (!found) throw new DiscoveryError('ERR_NOT_FOUND', `unknown check id "${name}"; register its service again`, { status: 404 })
  assertMayWrite(found, access)
  return found.check
}

/**
 * Reports name a check by its id alone: who registers one of the same id gets those of the other. An id that is made of a service's own, as the
 * default is, belongs to that service, whoever was first.
 */
function assertMayTake(store: RegistryStore, checkId: string, serviceId: string | undefined, access: Access): void {
  const found = findCheck(store.get(), checkId)
  const isOf = (id: string | undefined) => id !== undefined && `${checkId}:`.startsWith(`service:${id}:`)
  if (found && (!isOf(serviceId) || isOf(found.entry?.service.id))) assertMayWrite(found, access)
}

function assertMayWrite({ entry }: FoundCheck, access: Access): void {
  if (entry) assertMay(access, entry.service.name, 'write')
  else assertMayWriteNode(access)
}

function reportOf(store: RegistryStore, request: RegistryRequest, status: CheckStatus, output: string): RegistryEvent {
  const { kind } = checkFor(store, request)
  if (kind.type !== 'ttl') throw badRequest(`check "${request.name}" is a check by ${kind.type}, wanted one with a TTL`)
  return { type: 'report', checkId: request.name, status, output: output.slice(0, 4_096) }
}

function noteOf({ query }: RegistryRequest): string {
  return query.get('note') ?? ''
}

function maintenanceReason(query: URLSearchParams, what: 'service' | 'node'): string | undefined {
  if (!query.has('enable')) throw badRequest('"enable" is missing, wanted true or false')
  const reason = query.get('reason') || `Maintenance mode is enabled for this ${what}, but no reason was provided.`
  return flagOf(query, 'enable') ? reason : undefined
}
