import { hostname } from 'node:os'
import {
  type Bus,
  type Component,
  type Database,
  type Logger,
  type Migration,
  type Registry,
  shown,
  silentLogger,
  systemWorld,
  type World,
} from '@banyan/core'
import { type Endpoint, endpoint } from './endpoint.ts'
import { ServiceError } from './errors.ts'
import { type HealthReport, healthChecks } from './health.ts'
import { type HttpServer, httpServer } from './http-server.ts'
import type { InProcessTransport } from './in-process.ts'
import { after, type LifecycleEvent, type Phase } from './lifecycle.ts'
import { ownRoutes } from './own-routes.ts'
import type { ServiceContext } from './service-context.ts'
import { type Started, shutDown } from './shut-down.ts'

export interface ServiceOptions {
  /** The service's own. Closed by whoever made it, after `stop`. */
  database?: Database
  /** The service's tables, brought up to date before anything starts. */
  migrations?: readonly Migration[]
  /** Closed by whoever made it, after `stop`. */
  bus?: Bus
  /** Where the service makes itself known once it is ready. Default: nowhere. */
  registry?: Registry
  /** Makes the contracts reachable inside this process, without sockets. */
  transport?: InProcessTransport
  world?: World
  log?: Logger
  /** The address to listen on. Default `127.0.0.1`; `0.0.0.0` to be reached from other machines. */
  host?: string
  /** Default 0: any free one, which the registry tells the others. */
  port?: number
  /** The address others are told. Default: `host`, or the machine's name when `host` is every address. */
  advertise?: string
  /** What `/metrics` answers, in Prometheus' text format. Default: there is no `/metrics`. */
  metrics?: () => Promise<string>
  /** How long to go on answering after leaving the registry, so that those who watch it have heard; milliseconds. Default 250. */
  drainMs?: number
  /** How long requests in flight, and then each component, may take to finish at a stop, milliseconds. Default 10,000. */
  finishMs?: number
  /** How long one component's health check may take, milliseconds. Default 1,000. */
  checkTimeoutMs?: number
  /** Larger request bodies are refused with 413. Default 1 MiB. */
  maxBodyBytes?: number
  /** Told to the registry. */
  tags?: readonly string[]
  meta?: Readonly<Record<string, string>>
}

/** Where a started service is. */
export interface RunningService {
  readonly url: string
  readonly port: number
  /** New at each start. */
  readonly instanceId: string
}

export interface Service {
  readonly name: string
  readonly phase: Phase
  /**
   * Adds a component. Components start in the order they were added and stop in reverse.
   *
   * @throws {TypeError} for a name that is taken, or when the service was started already
   */
  use(component: Component<ServiceContext>): void
  /**
   * Migrates, starts the components, listens, registers. When any of it fails, what was started is stopped again.
   *
   * @throws {ServiceError} `ERR_PORT_TAKEN`, `ERR_LISTEN_FAILED`, `ERR_SERVICE_STATE` when started twice or stopped meanwhile;
   *   and whatever a component's start throws
   */
  start(): Promise<RunningService>
  /**
   * Drains: reports unready, leaves the registry, waits for watchers, finishes what is in flight, stops the components. Bounded
   * in time, but for a component whose start hangs. Never rejects, safe to call at any moment and more than once.
   */
  stop(): Promise<void>
  /** What `/health/ready` says. */
  health(): Promise<HealthReport>
}

interface Shell {
  readonly name: string
  readonly settings: Settings
  readonly components: readonly Component<ServiceContext>[]
  readonly endpoint: Endpoint
  readonly http: HttpServer
  readonly started: Started
  readonly health: () => Promise<HealthReport>
}

type Settings = ReturnType<typeof settingsOf>

/**
 * Creates a service: an ordered list of components with a life in common, their health, and an HTTP server for its contracts,
 * `/health/live`, `/health/ready` and `/metrics`.
 *
 * @throws {TypeError} for an empty name
 * @throws {RangeError} for an option out of range
 */
export function service(name: string, options: ServiceOptions = {}): Service {
  const settings = settingsOf(name, options)
  const { world, log } = settings
  const components: Component<ServiceContext>[] = []
  const checks = healthChecks({ world, timeoutMs: settings.checkTimeoutMs })
  const served = endpoint({ service: name, world, log, maxBodyBytes: settings.maxBodyBytes })
  const http = httpServer({ service: name, handle: served.over('http'), ...settings })
  const shell: Shell = { name, settings, components, endpoint: served, http, started: { components: [], closers: [] }, health }
  let phase: Phase = 'created'
  let starting: Promise<RunningService> | undefined
  let stopping: Promise<void> | undefined

  function step(event: LifecycleEvent): void {
    const next = after(phase, event)
    if (!next) throw new ServiceError('ERR_SERVICE_STATE', `cannot ${event} service "${name}": it is ${phase}`)
    phase = next
  }

  async function run(): Promise<RunningService> {
    try {
      const running = await startAll(shell, () => phase === 'aborting')
      step('started')
      log.info({ ...running }, `service "${name}" is ready at ${running.url}`)
      return running
    } catch (error) {
      step('start-failed')
      await shutDown({ ...shell, drainMs: settings.drainMs })
      step('ended')
      throw error
    }
  }

  async function drain(): Promise<void> {
    // A start that was overtaken by this stop says so to its own caller, and has undone itself.
    await starting?.catch(() => {})
    if (phase !== 'draining') return
    await shutDown({ ...shell, drainMs: settings.drainMs })
    step('ended')
    log.info({}, `service "${name}" has stopped`)
  }

  async function health(): Promise<HealthReport> {
    if (phase === 'ready') return checks.report()
    return { status: 'not_ready', checks: { service: { healthy: false, detail: phase } } }
  }

  const { database } = settings
  if (database) checks.add('database', () => database.read((tx) => tx.sql`select 1`).then(() => ({ healthy: true })))
  ownRoutes(http.app, health, settings.metrics)
  return {
    name,
    get phase() {
      return phase
    },
    use(component) {
      if (phase !== 'created') throw new TypeError(`cannot add "${component.name}" to service "${name}": it is ${phase}`)
      if (['service', 'database', ...components.map((each) => each.name)].includes(component.name)) {
        throw new TypeError(`cannot add "${component.name}" to service "${name}": it has a component of that name`)
      }
      components.push(component)
      checks.add(component.name, async () => (await component.health?.()) ?? { healthy: true })
    },
    async start() {
      step('start')
      starting = run()
      return starting
    },
    async stop() {
      step('stop')
      stopping ??= drain()
      return stopping
    },
    health,
  }
}

async function startAll(shell: Shell, isAborted: () => boolean): Promise<RunningService> {
  const { name, settings, components, endpoint: served, http, started, health } = shell
  const { world, log, database, bus, host, registry, transport, migrations } = settings
  const goOn = () => {
    if (isAborted()) throw new ServiceError('ERR_SERVICE_STATE', `service "${name}" was stopped while it was starting`)
  }
  const instanceId = `${name}-${world.uuid()}`
  const meta: Record<string, string> = { ...settings.known.meta }
  const context: ServiceContext = {
    ...{ service: name, instanceId, world, log, database, bus, host, health },
    ...{ http: http.app, endpoint: served, answer: http.answer },
    announce: (more) => void Object.assign(meta, more),
    onDrain: (close) => void started.closers.push(close),
  }
  if (database && migrations.length > 0) await database.migrate(migrations)
  for (const component of components) {
    goOn()
    started.components.push(component)
    await component.start(context)
  }
  goOn()
  const { port } = await http.listen()
  started.detach = transport?.attach(name, served.handle)
  const address = settings.advertise ?? (isEveryAddress(host) ? hostname() : host)
  goOn()
  const known = { ...settings.known, ...(Object.keys(meta).length > 0 && { meta }) }
  if (registry) started.registration = await registry.register({ id: instanceId, service: name, host: address, port, ...known })
  goOn()
  return { url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`, port, instanceId }
}

function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function settingsOf(name: string, options: ServiceOptions) {
  const { database, bus, registry, transport, advertise, metrics, tags, meta } = options
  const { world = systemWorld, log = silentLogger, migrations = [], host = '127.0.0.1', port = 0 } = options
  const { drainMs = 250, finishMs = 10_000, checkTimeoutMs = 1_000, maxBodyBytes = 1024 * 1024 } = options
  if (name === '') throw new TypeError('cannot create service: its name is empty')
  const fail = (option: string, value: number, wanted: string) =>
    new RangeError(`cannot create service "${name}": "${option}" is ${shown(value)}, wanted ${wanted}`)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw fail('port', port, 'a whole number from 0 to 65535')
  for (const [option, value] of Object.entries({ drainMs, finishMs, checkTimeoutMs, maxBodyBytes })) {
    if (!(value >= 0 && Number.isFinite(value))) throw fail(option, value, 'a number from 0')
  }
  const known = { ...(tags && { tags }), ...(meta && { meta }) }
  return {
    ...{ database, bus, registry, transport, advertise, metrics, known },
    ...{ world, log, migrations, host, port, drainMs, finishMs, checkTimeoutMs, maxBodyBytes },
  }
}
