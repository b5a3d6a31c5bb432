import { readFile } from 'node:fs/promises'
import { type Health, type Logger, messageOf, type Registry, silentLogger, systemWorld, type World } from '@banyan/core'
import type { RateLimitStore } from '@banyan/resilience'
import type { GatewayStatus } from './admin-routes.ts'
import type { GatewayConfig } from './config.ts'
import { defineGateway, parseGatewayFile } from './config-file.ts'
import { type Control, control } from './control.ts'
import { type Destinations, newDestinations } from './destinations.ts'
import type { Environment } from './environment.ts'
import { GatewayError } from './errors.ts'
import { fileReader } from './file-reader.ts'
import { watchFile } from './file-watch.ts'
import { http1Client } from './http1/client.ts'
import { http2Client } from './http2/client.ts'
import { type Listener, listener } from './listener.ts'
import type { ListeningSocket, ListenPlace } from './listening-socket.ts'
import { type ManagedFile, managedFile } from './managed-file.ts'
import { pipeline } from './pipeline.ts'
import { plugins as builtIn, type PluginTable } from './plugins/table.ts'
import { compile, type Snapshot } from './snapshot.ts'
import { readTls, type TlsMaterial } from './tls-material.ts'

/** What a gateway is made of: a file or a configuration, and where services are found. */
export interface GatewayOptions {
  /** The gateway file. It is watched: a good change takes effect at once, a bad one is logged and changes nothing. */
  file?: string
  /** In place of a file. */
  config?: GatewayConfig
  registry: Registry
  /** In place of the host in `listen`. */
  host?: string
  /** In place of the port in `listen`; 0 for any free one. */
  port?: number
  /** Others may listen at the same port, as far as they say so too; the system spreads the connections. Linux. Default false. */
  reusePort?: boolean
  /** A socket that listens already, handed on by another process: in place of host, port and `listen`. */
  socket?: ListeningSocket | undefined
  /** In place of `admin`: a port, or `host:port`; `false` for none. */
  admin?: number | string | false
  /** Where good configurations are kept, when the file names an `admin_token`. Default: `<file>.history`. */
  historyFolder?: string
  /** In traces, metrics and logs. Default `gateway`. */
  name?: string
  /** What `${NAME}` in the file stands for. Default `process.env`. */
  env?: Environment
  /** Plugins besides the built-in ones, by the names that the file uses. */
  plugins?: PluginTable
  /**
   * Opens the place where gateways count limits together, at the address that the file names in `redis`: `redisRateLimits` of
   * `@banyan/redis`. Left out: a file with `shared: true` is refused.
   */
  rateLimits?: (url: string) => SharedRateLimits
  /** Metrics as Prometheus text, for `/metrics` of the admin port. */
  metrics?: () => Promise<string>
  /** Default: the system's. */
  world?: World
  /** Default: silent. */
  log?: Logger
}

/** A place where several gateways count together. */
export interface SharedRateLimits extends RateLimitStore {
  close(): Promise<void>
}

/** A running or stopped gateway. */
export interface Gateway {
  readonly name: string
  /**
   * Reads the configuration and listens.
   *
   * @throws {GatewayConfigError} `ERR_CONFIG_INVALID`
   * @throws {GatewayError} `ERR_FILE_UNREADABLE`, `ERR_PORT_TAKEN`, `ERR_ALREADY_STARTED`
   */
  start(): Promise<Listening>
  /** Takes no new connections, finishes what is in flight (up to `drain_ms`), and frees everything. */
  stop(): Promise<void>
  /**
   * Takes over the file as it is now, or `config`: requests under way end by the old one, the next begin by the new one.
   * `listen`, `admin` and the limits of connections stay until the next start.
   *
   * @throws {GatewayConfigError} `ERR_CONFIG_INVALID`; then the old configuration goes on
   * @throws {GatewayError} `ERR_FILE_UNREADABLE`; the same. `ERR_NOT_STARTED`
   */
  reload(config?: GatewayConfig): Promise<void>
  health(): Promise<Health>
  /** How it is doing, as the admin port says it. */
  status(): GatewayStatus
}

/** Where a gateway listens. */
export interface Listening {
  readonly url: string
  readonly port: number
  readonly adminUrl?: string
  /** To be handed to a process that goes on in this one's place. */
  readonly socket: ListeningSocket | undefined
}

/**
 * Creates a gateway.
 *
 * @throws {TypeError} for options with neither or both of `file` and `config`
 */
export function gateway(options: GatewayOptions): Gateway {
  const { file, config, name = 'gateway', world = systemWorld, log = silentLogger } = options
  if ((file === undefined) === (config === undefined)) throw new TypeError('cannot create gateway: wanted "file" or "config", one of them')
  let running: Running | undefined
  let starting = false
  /** Reloads go one after the other, so that the last one asked for wins. */
  let reloading: Promise<void> = Promise.resolve()
  const status = () => statusOf(running)

  async function reloadNow(next?: GatewayConfig): Promise<void> {
    if (!running) throw new GatewayError('ERR_NOT_STARTED', `cannot reload "${name}": it is not running`)
    const text = next || file === undefined ? undefined : await readText(file)
    const fresh = next ? define(next, options) : text === undefined ? running.snapshot().config : parse(text, options)
    const tls = fresh.tls && (await readTls(fresh.tls, file))
    running?.take(fresh, text, tls)
  }

  function reload(next?: GatewayConfig): Promise<void> {
    const done = reloading.then(() => reloadNow(next))
    reloading = done.catch(() => undefined)
    return done
  }

  return {
    name,
    async start() {
      if (running || starting) throw new GatewayError('ERR_ALREADY_STARTED', `cannot start "${name}": it runs already`)
      starting = true
      try {
        const text = file === undefined ? undefined : await readText(file)
        const first = text === undefined ? define(config, options) : parse(text, options)
        const tls = first.tls && (await readTls(first.tls, file))
        const begun = begin(first, text, tls, { ...options, name, world, log }, { status, reload })
        running = begun
        return await begun.listen().catch(async (error) => {
          running = undefined
          await begun.end()
          throw error
        })
      } finally {
        starting = false
      }
    },
    async stop() {
      await running?.end()
      running = undefined
    },
    reload,
    async health() {
      const { isReady, detail } = status()
      return { healthy: isReady, detail }
    },
    status,
  }
}

type Settled = GatewayOptions & { readonly name: string; readonly world: World; readonly log: Logger }

/** A gateway between start and stop. */
interface Running {
  readonly snapshot: () => Snapshot
  readonly destinations: Destinations
  readonly listener: Listener
  listen(): Promise<Listening>
  /** Swaps the configuration. */
  take(config: GatewayConfig, text: string | undefined, tls: TlsMaterial | undefined): void
  end(): Promise<void>
}

/** What the admin port asks of the gateway. */
interface Managing {
  readonly status: () => GatewayStatus
  readonly reload: () => Promise<void>
}

function begin(
  first: GatewayConfig,
  firstText: string | undefined,
  firstTls: TlsMaterial | undefined,
  options: Settled,
  managing: Managing,
): Running {
  const { registry, name, world, log, file } = options
  const clients = { http1: http1Client({ world }), http2: http2Client({ world }) }
  const destinations = newDestinations({ registry, clients, gateway: name, world, log })
  const plugins: PluginTable = { ...builtIn, ...options.plugins }
  const limits = openedLimits(options.rateLimits)
  const textOf = fileReader(file)
  const build = (config: GatewayConfig, before?: Snapshot) =>
    compile(
      config,
      { plugins, destinationOf: destinations.of, fetch: destinations.fetch, textOf, rateLimitsAt: limits?.at, world, log },
      before,
    )
  // The one pointer: each request reads it once.
  let current = build(first)
  let text = firstText
  const via = `${name}-${world.uuid().slice(-12)}`
  const handle = pipeline({ current: () => current, name, via, world, log })
  const place = placeOf(options, first)
  const front = listener({ place, tls: firstTls, config: first, handle, world, log })
  let managed: ManagedFile | undefined
  const admin = adminOf(options, first, managing, { managed: () => managed, token: () => current.config.admin_token })
  let watching: { stop(): void } | undefined
  let hasEnded = false

  function take(config: GatewayConfig, nextText: string | undefined, tls: TlsMaterial | undefined): void {
    // What it would open now, nobody would close.
    if (hasEnded) return
    const before = current
    current = build(config, before)
    text = nextText
    if (tls && firstTls) front.setTls(tls)
    destinations.retain(current.destinations)
    limits?.retain(current.config.redis)
    const running = { config: first, tls: firstTls, place }
    for (const change of startOnlyChanges(running, { config, tls, place: placeOf(options, config) }))
      log.warn({}, `${change}; that takes effect at the next start`)
    log.info({ routes: config.routes.length }, 'the gateway has a new configuration')
  }

  async function onFileChange(path: string): Promise<void> {
    if ((await readText(path)) !== text && !hasEnded) await managing.reload()
  }

  return {
    snapshot: () => current,
    destinations,
    listener: front,
    take,
    async listen() {
      const { port, socket } = await front.start()
      // Without a token nobody could ask for what it knows.
      if (admin && file !== undefined && first.admin_token !== undefined)
        managed = await managedFile({ ...options, file, inForce: text, apply: managing.reload })
      const adminPort = await admin?.control.start()
      // What is managed is watched already.
      if (file !== undefined && !managed) watching = watchFile(file, () => onFileChange(file), { world, log })
      const url = urlOf(place.host, port, firstTls ? 'https' : 'http')
      return { url, port, socket, ...(admin && adminPort && { adminUrl: urlOf(admin.host ?? '127.0.0.1', adminPort.port) }) }
    },
    async end() {
      hasEnded = true
      watching?.stop()
      managed?.stop()
      const { drain_ms: drainMs = 10_000, linger_ms: lingerMs = 500 } = current.config
      await front.stop({ drainMs, lingerMs: Math.min(lingerMs, drainMs) })
      await admin?.control.stop()
      destinations.stop()
      limits?.retain(undefined)
      await Promise.all([clients.http1.close(), clients.http2.close()])
    },
  }
}

interface Begun {
  readonly config: GatewayConfig
  readonly tls: TlsMaterial | undefined
  readonly place: ListenPlace
}

/** What a new configuration changes in vain, as long as this gateway runs. */
function startOnlyChanges(running: Begun, next: Begun): string[] {
  const { place, tls } = running
  const keys = START_ONLY.filter((key) => running.config[key] !== next.config[key])
  const changes = [
    (place.port !== next.place.port || place.host !== next.place.host) && '"listen" changed',
    running.config.h2c !== next.config.h2c && '"h2c" changed',
    (tls === undefined) !== (next.tls === undefined) && 'whether TLS is spoken changed',
    tls && next.tls && tls.http2 !== next.tls.http2 && 'whether HTTP/2 is offered changed',
    tls && next.tls && tls.clients !== next.tls.clients && 'whether clients are asked for certificates changed',
  ]
  return [...changes.filter((change) => typeof change === 'string'), ...keys.map((key) => `"${key}" changed`)]
}

const START_ONLY = ['admin', 'max_header_bytes', 'headers_timeout_ms', 'request_timeout_ms', 'keep_alive_ms'] as const

/** The places where limits are counted together, by their addresses: a reload that does not change the address keeps its connection. */
function openedLimits(open: GatewayOptions['rateLimits']) {
  if (!open) return undefined
  const opened = new Map<string, SharedRateLimits>()
  return {
    at(url: string): SharedRateLimits {
      const found = opened.get(url) ?? open(url)
      opened.set(url, found)
      return found
    },
    /** Lets go of all but one; takes under way end as their limiters do when it is away. */
    retain(url: string | undefined): void {
      for (const [known, limits] of opened) {
        if (known === url) continue
        opened.delete(known)
        void limits.close()
      }
    },
  }
}

function statusOf(running: Running | undefined): GatewayStatus {
  if (!running) return { isReady: false, detail: 'not running', routes: 0, upstreams: [] }
  const { listener: front, snapshot, destinations } = running
  const routes = snapshot().config.routes.length
  const detail = front.isDraining ? 'stopping' : `${routes} routes`
  return { isReady: !front.isDraining, detail, routes, upstreams: destinations.states() }
}

function adminOf(
  options: Settled,
  config: GatewayConfig,
  { status }: Managing,
  { managed, token }: { readonly managed: () => ManagedFile | undefined; readonly token: () => string | undefined },
): { control: Control; host: string | undefined } | undefined {
  const wanted = options.admin ?? config.admin
  if (wanted === undefined || wanted === false) return undefined
  const { host, port } = addressOf(wanted)
  const subject = { status, metrics: options.metrics, managed }
  return { control: control({ host, port, token, subject, log: options.log }), host }
}

function placeOf({ host, port, reusePort = false, socket }: GatewayOptions, { listen = 8_080 }: GatewayConfig): ListenPlace {
  const asked = addressOf(listen)
  return { host: host ?? asked.host, port: port ?? asked.port, reusePort, socket }
}

function addressOf(address: number | string): { host: string | undefined; port: number } {
  if (typeof address === 'number') return { host: undefined, port: address }
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}

function urlOf(host: string | undefined, port: number, scheme: 'http' | 'https' = 'http'): string {
  const reachable = host === undefined || host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new GatewayError('ERR_FILE_UNREADABLE', `cannot read the gateway file "${file}": ${messageOf(cause)}`, { cause })
  }
}

function parse(text: string, { file = '', env, plugins }: GatewayOptions): GatewayConfig {
  return parseGatewayFile(text, file, { ...(env && { env }), ...(plugins && { plugins }) })
}

function define(config: GatewayConfig | undefined, { plugins }: GatewayOptions): GatewayConfig {
  return defineGateway(config ?? { routes: [] }, { ...(plugins && { plugins }) })
}
