import type { MirrorConfig, RouteConfig } from './config.ts'
import type { PluginConfig } from './plugins/table.ts'
import type { HeaderChanges } from './plugins/transformers.ts'

/** A resource HTTPRoute of Gateway API, as far as it is known here. Checked by `httpRouteShape`. */
export interface HttpRoute {
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly spec: { readonly hostnames?: readonly string[]; readonly rules: readonly HttpRouteRule[] }
}

export interface HttpRouteRule {
  readonly name?: string
  readonly matches?: readonly HttpRouteMatch[]
  readonly filters?: readonly HttpRouteFilter[]
  readonly backendRefs?: readonly (BackendRef & { readonly weight?: number })[]
  readonly timeouts?: { readonly request?: string; readonly backendRequest?: string }
}

export interface HttpRouteMatch {
  readonly path?: { readonly type?: 'PathPrefix' | 'Exact'; readonly value?: string }
  readonly headers?: readonly NamedValue[]
  readonly queryParams?: readonly NamedValue[]
  readonly method?: string
}

export interface HttpRouteFilter {
  readonly type: string
  readonly requestHeaderModifier?: HeaderFilter
  readonly responseHeaderModifier?: HeaderFilter
  readonly requestRedirect?: RequestRedirect
  readonly urlRewrite?: { readonly hostname?: string; readonly path?: PathModifier }
  readonly requestMirror?: { readonly backendRef: BackendRef; readonly percent?: number }
}

interface RequestRedirect {
  readonly scheme?: 'http' | 'https'
  readonly hostname?: string
  readonly path?: PathModifier
  readonly port?: number
  readonly statusCode?: 301 | 302 | 303 | 307 | 308
}

interface PathModifier {
  readonly replaceFullPath?: string
  readonly replacePrefixMatch?: string
}

interface HeaderFilter {
  readonly set?: readonly NamedValue[]
  readonly add?: readonly NamedValue[]
  readonly remove?: readonly string[]
}

interface NamedValue {
  readonly name: string
  readonly value: string
}

interface BackendRef {
  readonly name: string
  readonly namespace?: string
}

/**
 * The routes of a resource: one for each match of each rule.
 *
 * @returns for each route the index of its rule, for messages
 * @see https://gateway-api.sigs.k8s.io/reference/spec, HTTPRouteRule
 */
export function routesOfHttpRoute({ metadata, spec }: HttpRoute): { readonly rule: number; readonly route: RouteConfig }[] {
  const { hostnames } = spec
  return spec.rules.flatMap((rule, index) =>
    (rule.matches ?? [{}]).map((match, nth, { length }) => {
      const name = `${metadata.name}/${rule.name ?? index + 1}${length > 1 ? `/${nth + 1}` : ''}`
      return { rule: index, route: { name, ...(hostnames && { hosts: hostnames }), ...matchOf(match), ...ruleOf(rule) } }
    }),
  )
}

/** What a resource says that has no meaning here; `undefined`: nothing. */
export function strangeNamespace({ metadata, spec }: HttpRoute): string | undefined {
  const refs = spec.rules.flatMap(({ backendRefs = [], filters = [] }) => [
    ...backendRefs,
    ...filters.flatMap(({ requestMirror }) => (requestMirror ? [requestMirror.backendRef] : [])),
  ])
  const strange = refs.find(({ namespace }) => namespace !== undefined && namespace !== (metadata.namespace ?? 'default'))
  return strange && `names the service "${strange.name}" in the namespace "${strange.namespace}"; services have one name each here`
}

function matchOf({ path = {}, headers, queryParams, method }: HttpRouteMatch): Pick<RouteConfig, 'path'> & Partial<RouteConfig> {
  return {
    path: path.value ?? '/',
    ...(path.type === 'Exact' && { exact: true }),
    ...(method !== undefined && { methods: [method] }),
    ...(headers && { headers: byName(headers) }),
    ...(queryParams && { query: byName(queryParams) }),
  }
}

/** Of one name that stands twice, the first counts, as Gateway API says. */
function byName(values: readonly NamedValue[]): Record<string, string> {
  return Object.fromEntries([...values].reverse().map(({ name, value }) => [name, value]))
}

function ruleOf({ backendRefs = [], filters = [], timeouts = {} }: HttpRouteRule): Partial<RouteConfig> {
  const redirect = filters.find((each) => each.requestRedirect)?.requestRedirect
  const plugins = filters.flatMap(pluginsOf)
  return {
    ...(redirect ? { redirect: redirectOf(redirect) } : backendsOf(backendRefs)),
    ...Object.assign({}, ...filters.map(rewriteOf)),
    ...(plugins.length > 0 && { plugins }),
    ...limitsOf(timeouts),
  }
}

/** Without a limit of the whole request, a limit of a try may be longer than the one that holds by default. */
function limitsOf({ request, backendRequest }: NonNullable<HttpRouteRule['timeouts']>): Partial<RouteConfig> {
  const [total, one] = [request, backendRequest].map((each) => (each === undefined ? undefined : millisecondsOf(each)))
  const longer = total ?? (one !== undefined && one > 10_000 ? one : undefined)
  return { ...(longer !== undefined && { timeout_ms: longer }), ...(one !== undefined && { try_timeout_ms: one }) }
}

function backendsOf(refs: NonNullable<HttpRouteRule['backendRefs']>): Partial<RouteConfig> {
  const [only] = refs
  if (only && refs.length === 1 && only.weight !== 0) return { service: only.name }
  return refs.length === 0 ? {} : { split: refs.map(({ name, weight = 1 }) => ({ service: name, weight })) }
}

function redirectOf({ hostname, path = {}, statusCode, scheme, port }: RequestRedirect): NonNullable<RouteConfig['redirect']> {
  return {
    ...(scheme !== undefined && { scheme }),
    ...(hostname !== undefined && { host: hostname }),
    ...(port !== undefined && { port }),
    ...(path.replaceFullPath !== undefined && { path: path.replaceFullPath }),
    ...(path.replacePrefixMatch !== undefined && { prefix: path.replacePrefixMatch }),
    ...(statusCode !== undefined && { status: statusCode }),
  }
}

function rewriteOf({ urlRewrite, requestMirror }: HttpRouteFilter): Partial<RouteConfig> {
  if (requestMirror) {
    const { backendRef, percent } = requestMirror
    const mirror: MirrorConfig = { service: backendRef.name, ...(percent !== undefined && { percent }) }
    // Gateway API copies every request.
    return { mirror: { ...mirror, methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] } }
  }
  if (!urlRewrite) return {}
  const { hostname, path = {} } = urlRewrite
  return {
    ...(hostname !== undefined && { upstream_host: hostname }),
    ...(path.replaceFullPath !== undefined && { replace_path: path.replaceFullPath }),
    ...(path.replacePrefixMatch !== undefined && { strip_path: true, upstream_path: path.replacePrefixMatch }),
  }
}

function pluginsOf({ requestHeaderModifier: request, responseHeaderModifier: response }: HttpRouteFilter): PluginConfig[] {
  return [
    ...(request ? [{ name: 'request-transformer' as const, config: changesOf(request) }] : []),
    ...(response ? [{ name: 'response-transformer' as const, config: changesOf(response) }] : []),
  ]
}

function changesOf({ set = [], add = [], remove = [] }: HeaderFilter): HeaderChanges {
  return {
    ...(remove.length > 0 && { remove }),
    ...(set.length > 0 && { set: byName(set) }),
    ...(add.length > 0 && { append: byName(add) }),
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }

/** `1m30s` in milliseconds; `0s` is no limit, which is a day here. */
export function millisecondsOf(duration: string): number {
  const ms = [...duration.matchAll(/(\d+)(ms|[hms])/g)].reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNIT_MS[unit] ?? 0), 0)
  return ms === 0 ? 86_400_000 : ms
}
