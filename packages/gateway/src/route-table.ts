import { type HeaderList, headerValues } from './headers.ts'
import { segmentsOf } from './path.ts'

/** When a route applies. */
export interface RouteKey {
  /** A prefix in whole segments: `/api/orders` takes `/api/orders/1`, not `/api/orders2`. `{name}` takes any one segment. */
  readonly path: string
  /** The path must end there too; a slash at the end makes no difference. */
  readonly exact: boolean
  /** Upper case; empty for all. `GET` takes `HEAD` too. */
  readonly methods: readonly string[]
  /** Lower case, `shop.example` or `*.shop.example`; empty for all. */
  readonly hosts: readonly string[]
  /** Headers that the request must have, by lower-case name: with this value, or `*` for any. Default: none. */
  readonly headers?: Conditions | undefined
  /** Parameters of the query, the same. */
  readonly query?: Conditions | undefined
}

/** Values by name; `*`: any. */
export type Conditions = Readonly<Record<string, string>>

/** The part of a request that routes look at. */
export interface RouteQuestion {
  readonly method: string
  readonly host: string
  /** Normalised. */
  readonly path: string
  /** With its `?`. */
  readonly query: string
  /** As they came. */
  readonly rawHeaders: HeaderList
}

/** The route and the path's parameters; or, without a route, the methods other routes of this path would take. */
export type RouteAnswer<R> =
  | { readonly route: R; readonly params: Readonly<Record<string, string>> }
  | { readonly route: undefined; readonly allow: readonly string[] }

/** Finds the route of a request. */
export interface RouteTable<R> {
  match(question: RouteQuestion): RouteAnswer<R>
  /** The order in which routes apply, most specific first. */
  readonly ranked: readonly R[]
}

/**
 * Builds a {@link RouteTable}: a tree by segments, so that the time to find a route does not grow with their number. Of the routes that fit,
 * the most specific one is taken: a host before a wildcard host before none, then an exact path, then the longer path, then plain
 * segments before `{name}`, then a route with methods, then one that asks for more headers, then for more parameters of the query, then the
 * order given. @see Gateway API, HTTPRouteRule, which has methods, headers and the query in this order too
 */
export function routeTable<R extends RouteKey>(routes: readonly R[]): RouteTable<R> {
  const entries = routes.flatMap((route, order) =>
    (route.hosts.length > 0 ? route.hosts : [undefined]).map((host) => ({
      route,
      host,
      order,
      ...factsOf(route),
      hostWeight: hostWeight(host),
    })),
  )
  entries.sort(bySpecificity)
  const root = newNode<R>()
  for (const [rank, entry] of entries.entries()) insert(root, { ...entry, rank })

  return {
    ranked: [...new Set(entries.map(({ route }) => route))],
    match(question) {
      const segments = withoutLastSlash(segmentsOf(question.path))
      const search: Search<R> = { question, segments, best: undefined, allow: undefined }
      visit(root, 0, search)
      const { best } = search
      if (!best) return { route: undefined, allow: [...(search.allow ?? [])].sort() }
      return { route: best.route, params: best.hasNames ? paramsOf(best.pattern, segments) : NO_PARAMS }
    },
  }
}

/**
 * The places that a route takes, as texts: one for each of its hosts and methods. Of two routes with one in common, some request could take either.
 */
export function placesOf({ path, exact, hosts, methods, headers, query }: RouteKey): string[] {
  const pattern = patternOf(path).map((part) => (part.name === undefined ? part.text : '{}'))
  const rest = JSON.stringify([exact, pattern, sorted(headers), sorted(query)])
  const all = (items: readonly string[]) => (items.length > 0 ? items : ['*'])
  return all(hosts).flatMap((host) => all(methods).map((method) => `${host} ${method} ${rest}`))
}

/** Headers by lower-case name. */
export function lowerCased(headers: Conditions | undefined): Conditions | undefined {
  return headers && Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

/** The names in braces of a path. */
export function parameterNames(path: string): string[] {
  return path.includes('{') ? patternOf(path).flatMap((part) => part.name ?? []) : []
}

interface Part {
  readonly text: string
  /** Of a parameter. */
  readonly name: string | undefined
}

interface Entry<R extends RouteKey> {
  readonly route: R
  readonly host: string | undefined
  readonly order: number
  readonly pattern: readonly Part[]
  /** Some of its segments are parameters. */
  readonly hasNames: boolean
  readonly rank: number
}

interface Node<R extends RouteKey> {
  readonly plain: Map<string, Node<R>>
  parameter: Node<R> | undefined
  /** Entries that end here, by rank: those of one host, and the others, which all come behind those. */
  readonly ofHost: Map<string, Entry<R>[]>
  readonly others: Entry<R>[]
}

interface Search<R extends RouteKey> {
  readonly question: RouteQuestion
  readonly segments: readonly string[]
  best: Entry<R> | undefined
  /** The methods that other routes of this path take; most requests need none. */
  allow: Set<string> | undefined
}

const NO_PARAMS: Readonly<Record<string, string>> = {}

function patternOf(path: string): Part[] {
  return withoutLastSlash(segmentsOf(path)).map((text) => ({ text, name: /^\{(.+)\}$/.exec(text)?.[1] }))
}

function withoutLastSlash(segments: string[]): string[] {
  return segments.at(-1) === '' ? segments.slice(0, -1) : segments
}

function newNode<R extends RouteKey>(): Node<R> {
  return { plain: new Map(), parameter: undefined, ofHost: new Map(), others: [] }
}

function insert<R extends RouteKey>(root: Node<R>, entry: Entry<R>): void {
  let node = root
  for (const { text, name } of entry.pattern) {
    let next: Node<R> | undefined = name === undefined ? node.plain.get(text) : node.parameter
    if (!next) {
      next = newNode<R>()
      if (name === undefined) node.plain.set(text, next)
      else node.parameter = next
    }
    node = next
  }
  entriesOf(node, entry.host).push(entry)
}

function entriesOf<R extends RouteKey>({ ofHost, others }: Node<R>, host: string | undefined): Entry<R>[] {
  if (host === undefined || host.startsWith('*.')) return others
  const found = ofHost.get(host) ?? []
  ofHost.set(host, found)
  return found
}

function visit<R extends RouteKey>(node: Node<R>, depth: number, search: Search<R>): void {
  const atEnd = depth === search.segments.length
  const own = node.ofHost.size === 0 ? undefined : node.ofHost.get(search.question.host)
  if (!own || !takeFirst(own, atEnd, search)) takeFirst(node.others, atEnd, search)
  if (atEnd) return
  const plain = node.plain.get(search.segments[depth] ?? '')
  if (plain) visit(plain, depth + 1, search)
  if (node.parameter) visit(node.parameter, depth + 1, search)
}

/** The first of some entries that takes the request, if it is better than what was found before. @returns whether there is one */
function takeFirst<R extends RouteKey>(entries: readonly Entry<R>[], atEnd: boolean, search: Search<R>): boolean {
  for (const entry of entries) {
    if (entry.route.exact && !atEnd) continue
    if (!takesHost(entry.host, search.question.host) || !hasAll(entry.route, search.question)) continue
    if (!takesMethod(entry.route.methods, search.question.method)) {
      search.allow ??= new Set()
      for (const method of entry.route.methods) search.allow.add(method)
    } else {
      if (!search.best || entry.rank < search.best.rank) search.best = entry
      return true
    }
  }
  return false
}

function takesHost(wanted: string | undefined, host: string): boolean {
  if (wanted === undefined || wanted === host) return true
  return wanted.startsWith('*.') && host.endsWith(wanted.slice(1)) && host.length > wanted.length - 1
}

/** Whether a request has what a route asks for beside its path. Most ask for nothing. */
function hasAll({ headers, query }: RouteKey, question: RouteQuestion): boolean {
  if (headers === undefined && query === undefined) return true
  const parameters = new URLSearchParams(question.query)
  return (
    Object.entries(headers ?? {}).every(([name, wanted]) => hasOne(headerValues(question.rawHeaders, name), wanted)) &&
    Object.entries(query ?? {}).every(([name, wanted]) => hasOne(parameters.getAll(name), wanted))
  )
}

/** One value and the right one: of several, services read now the first, now the last. */
function hasOne(values: readonly string[], wanted: string): boolean {
  return wanted === '*' ? values.length > 0 : values.length === 1 && values[0] === wanted
}

/** Whether a route with these methods takes one: none are all, and `GET` is `HEAD` too. */
export function takesMethod(methods: readonly string[], method: string): boolean {
  return methods.length === 0 || methods.includes(method) || (method === 'HEAD' && methods.includes('GET'))
}

function paramsOf(pattern: readonly Part[], segments: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {}
  for (const [index, { name }] of pattern.entries()) if (name !== undefined) params[name] = segments[index] ?? ''
  return params
}

/** What routes are ranked by, counted once for each. */
interface Facts {
  readonly pattern: readonly Part[]
  readonly hasNames: boolean
  readonly headers: number
  readonly parameters: number
}

/** Most routes stay over a reload. */
const known = new WeakMap<RouteKey, Facts>()

function factsOf(route: RouteKey): Facts {
  const found = known.get(route)
  if (found) return found
  const { path, headers = {}, query = {} } = route
  const pattern = patternOf(path)
  const hasNames = pattern.some(({ name }) => name !== undefined)
  const facts = { pattern, hasNames, headers: Object.keys(headers).length, parameters: Object.keys(query).length }
  known.set(route, facts)
  return facts
}

type Ranked<R extends RouteKey> = Omit<Entry<R>, 'rank'> & Facts & { readonly hostWeight: number }

function bySpecificity<R extends RouteKey>(a: Ranked<R>, b: Ranked<R>): number {
  return (
    b.hostWeight - a.hostWeight ||
    Number(b.route.exact) - Number(a.route.exact) ||
    b.pattern.length - a.pattern.length ||
    byFirstPlain(a.pattern, b.pattern) ||
    Number(b.route.methods.length > 0) - Number(a.route.methods.length > 0) ||
    b.headers - a.headers ||
    b.parameters - a.parameters ||
    a.order - b.order
  )
}

function sorted(conditions: Conditions = {}): [string, string][] {
  return Object.entries(conditions).sort(([one], [other]) => (one < other ? -1 : 1))
}

/** A host before any wildcard, a longer wildcard before a shorter one, any before none. */
function hostWeight(host: string | undefined): number {
  if (host === undefined) return 0
  return host.startsWith('*.') ? host.length : 1_000
}

function byFirstPlain(a: readonly Part[], b: readonly Part[]): number {
  for (const [index, part] of a.entries()) {
    const difference = Number(part.name !== undefined) - Number(b[index]?.name !== undefined)
    if (difference !== 0) return difference
  }
  return 0
}
