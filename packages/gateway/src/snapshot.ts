import type { Logger, World } from '@banyan/core'
import type { RateLimitStore } from '@banyan/resilience'
import { aggregateHandler } from './aggregate.ts'
import type { CallLimits } from './attempt.ts'
import type { GatewayConfig, RouteConfig, ServiceConfig } from './config.ts'
import type { Destination, Target } from './destination.ts'
import type { Handler, Interceptor } from './exchange.ts'
import { mirrored } from './mirror.ts'
import { type Networks, networks } from './networks.ts'
import type { Fetched, FetchOptions } from './plugins/plugin.ts'
import type { PluginConfig, PluginTable } from './plugins/table.ts'
import { problem, problemOf } from './problem.ts'
import { type DestinationOf, proxyHandler } from './proxy.ts'
import { redirectHandler } from './redirect.ts'
import { lowerCased, type RouteKey, type RouteTable, routeTable, takesMethod } from './route-table.ts'
import type { UpstreamProtocol } from './upstream-client.ts'

/** A configuration, compiled. Never changed: a reload builds another and swaps one pointer. */
export interface Snapshot {
  readonly config: GatewayConfig
  readonly routes: RouteTable<CompiledRoute>
  /** Whether an address belongs to a proxy of our own. */
  readonly isTrusted: Networks
  /** The plugins' interceptors by what they were made from, for the next snapshot to take over. */
  readonly interceptors: ReadonlyMap<string, Interceptor>
  /** The routes by what they were made from, the same. */
  readonly built: ReadonlyMap<string, Built>
  /** The destinations it uses. */
  readonly destinations: ReadonlySet<Destination>
}

/** A compiled route, and what it stands on. */
interface Built {
  readonly route: CompiledRoute
  readonly destinations: readonly Destination[]
  readonly interceptors: ReadonlyMap<string, Interceptor>
}

export interface CompiledRoute extends RouteKey {
  readonly name: string
  readonly maxBodyBytes: number
  readonly idleTimeoutMs: number
  /** Plugins and target. Never rejects. */
  readonly handle: Handler
}

/** What a snapshot is built with. */
export interface SnapshotOptions {
  readonly plugins: PluginTable
  /** The destination of a service or an address; the same one each time. */
  readonly destinationOf: (target: Target, service: ServiceConfig) => Destination
  readonly fetch: (url: string, options: FetchOptions) => Promise<Fetched>
  /** What is in a file, relative to the gateway file. */
  readonly textOf: (file: string) => string
  /** The place at an address where gateways count together; the same one each time. Left out: there is none. */
  readonly rateLimitsAt?: ((url: string) => RateLimitStore) | undefined
  readonly world: World
  readonly log: Logger
}

export const defaultMaxBodyBytes = 10_485_760
export const defaultIdleTimeoutMs = 60_000

/** Compiles a checked configuration. What did not change since `before` keeps its state: limits, keys, breakers. */
export function compile(config: GatewayConfig, options: SnapshotOptions, before?: Snapshot): Snapshot {
  const { routes, ...settings } = config
  const common = JSON.stringify(settings)
  const interceptors = new Map(before?.interceptors)
  const built = new Map<string, Built>()
  const all = routes.map((route) => {
    const key = `${JSON.stringify(route)} ${common}`
    const kept = readsFiles(config, route, options.plugins) ? undefined : before?.built.get(key)
    const one = kept ?? build(config, route, interceptors, options)
    for (const [name, interceptor] of one.interceptors) interceptors.set(name, interceptor)
    built.set(key, one)
    return one
  })
  return {
    config,
    built,
    routes: routeTable(all.map(({ route }) => route)),
    isTrusted: networks(config.trusted_proxies ?? []),
    // Only those in use: the others may be collected.
    interceptors: new Map(all.flatMap((one) => [...one.interceptors])),
    destinations: new Set(all.flatMap(({ destinations }) => destinations)),
  }
}

function usedBy({ plugins: common = [] }: GatewayConfig, { plugins = [] }: RouteConfig): readonly PluginConfig[] {
  return common.length === 0 ? plugins : [...common, ...plugins]
}

/** What is in the files may have changed, although the route has not. */
function readsFiles(config: GatewayConfig, route: RouteConfig, plugins: PluginTable): boolean {
  return usedBy(config, route).some((use) => (plugins[use.name]?.files?.(use.config ?? {}) ?? []).length > 0)
}

/** Compiles a route. @param known interceptors that are there, by what they were made from */
function build(config: GatewayConfig, route: RouteConfig, known: ReadonlyMap<string, Interceptor>, options: SnapshotOptions): Built {
  const destinations: Destination[] = []
  const destinationOf = (target: Target, protocol?: UpstreamProtocol) => {
    const service = serviceOf(config, target)
    const found = options.destinationOf(target, protocol ? { ...service, protocol } : service)
    destinations.push(found)
    return found
  }
  const used = usedBy(config, route)
  const interceptors = new Map<string, Interceptor>()
  const chain = used.map((use) => interceptorOf(use, route, { config, known, own: interceptors, options }))
  const { path, aggregate, methods = [], hosts = [], query } = route
  const extra = used.flatMap(({ name }) => options.plugins[name]?.methods ?? [])
  const allowed = aggregate && methods.length === 0 ? ['GET'] : methods
  const end = endOf(route, destinationOf, options.world)
  const target = extra.length === 0 || allowed.length === 0 ? end : onlyFor(allowed, end)
  return {
    destinations,
    interceptors,
    route: {
      path,
      exact: route.exact ?? aggregate !== undefined,
      methods: allowed.length === 0 ? [] : [...new Set([...allowed, ...extra])],
      hosts,
      headers: lowerCased(route.headers),
      query,
      name: nameOf(route),
      maxBodyBytes: route.max_body_bytes ?? config.max_body_bytes ?? defaultMaxBodyBytes,
      idleTimeoutMs: route.idle_timeout_ms ?? defaultIdleTimeoutMs,
      handle: chain.reduceRight<Handler>((next, intercept) => guarded(intercept(next), options.log), guarded(target, options.log)),
    },
  }
}

interface InterceptorContext {
  readonly config: GatewayConfig
  readonly known: ReadonlyMap<string, Interceptor>
  /** Those of the route. */
  readonly own: Map<string, Interceptor>
  readonly options: SnapshotOptions
}

function interceptorOf(use: PluginConfig, route: RouteConfig, { config, known, own, options }: InterceptorContext): Interceptor {
  const plugin = options.plugins[use.name]
  // The check knew the same plugins; without this, a route would silently lose its protection.
  if (!plugin) throw new TypeError(`cannot compile route "${nameOf(route)}": no plugin "${use.name}"`)
  const { path, methods, hosts, exact, headers, query } = route
  const routeKey = JSON.stringify([path, methods, hosts, exact, headers, query])
  const { world, log, fetch, textOf } = options
  const files = (plugin.files?.(use.config ?? {}) ?? []).map((file) => textOf(file))
  const rateLimits = config.redis === undefined ? undefined : options.rateLimitsAt?.(config.redis)
  const key = JSON.stringify([use.name, use.config, plugin.shared ? 'shared' : routeKey, rateLimits ? config.redis : undefined, files])
  const context = { world, log, fetch, textOf, route: nameOf(route), routeKey, rateLimits }
  const interceptor = known.get(key) ?? plugin.create(use.config ?? {}, context)
  own.set(key, interceptor)
  return interceptor
}

/** What answers in the end. */
function endOf(route: RouteConfig, destinationOf: DestinationOf, world: World): Handler {
  const { aggregate, redirect, mirror } = route
  const limits = limitsOf(route)
  if (redirect) return redirectHandler(route, redirect)
  if (aggregate) return aggregateHandler(aggregate, limits, destinationOf, world)
  const proxy = proxyHandler(route, limits, destinationOf, world)
  return mirror ? mirrored(proxy, { route, mirror, limits, destinationOf, world }) : proxy
}

/** Of the methods that plugins must see, those of the route alone go on. */
function onlyFor(methods: readonly string[], end: Handler): Handler {
  return async (request) => {
    if (takesMethod(methods, request.method)) return end(request)
    return problem({
      status: 405,
      code: 'ERR_METHOD_NOT_ALLOWED',
      detail: `${request.path} does not take ${request.method}`,
      headers: ['allow', methods.join(', ')],
    })
  }
}

/** How a target is called: what the file says of its service, over what it says of all. */
function serviceOf({ services = {}, breaker }: GatewayConfig, target: Target): ServiceConfig {
  const own = 'service' in target && Object.hasOwn(services, target.service) ? services[target.service] : undefined
  return { ...own, breaker: { ...breaker, ...own?.breaker } }
}

/** A route's name; routes of one path are told apart by their methods and hosts. */
function nameOf({ name, path, methods = [], hosts = [] }: RouteConfig): string {
  if (name !== undefined) return name
  return [methods.join('|'), hosts.join('|') + path].filter(Boolean).join(' ')
}

/** Turns what is thrown into a problem, so that every plugin sees an answer and can add to it. */
function guarded(handler: Handler, log: Logger): Handler {
  return async (request) => {
    try {
      return await handler(request)
    } catch (error) {
      const response = problemOf(error)
      if (response.status === 500) log.error({ err: error, requestId: request.id }, 'the gateway failed on a request')
      return response
    }
  }
}

function limitsOf({
  timeout_ms = 10_000,
  try_timeout_ms = timeout_ms,
  idle_timeout_ms = defaultIdleTimeoutMs,
  retries = 2,
  hedge_ms,
}: RouteConfig): CallLimits {
  return { timeoutMs: timeout_ms, tryTimeoutMs: try_timeout_ms, idleTimeoutMs: idle_timeout_ms, retries, hedgeMs: hedge_ms }
}
