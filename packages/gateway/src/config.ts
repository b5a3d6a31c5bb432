import type { JwtConfig } from './plugins/jwt.ts'
import type { PluginConfig } from './plugins/table.ts'
import type { UpstreamProtocol } from './upstream-client.ts'

/** What a gateway file says; the same in TypeScript. Times in milliseconds, sizes in bytes. */
export interface GatewayConfig {
  /** A port, or `host:port`. 0 takes any free port. Default 8080, on all addresses. */
  listen?: number | string
  /** Where health and metrics are served: a port on loopback, or `host:port`. Default: nowhere. */
  admin?: number | string
  /** Who sends this as a bearer token to the admin port may see and change the configuration. Default: nobody may. */
  admin_token?: string
  /** To speak TLS with clients. Default: plain HTTP. */
  tls?: TlsConfig
  /** Networks of proxies in front whose `X-Forwarded-*` are believed: `[10.0.0.0/8]`. Default: none. */
  trusted_proxies?: readonly string[]
  /** Serves clients that begin with HTTP/2 at once, without TLS (h2c with prior knowledge), on the same port: gRPC within a network. Default false. */
  h2c?: boolean
  /** The largest request body. Default 10 MiB. */
  max_body_bytes?: number
  /** The largest request head. Default 16 KiB. */
  max_header_bytes?: number
  /** A client must have sent the request's head within this. Default 10,000. */
  headers_timeout_ms?: number
  /** A client must have sent the whole request within this. Default 300,000. */
  request_timeout_ms?: number
  /** How long an unused connection of a client is kept. Default 60,000. */
  keep_alive_ms?: number
  /** How long `stop` waits for requests in flight. Default 10,000. */
  drain_ms?: number
  /** How much of that idle connections are served on, each asked to close with its next answer. Default 500. */
  linger_ms?: number
  /** A Redis where limits with `shared: true` are counted, together with all gateways that name it: `redis://127.0.0.1:6379`. */
  redis?: string
  /** When to stop calling a service that keeps failing. */
  breaker?: BreakerConfig
  /** How single services are called, by their names. */
  services?: Readonly<Record<string, ServiceConfig>>
  /** What the plugin `jwt` has where a route's own config does not say it. */
  jwt?: Partial<JwtConfig>
  /** Plugins of every route, before its own. */
  plugins?: readonly PluginConfig[]
  routes: readonly RouteConfig[]
}

/** Files are relative to the gateway file, and read again at each reload: certificates are rotated without a connection lost. */
export interface TlsConfig {
  /** The certificate and those between it and the root, PEM. */
  cert: string
  /** Its key, PEM. */
  key: string
  /** Those who may have signed the certificates of clients, PEM. */
  ca?: string
  /** Whether clients are asked for a certificate, and whether connections without a good one are refused. Default `none`. */
  client_certificate?: 'none' | 'optional' | 'required'
  /** Offers HTTP/2 to clients, on the same port. Default false. */
  http2?: boolean
  /** Default `TLSv1.2`. */
  min_version?: 'TLSv1.2' | 'TLSv1.3'
}

/** One route: which requests, what is done on the way, where to. */
export interface RouteConfig {
  /** In logs, metrics and traces. Default: its path. */
  name?: string
  /** A prefix in whole segments; `{name}` takes any one segment. */
  path: string
  /** The path must end there too. Default false; true for aggregates. */
  exact?: boolean
  /** Default: all. `GET` lets `HEAD` in too. */
  methods?: readonly string[]
  /** `shop.example` or `*.shop.example`. Default: all. */
  hosts?: readonly string[]
  /** Headers that the request must have: `x-version: "2"`, or `"*"` for any value. Default: none. */
  headers?: Readonly<Record<string, string>>
  /** Parameters that its query must have, the same. Default: none. */
  query?: Readonly<Record<string, string>>
  /** Where to: a service that discovery knows. */
  service?: string
  /** Where to: a fixed address, perhaps with a path that goes before the request's. */
  url?: string
  /** Where to: several services at once, put together into one answer. */
  aggregate?: Readonly<Record<string, PartConfig>>
  /** Where to: several places, each as often as its weight says. */
  split?: readonly SplitConfig[]
  /** The client is sent elsewhere; nothing is forwarded. */
  redirect?: RedirectConfig
  /** A second place that gets a copy of requests; its answers are dropped. */
  mirror?: MirrorConfig
  /** What is spoken there; gRPC needs `http2`. Default: what `services` says of the service, else `http1`. */
  protocol?: UpstreamProtocol
  /** Take `path` off before forwarding. Default false. */
  strip_path?: boolean
  /** Put this where `strip_path` took something off: `/orders`. May name parameters of `path`. Default: nothing. */
  upstream_path?: string
  /** The whole path that is forwarded, in place of the request's. May name parameters of `path`. Default: the request's. */
  replace_path?: string
  /** The `Host` that is handed on. Default: the upstream's. */
  upstream_host?: string
  /** Hand on the client's `Host` in place of the upstream's. Default false. */
  preserve_host?: boolean
  /** From the request's last byte to the answer's head, over all tries. Default 10,000. */
  timeout_ms?: number
  /** The same for one try. Default: as `timeout_ms`. */
  try_timeout_ms?: number
  /** The longest pause within an answer's body, and the longest that a client takes nothing of it. Default 60,000. */
  idle_timeout_ms?: number
  /** How often a failed try is repeated where that is safe, 0 to 5. Default 2. */
  retries?: number
  /**
   * A GET or HEAD that has no answer after so long is sent once more, to another instance, and the first answer wins; within the budget that
   * retries have. Default: never.
   */
  hedge_ms?: number
  /** The largest request body. Default: the file's. */
  max_body_bytes?: number
  plugins?: readonly PluginConfig[]
}

/** One of the places that a route's requests are split over. */
export interface SplitConfig {
  service?: string
  url?: string
  /** Its share is this by the sum of all. 0: nothing goes there. Default 1. */
  weight?: number
}

/** Where a client is sent. What is left out stays as the request has it; the query always does. */
export interface RedirectConfig {
  scheme?: 'http' | 'https'
  host?: string
  /** Default: as the client said; with a `scheme`, that scheme's own. */
  port?: number
  /** In place of the whole path. */
  path?: string
  /** In place of the route's path: `/old/x` becomes `/new/x`. */
  prefix?: string
  /** Default 302. */
  status?: 301 | 302 | 303 | 307 | 308
}

/** Where copies of requests go. */
export interface MirrorConfig {
  service?: string
  url?: string
  /** How many of a hundred requests are copied. Default 100. */
  percent?: number
  /** Which. Others than GET and HEAD are done twice where it has effects. Default GET and HEAD. */
  methods?: readonly string[]
  /** Requests with a longer body, or one of unknown length, are not copied; at most 65,536. Default 65,536. */
  max_body_bytes?: number
  /** No more copies than this at one time; the others are left out and counted. Default 32. */
  max_in_flight?: number
}

/** One part of an aggregate. */
export interface PartConfig {
  service?: string
  url?: string
  /** May name parameters of the route's path: `/orders/{orderId}`. */
  path: string
  /** Without this part there is no answer. Default false. */
  required?: boolean
  /** Default: the route's. */
  timeout_ms?: number
}

/** How a service is called. */
export interface ServiceConfig {
  /** What is spoken with it: `http2` is by ALPN over TLS, and with prior knowledge without. Default `http1`. */
  protocol?: UpstreamProtocol
  /**
   * How the next instance is chosen: `p2c` by latency times requests in flight, `least-requests` by those alone, `round-robin`, `weighted` as often as
   * its weight says. Default `p2c`.
   */
  balance?: 'p2c' | 'least-requests' | 'round-robin' | 'weighted'
  /** How long an instance that joins others takes to get its whole share. Default 0: at once. Not for `round-robin`. */
  slow_start_ms?: number
  /** When an instance that fails more than others is left alone for a while. */
  outliers?: OutlierConfig
  /** In place of the file's, key by key. */
  breaker?: BreakerConfig
  /** The gateway asks each instance by itself whether it is well. Default: it does not; a registry has checks of its own. */
  check?: CheckConfig
}

/** How the gateway asks an instance whether it is well. */
export interface CheckConfig {
  /** Asked by GET; any status from 200 to 399 is good. */
  path: string
  /** Default 5,000. */
  every_ms?: number
  /** Default 1,000. */
  timeout_ms?: number
  /** So many bad answers in a row until it is left out. Default 3. */
  failures?: number
  /** So many good ones until it is back. Default 2. */
  successes?: number
}

/** When an instance is left alone. */
export interface OutlierConfig {
  /** Failures in a row. Default 3. */
  failures?: number
  /** For how long the first time; doubles each time it comes back and fails. Default 1,000. */
  base_ms?: number
  /** The longest. Default 30,000. */
  max_ms?: number
  /** The largest share of the instances that may be left alone at one time; of two or more, one always may. 0 turns it off. Default 0.1. */
  max_share?: number
}

/** When a service counts as down. Judged over the tries of the last `window_ms`. */
export interface BreakerConfig {
  /** Default 10,000. */
  window_ms?: number
  /** Fewer tries than this decide nothing. Default 20. */
  minimum_calls?: number
  /** The share of failed tries that opens it, above 0 to 1. Default 0.5. */
  failure_rate?: number
  /** How long it stays open before it probes. Default 5,000. */
  cool_down_ms?: number
}
