import type { Logger, World } from '@banyan/core'
import type { RateLimitStore } from '@banyan/resilience'
import { aggregateHandler } from './aggregate.ts'
import type { CallLimits } from './attempt.ts'
import type { GatewayConfig, RouteConfig, ServiceConfig } from './config.ts'
import type { Destination, Target } from './destination.ts'
import type { Handler, Interceptor } from './exchange.ts'
import { type TrustedNetworks, trustedNetworks } from './forwarded.ts'
import { mirrored } from './mirror.ts'
import type { Fetched, FetchOptions } from './plugins/plugin.ts'
import type { PluginConfig, PluginTable } from './plugins/table.ts'
import { problemOf } from './problem.ts'
import { proxyHandler } from './proxy.ts'
import { redirectHandler } from './redirect.ts'
import { lowerCased, type RouteKey, type RouteTable, routeTable } from './route-table.ts'
import type { UpstreamProtocol } from './upstream-client.ts'

/** A configuration, compiled. Never changed: a reload builds another and swaps one pointer. */
export interface Snapshot {
  readonly config: GatewayConfig
  readonly routes: RouteTable<CompiledRoute>
  readonly isTrusted: TrustedNetworks
  /** The plugins' interceptors by what they were made from, for the next snapshot to take over. */
  readonly interceptors: ReadonlyMap<string, Interceptor>
  /** The destinations it uses. */
  readonly destinations: ReadonlySet<Destination>
}

export interface CompiledRoute extends RouteKey {
  readonly name: string
  readonly maxBodyBytes: number
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

/** Compiles a checked configuration. What did not change since `before` keeps its state: limits, keys, breakers. */
export function compile(config: GatewayConfig, options: SnapshotOptions, before?: Snapshot): Snapshot {
  const interceptors = new Map<string, Interceptor>()
  const destinations = new Set<Destination>()
  const rateLimits = config.redis === undefined ? undefined : options.rateLimitsAt?.(config.redis)
  const destinationOf = (target: Target, protocol?: UpstreamProtocol) => {
    const service = serviceOf(config, target)
    const found = options.destinationOf(target, protocol ? { ...service, protocol } : service)
    destinations.add(found)
    return found
  }

  function interceptorOf(use: PluginConfig, route: RouteConfig): Interceptor {
    const plugin = options.plugins[use.name]
    // The check knew the same plugins; without this, a route would silently lose its protection.
    if (!plugin) throw new TypeError(`cannot compile route "${nameOf(route)}": no plugin "${use.name}"`)
    const { path, methods, hosts, exact, headers, query } = route
    const routeKey = JSON.stringify([path, methods, hosts, exact, headers, query])
    const files = (plugin.files?.(use.config ?? {}) ?? []).map((file) => options.textOf(file))
    const key = JSON.stringify([use.name, use.config, plugin.shared ? 'shared' : routeKey, rateLimits ? config.redis : undefined, files])
    const { world, log, fetch, textOf } = options
    const context = { world, log, fetch, textOf, route: nameOf(route), routeKey, rateLimits }
    const interceptor = interceptors.get(key) ?? before?.interceptors.get(key) ?? plugin.create(use.config ?? {}, context)
    interceptors.set(key, interceptor)
    return interceptor
  }

  /** What answers in the end. */
  function endOf(route: RouteConfig): Handler {
    const { aggregate, redirect, mirror } = route
    const { world } = options
    const limits = limitsOf(route)
    if (redirect) return redirectHandler(route, redirect)
    if (aggregate) return aggregateHandler(aggregate, limits, destinationOf, world)
    const proxy = proxyHandler(route, limits, destinationOf, world)
    return mirror ? mirrored(proxy, { route, mirror, limits, destinationOf, world }) : proxy
  }

  function compileRoute(route: RouteConfig): CompiledRoute {
    const { path, aggregate, methods = [], hosts = [], query } = route
    const name = nameOf(route)
    const used = [...(config.plugins ?? []), ...(route.plugins ?? [])]
    const target = endOf(route)
    const chain = used.map((plugin) => interceptorOf(plugin, route))
    const extra = used.flatMap(({ name: plugin }) => options.plugins[plugin]?.methods ?? [])
    const allowed = aggregate && methods.length === 0 ? ['GET'] : methods
    return {
      path,
      exact: route.exact ?? aggregate !== undefined,
      methods: allowed.length === 0 ? [] : [...new Set([...allowed, ...extra])],
      hosts,
      headers: lowerCased(route.headers),
      query,
      name,
      maxBodyBytes: route.max_body_bytes ?? config.max_body_bytes ?? defaultMaxBodyBytes,
      handle: chain.reduceRight<Handler>((next, intercept) => guarded(intercept(next), options.log), guarded(target, options.log)),
    }
  }

  const routes = routeTable(config.routes.map(compileRoute))
  return { config, routes, isTrusted: trustedNetworks(config.trusted_proxies ?? []), interceptors, destinations }
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

function limitsOf({ timeout_ms = 10_000, try_timeout_ms = timeout_ms, idle_timeout_ms = 60_000, retries = 2 }: RouteConfig): CallLimits {
  return { timeoutMs: timeout_ms, tryTimeoutMs: try_timeout_ms, idleTimeoutMs: idle_timeout_ms, retries }
}
