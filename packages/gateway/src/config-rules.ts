import type { GatewayConfig, PartConfig, RouteConfig, SplitConfig } from './config.ts'
import type { Broken, Rule } from './config-shape.ts'
import { wrongOrder } from './plugin-order.ts'
import { lowerCased, parameterNames, placesOf } from './route-table.ts'

/** What must hold within a route. The checker runs them on values whose keys are right, so they may be read as typed. */
export const routeRules: readonly Rule[] = [
  (value) => oneTarget(value, ['service', 'url', 'aggregate', 'split', 'redirect']),
  (value) => {
    const { upstream_path, strip_path } = value as Partial<RouteConfig>
    if (upstream_path === undefined || strip_path) return undefined
    return {
      key: 'upstream_path',
      message: 'has "upstream_path" without "strip_path: true"; it takes the place of what strip_path takes off',
    }
  },
  (value) => {
    const names = parameterNames(String(value.path))
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    return twice === undefined ? undefined : { key: 'path', message: `has "{${twice}}" twice in its path` }
  },
  (value) => unknownParameter(value as Partial<RouteConfig>),
  (value) => {
    const { timeout_ms = 10_000, try_timeout_ms } = value as Partial<RouteConfig>
    if (try_timeout_ms === undefined || try_timeout_ms <= timeout_ms) return undefined
    return { key: 'try_timeout_ms', message: `has a "try_timeout_ms" of ${try_timeout_ms}, more than its "timeout_ms" of ${timeout_ms}` }
  },
  (value) => withoutMeaning(value),
  ({ split }) => {
    const shares = (split ?? []) as readonly SplitConfig[]
    if (split === undefined || shares.some(({ weight = 1 }) => weight > 0)) return undefined
    return { key: 'split', message: 'has only weights of 0 in its "split"; wanted one place at least that requests go to' }
  },
  ({ replace_path: whole, strip_path: strip }) =>
    whole !== undefined && strip ? { key: 'replace_path', message: 'has "replace_path" and "strip_path"; wanted one of them' } : undefined,
  ({ upstream_host: host, preserve_host: keep }) =>
    host !== undefined && keep
      ? { key: 'upstream_host', message: 'has "upstream_host" and "preserve_host"; wanted one of them' }
      : undefined,
]

export const redirectRules: readonly Rule[] = [
  ({ path, prefix }) =>
    path !== undefined && prefix !== undefined ? { key: 'prefix', message: 'has "path" and "prefix"; wanted one of them' } : undefined,
  (value) =>
    ['scheme', 'host', 'port', 'path', 'prefix'].some((key) => key in value)
      ? undefined
      : { message: 'sends the client to where it is; wanted "scheme", "host", "port", "path" or "prefix"' },
]

export const mirrorRules: readonly Rule[] = [(value) => oneTarget(value, ['service', 'url'])]

export const partRules: readonly Rule[] = [(value) => oneTarget(value, ['service', 'url'])]

/** What must hold between routes. */
export const fileRules: readonly Rule[] = [
  ({ headers_timeout_ms: head = 10_000, request_timeout_ms: whole = 300_000 }) =>
    Number(whole) < Number(head)
      ? { key: 'request_timeout_ms', message: `has a "request_timeout_ms" of ${whole}, less than its "headers_timeout_ms" of ${head}` }
      : undefined,
  ({ h2c, tls }) =>
    h2c === true && tls !== undefined
      ? { key: 'h2c', message: 'has "h2c", which is without TLS, and "tls"; wanted "http2: true" in "tls"' }
      : undefined,
  (value) => {
    const { plugins = [], routes = [], tls } = value as Partial<GatewayConfig>
    const asksNobody = (tls?.client_certificate ?? 'none') === 'none'
    const index = routes.findIndex(({ plugins: own = [] }) => [...plugins, ...own].some(({ name }) => name === 'mtls-auth'))
    if (!asksNobody || index < 0) return undefined
    const why = 'but asks no client for a certificate; wanted "client_certificate: optional" or "required" in "tls"'
    return { key: 'routes', index, message: `has "mtls-auth" in route ${index + 1}, ${why}` }
  },
  (value) => {
    const { plugins = [], routes = [] } = value as Partial<GatewayConfig>
    for (const [index, { plugins: own = [] }] of routes.entries()) {
      const wrong = wrongOrder([...plugins, ...own], `route ${index + 1}`)
      if (wrong !== undefined) return { key: 'routes', index, message: `has ${wrong}` }
    }
    return undefined
  },
  (value) => {
    const keys = (value.routes as readonly RouteConfig[]).map(({ path, exact, aggregate, methods = [], hosts = [], headers, query }) => ({
      path,
      exact: exact ?? aggregate !== undefined,
      methods,
      hosts,
      headers: lowerCased(headers),
      query,
    }))
    // Comparing each with each would take minutes for 10,000.
    const known = new Map<string, number>()
    for (const [index, key] of keys.entries()) {
      const places = placesOf(key)
      const clash = places.reduce((first, place) => Math.min(first, known.get(place) ?? first), index)
      if (clash < index) return { key: 'routes', index, message: `has two routes for the same requests, ${clash + 1} and ${index + 1}` }
      for (const place of places) known.set(place, index)
    }
    return undefined
  },
]

function oneTarget(value: Readonly<Record<string, unknown>>, targets: readonly string[]): Broken | undefined {
  const given = targets.filter((target) => target in value)
  const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(' and ')
  if (given.length === 0) return { message: `says nowhere to go; wanted one of ${quoted(targets)}` }
  if (given.length === 1) return undefined
  return { key: given[1] ?? '', message: `has ${quoted(given)}; wanted one of them` }
}

function unknownParameter({ path = '/', upstream_path, replace_path, aggregate = {} }: Partial<RouteConfig>): Broken | undefined {
  const known = parameterNames(path)
  const unknown = (other: string) => parameterNames(other).find((name) => !known.includes(name))
  const has = known.length === 0 ? 'its path has none' : `its path has {${known.join('}, {')}}`
  const inUpstream = upstream_path === undefined ? undefined : unknown(upstream_path)
  if (inUpstream !== undefined) return { key: 'upstream_path', message: `uses "{${inUpstream}}" in "upstream_path", but ${has}` }
  const inWhole = replace_path === undefined ? undefined : unknown(replace_path)
  if (inWhole !== undefined) return { key: 'replace_path', message: `uses "{${inWhole}}" in "replace_path", but ${has}` }
  for (const [name, part] of Object.entries<PartConfig>(aggregate)) {
    const inPart = unknown(part.path)
    if (inPart !== undefined) return { key: 'aggregate', message: `uses "{${inPart}}" in part "${name}", but ${has}` }
  }
  return undefined
}

/** Keys about forwarding, which do nothing where nothing is forwarded as it came: saying them is a misunderstanding. */
const OF_FORWARDING = ['strip_path', 'upstream_path', 'replace_path', 'upstream_host', 'preserve_host', 'protocol', 'mirror']

function withoutMeaning(value: Readonly<Record<string, unknown>>): Broken | undefined {
  const end = ['aggregate', 'redirect'].find((each) => each in value)
  if (end === undefined) return undefined
  const key = OF_FORWARDING.find((each) => each in value)
  const why =
    end === 'aggregate'
      ? 'is an aggregate, where "KEY" means nothing; each part has its own "path"'
      : 'is a redirect, where "KEY" means nothing'
  if (key !== undefined) return { key, message: why.replace('KEY', key) }
  if (end === 'redirect') return undefined
  const { methods = [] } = value as Partial<RouteConfig>
  const writes = methods.find((method) => method !== 'GET' && method !== 'HEAD')
  return writes === undefined ? undefined : { key: 'methods', message: `is an aggregate, which answers GET and HEAD, not ${writes}` }
}
