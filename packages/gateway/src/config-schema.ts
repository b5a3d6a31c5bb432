import type {
  BreakerConfig,
  CheckConfig,
  GatewayConfig,
  MirrorConfig,
  OutlierConfig,
  PartConfig,
  RedirectConfig,
  RouteConfig,
  ServiceConfig,
  SplitConfig,
  TlsConfig,
} from './config.ts'
import { check } from './config-check.ts'
import { fileRules, mirrorRules, partRules, redirectRules, routeRules } from './config-rules.ts'
import {
  type BooleanShape,
  type EitherShape,
  integer,
  list,
  type MapShape,
  oneNumberOf,
  oneOf,
  type TextShape,
  text,
} from './config-shape.ts'
import { entryOf, type Tree } from './config-tree.ts'
import type { ConfigIssue } from './errors.ts'
import { isToken } from './http-grammar.ts'
import { isNetwork } from './networks.ts'
import { normalisePath } from './path.ts'
import type { PluginTable } from './plugins/table.ts'

/** Checks a whole configuration. Without new issues, the value is one. */
export function checkTree(tree: Tree, issues: ConfigIssue[], plugins: PluginTable): GatewayConfig {
  const shapes = Object.fromEntries(Object.entries(plugins).map(([name, { config }]) => [name, config]))
  const jwt = entryOf(tree, 'jwt')
  // What is wrong with it is told where the whole is checked.
  const aside = { issues: [], plugins: shapes, defaults: {} }
  const defaults = { jwt: jwt && check(jwt, withoutRequired(shapes.jwt), '"jwt"', aside) }
  const value = check(tree, configShape(shapes), 'the file', { issues, plugins: shapes, defaults })
  // The shape below has the keys of GatewayConfig and of what is in it, by its types.
  return value as GatewayConfig
}

const flag: BooleanShape = { kind: 'boolean' }
const serviceName = text('the name of a service, as in "order-service"', (value) => /^[A-Za-z0-9][\w.-]*$/.test(value))
const baseUrl = text('an address without query, as in "http://127.0.0.1:9100"', isBaseUrl)
const routePath = text('a path with plain segments and {parameters}, as in "/api/orders/{orderId}"', isRoutePath)
const upstreamPath = text('a path as in "/orders" or "/orders/{orderId}"', isRoutePath)
const network = text('an address or a network, as in "10.0.0.0/8"', isNetwork)
const host = text('a host name in lower case, as in "shop.example" or "*.shop.example"', (value) =>
  /^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(value),
)
const askedHeader = text('the name of a header, as in "x-version"', isToken)
const protocol = oneOf('http1', 'http2')
const method = oneOf('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')
const timeMs = integer(1, 86_400_000)
const sizeBytes = integer(0, Number.MAX_SAFE_INTEGER)
const adminToken: TextShape = {
  ...text('at least 16 characters without blanks, best from a variable of the environment', (value) => /^[!-~]{16,}$/.test(value)),
  isSecret: true,
}
const redisUrl = text('the address of a Redis, as in "redis://127.0.0.1:6379"', (value) => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  return url !== undefined && /^rediss?:$/.test(url.protocol) && url.hostname !== ''
})
const address: EitherShape = {
  kind: 'either',
  of: [integer(0, 65_535), text('host:port, as in "127.0.0.1:8080"', isAddress)],
  wanted: 'a port from 0 to 65535, or host:port as in "127.0.0.1:8080"',
}

const partShape: MapShape<keyof PartConfig> = {
  kind: 'map',
  keys: {
    service: { shape: serviceName, about: 'the service that has this part' },
    url: { shape: baseUrl, about: 'the address that has this part' },
    path: { shape: upstreamPath, required: true, about: 'where the service has this part, as in "/orders/{orderId}"' },
    required: { shape: flag, about: 'whether there is no answer without this part' },
    timeout_ms: { shape: timeMs, about: 'how long to wait for this part' },
  },
  rules: partRules,
}

const splitShape: MapShape<keyof SplitConfig> = {
  kind: 'map',
  keys: {
    service: { shape: serviceName, about: 'a service that has a share' },
    url: { shape: baseUrl, about: 'an address that has a share' },
    weight: { shape: integer(0, 1_000_000), about: 'its share, beside the other weights' },
  },
  rules: partRules,
}

const plainHost = text('a host name in lower case, as in "shop.example"', (value) => /^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(value))

const redirectShape: MapShape<keyof RedirectConfig> = {
  kind: 'map',
  keys: {
    scheme: { shape: oneOf('http', 'https'), about: 'http or https' },
    host: { shape: plainHost, about: 'another host' },
    port: { shape: integer(1, 65_535), about: 'another port' },
    path: { shape: upstreamPath, about: 'what to put in place of the whole path' },
    prefix: { shape: upstreamPath, about: 'what to put in place of the path of the route' },
    status: { shape: oneNumberOf(301, 302, 303, 307, 308), about: 'the status of the answer' },
  },
  rules: redirectRules,
}

const mirrorShape: MapShape<keyof MirrorConfig> = {
  kind: 'map',
  keys: {
    service: { shape: serviceName, about: 'the service that gets copies' },
    url: { shape: baseUrl, about: 'the address that gets copies' },
    percent: { shape: { kind: 'number', min: 0, max: 100 }, about: 'how many of a hundred requests are copied' },
    methods: { shape: list(method, 'method', 1), about: 'which requests are copied' },
    max_body_bytes: { shape: integer(0, 65_536), about: 'the largest body that is copied' },
    max_in_flight: { shape: integer(1, 100_000), about: 'how many copies there may be at one time' },
  },
  rules: mirrorRules,
}

const routeShape: MapShape<keyof RouteConfig> = {
  kind: 'map',
  keys: {
    name: { shape: text('a name'), about: 'what logs and traces call the route' },
    path: { shape: routePath, required: true, about: 'the prefix of the requests it takes, as in "/api/orders"' },
    exact: { shape: flag, about: 'whether the path must end there' },
    methods: { shape: list(method, 'method', 1), about: 'the methods it takes' },
    hosts: { shape: list(host, 'host', 1), about: 'the hosts it takes' },
    headers: {
      shape: { kind: 'dictionary', of: text('a value, or "*" for any'), item: 'header', key: askedHeader },
      about: 'headers that it asks for',
    },
    query: {
      shape: { kind: 'dictionary', of: text('a value, or "*" for any'), item: 'parameter', key: text('the name of a parameter') },
      about: 'parameters of the query that it asks for',
    },
    service: { shape: serviceName, about: 'the service to forward to, found by discovery' },
    url: { shape: baseUrl, about: 'the fixed address to forward to' },
    aggregate: {
      shape: {
        kind: 'dictionary',
        of: partShape,
        item: 'part',
        key: text('a letter, then letters, digits and "_"', (value) => /^[A-Za-z]\w*$/.test(value)),
      },
      about: 'the parts to put together',
    },
    split: { shape: list(splitShape, 'share', 1), about: 'the places that requests are split over, by weight' },
    redirect: { shape: redirectShape, about: 'where the client is sent' },
    mirror: { shape: mirrorShape, about: 'the place that gets a copy of requests' },
    protocol: { shape: protocol, about: 'what is spoken with the service: http1, or http2 as gRPC needs' },
    strip_path: { shape: flag, about: 'whether "path" is taken off before forwarding' },
    upstream_path: { shape: upstreamPath, about: 'what to put in place of what strip_path took off' },
    replace_path: { shape: upstreamPath, about: 'what to put in place of the whole path' },
    upstream_host: { shape: plainHost, about: 'the Host that the service gets' },
    preserve_host: { shape: flag, about: 'whether the service gets the Host of the client' },
    timeout_ms: { shape: timeMs, about: 'how long to wait for the head of an answer' },
    try_timeout_ms: { shape: timeMs, about: 'the same for one try' },
    idle_timeout_ms: {
      shape: timeMs,
      about: 'the longest pause within the body of an answer, and the longest that a client takes nothing of it',
    },
    retries: { shape: integer(0, 5), about: 'how often to repeat what may be repeated' },
    hedge_ms: { shape: timeMs, about: 'after how long a GET without an answer is sent once more' },
    max_body_bytes: { shape: sizeBytes, about: 'the largest body of a request' },
    plugins: { shape: { kind: 'plugins' }, about: 'what is done on the way' },
  },
  rules: routeRules,
}

const breakerShape: MapShape<keyof BreakerConfig> = {
  kind: 'map',
  keys: {
    window_ms: { shape: integer(100, 3_600_000), about: 'how far back it looks' },
    minimum_calls: { shape: integer(1, 1_000_000), about: 'how many tries decide' },
    failure_rate: { shape: { kind: 'number', min: 0.01, max: 1 }, about: 'the share of failed tries that opens it' },
    cool_down_ms: { shape: timeMs, about: 'how long it stays open' },
  },
}

const outlierShape: MapShape<keyof OutlierConfig> = {
  kind: 'map',
  keys: {
    failures: { shape: integer(1, 1_000), about: 'failures in a row until an instance is left alone' },
    base_ms: { shape: timeMs, about: 'for how long the first time' },
    max_ms: { shape: timeMs, about: 'the longest' },
    max_share: { shape: { kind: 'number', min: 0, max: 1 }, about: 'the largest share of the instances at one time' },
  },
  rules: [
    ({ base_ms: base = 1_000, max_ms: max = 30_000 }) =>
      Number(base) > Number(max) ? { key: 'base_ms', message: `has a "base_ms" of ${base}, more than its "max_ms" of ${max}` } : undefined,
  ],
}

const checkShape: MapShape<keyof CheckConfig> = {
  kind: 'map',
  keys: {
    path: { shape: upstreamPath, required: true, about: 'what is asked for, as in "/health/ready"' },
    every_ms: { shape: integer(100, 3_600_000), about: 'how often' },
    timeout_ms: { shape: integer(1, 60_000), about: 'how long an answer may take' },
    failures: { shape: integer(1, 100), about: 'bad answers in a row until an instance is left out' },
    successes: { shape: integer(1, 100), about: 'good answers in a row until it is back' },
  },
}

const serviceShape: MapShape<keyof ServiceConfig> = {
  kind: 'map',
  keys: {
    protocol: { shape: protocol, about: 'what is spoken with it: http1, or http2 as gRPC needs' },
    balance: { shape: oneOf('p2c', 'least-requests', 'round-robin', 'weighted'), about: 'how the next instance is chosen' },
    slow_start_ms: { shape: integer(0, 3_600_000), about: 'how long a new instance takes to get its whole share' },
    outliers: { shape: outlierShape, about: 'when an instance that fails more than others is left alone' },
    breaker: { shape: breakerShape, about: 'when to stop calling it' },
    check: { shape: checkShape, about: 'how the gateway asks each instance whether it is well' },
  },
  rules: [
    ({ balance, slow_start_ms: slow = 0 }) =>
      balance === 'round-robin' && slow !== 0
        ? { key: 'slow_start_ms', message: 'has "slow_start_ms" with "balance: round-robin", in which all instances have the same' }
        : undefined,
  ],
}

const pathOfFile = text('the path of a PEM file, relative to this one')
const tlsShape: MapShape<keyof TlsConfig> = {
  kind: 'map',
  keys: {
    cert: { shape: pathOfFile, required: true, about: 'the certificate, with those between it and the root' },
    key: { shape: pathOfFile, required: true, about: 'its key' },
    ca: { shape: pathOfFile, about: 'who may have signed the certificates of clients' },
    client_certificate: { shape: oneOf('none', 'optional', 'required'), about: 'whether clients need a certificate' },
    http2: { shape: flag, about: 'whether HTTP/2 is offered to clients, on the same port' },
    min_version: { shape: oneOf('TLSv1.2', 'TLSv1.3'), about: 'the oldest version of TLS that is spoken' },
  },
  rules: [
    ({ ca, client_certificate: wanted = 'none' }) =>
      wanted !== 'none' && ca === undefined
        ? {
            key: 'client_certificate',
            message: `has "client_certificate: ${String(wanted)}" without "ca", which says whose certificates are good`,
          }
        : undefined,
  ],
}

/** The shape of a gateway file, with the configs of these plugins. */
export function configShape(plugins: Readonly<Record<string, MapShape>>): MapShape<keyof GatewayConfig> {
  return {
    kind: 'map',
    keys: {
      listen: { shape: address, about: 'where clients connect' },
      tls: { shape: tlsShape, about: 'to speak TLS with clients' },
      admin: { shape: address, about: 'where health and metrics are served' },
      admin_token: { shape: adminToken, about: 'who sends it to the admin port may see and change the configuration' },
      trusted_proxies: { shape: list(network, 'network'), about: 'whose X-Forwarded-* are believed' },
      h2c: { shape: flag, about: 'whether HTTP/2 without TLS is served on the same port' },
      max_body_bytes: { shape: sizeBytes, about: 'the largest body of a request' },
      max_header_bytes: { shape: integer(1_024, 1_048_576), about: 'the largest head of a request' },
      headers_timeout_ms: { shape: timeMs, about: 'how long a client may take for the head of a request' },
      request_timeout_ms: { shape: timeMs, about: 'how long a client may take for a whole request' },
      keep_alive_ms: { shape: timeMs, about: 'how long unused connections are kept' },
      drain_ms: { shape: integer(0, 3_600_000), about: 'how long stopping waits for requests in flight' },
      linger_ms: { shape: integer(0, 3_600_000), about: 'how long idle connections are served on while stopping' },
      redis: { shape: redisUrl, about: 'where limits with "shared: true" are counted together' },
      breaker: { shape: breakerShape, about: 'when to stop calling a service' },
      jwt: { shape: withoutRequired(plugins.jwt), about: 'what every jwt plugin has unless its own config says otherwise' },
      plugins: { shape: { kind: 'plugins' }, about: 'plugins of every route' },
      services: {
        shape: { kind: 'dictionary', of: serviceShape, item: 'service', key: serviceName },
        about: 'how single services are called',
      },
      routes: {
        shape: list(routeShape, 'route', 1),
        required: true,
        about: 'a list of routes, as in routes: [{ path: /, url: "http://127.0.0.1:9100" }]',
      },
    },
    rules: fileRules,
  }
}

function withoutRequired(shape: MapShape | undefined): MapShape {
  const keys = Object.entries(shape?.keys ?? {}).map(([key, field]) => [key, { ...field, required: false }] as const)
  return { kind: 'map', keys: Object.fromEntries(keys) }
}

function isBaseUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false
  return (
    url.search === '' && url.hash === '' && url.username === '' && url.password === '' && typeof normalisePath(url.pathname) === 'string'
  )
}

function isRoutePath(value: string): boolean {
  if (!value.startsWith('/')) return false
  const parts = value.slice(1).split('/')
  const plain = parts.map((part) => (/^\{[A-Za-z_]\w*\}$/.test(part) ? 'x' : part)).join('/')
  return !/[{}]/.test(plain) && normalisePath(`/${plain}`) === `/${plain}`
}

function isAddress(value: string): boolean {
  const match = /^(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(value)
  return match !== null && Number(match[1]) <= 65_535
}
