import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { codeOf, type Logger, messageOf, silentLogger, systemWorld, type Timer, type World } from '@banyan/core'
import { checkRunner } from './check-runner.ts'
import { assertRange, DiscoveryError } from './errors.ts'
import { type AccessRules, accessOf, readAccessRules } from './registry-access.ts'
import { freshRegistry, loadRegistry, registryFile } from './registry-file.ts'
import { registryHandler } from './registry-handler.ts'
import { registryRoutes } from './registry-routes.ts'
import { registryStore } from './registry-store.ts'

/** Where the registry listens and what it keeps. */
export interface RegistryServerOptions {
  /** The address to listen at. Default 127.0.0.1; one that other machines reach needs `token` or `tokenFile`. */
  host?: string
  /** 0 to 65535; 0 takes a free one. Default 8500, Consul's. */
  port?: number
  /** Where the state is kept across restarts. Left out: nowhere, services register again within a third of their TTL. */
  stateFile?: string
  /**
   * When given, every request but `GET /health/live` must carry a token: as `X-Consul-Token`, as a bearer token, or as `?token=`. This
   * one may do everything.
   */
  token?: string
  /** JSON with more tokens, each with what it may do; read at the start. See {@link AccessRules}. */
  tokenFile?: string
  /** The longest a blocking query may wait, milliseconds, 1,000 to 3,600,000. Default 600,000, Consul's. */
  longestWaitMs?: number
  /** The largest body taken, bytes, 1,024 to 67,108,864. Default 524,288; a registration is well below a thousandth of it. */
  maxBodyBytes?: number
  world?: World
  log?: Logger
}

/** The embedded registry. */
export interface RegistryServer {
  /**
   * Resolves when it listens.
   *
   * @throws {DiscoveryError} `ERR_PORT_TAKEN`, `ERR_CANNOT_LISTEN`, `ERR_STATE_FILE`, `ERR_TOKEN_FILE`, `ERR_TOKEN_NEEDED`
   */
  start(): Promise<{ url: string; port: number }>
  /** Breaks off waiting queries, writes the state, frees the port. Safe to call twice: both resolve when it has stopped. */
  stop(): Promise<void>
}

/**
 * Creates a registry that speaks the part of Consul's HTTP API that services and their clients use: registering, TTL, HTTP and
 * TCP checks, maintenance, and health queries that block until something changes.
 *
 * @throws {RangeError} for an option out of range
 * @throws {TypeError} for a token that is empty
 * @see https://developer.hashicorp.com/consul/api-docs
 */
export function registryServer(options: RegistryServerOptions = {}): RegistryServer {
  const {
    host = '127.0.0.1',
    port = 8500,
    longestWaitMs = 600_000,
    maxBodyBytes = 524_288,
    world = systemWorld,
    log = silentLogger,
  } = options
  assertRange('create registry', 'port', port, 0, 65_535)
  assertRange('create registry', 'longestWaitMs', longestWaitMs, 1_000, 3_600_000)
  assertRange('create registry', 'maxBodyBytes', maxBodyBytes, 1_024, 67_108_864)
  if (options.token === '') throw new TypeError('cannot create registry: "token" is empty, wanted a secret, or none at all')
  let running: Promise<Running> | undefined
  let stopped: Promise<void> = Promise.resolve()
  return {
    async start() {
      running ??= stopped.then(() => run({ ...options, host, port, longestWaitMs, maxBodyBytes, world, log }))
      const { url, port: bound } = await running
      return { url, port: bound }
    },
    stop() {
      if (running) stopped = end(running)
      running = undefined
      return stopped
    },
  }
}

/** A start that failed has said so to its caller and left nothing to stop. */
async function end(running: Promise<Running>): Promise<void> {
  const started = await running.catch(() => undefined)
  await started?.stop()
}

interface Running {
  readonly url: string
  readonly port: number
  stop(): Promise<void>
}

type Settings = RegistryServerOptions &
  Required<Pick<RegistryServerOptions, 'host' | 'port' | 'longestWaitMs' | 'maxBodyBytes' | 'world' | 'log'>>

/** A request must be here in whole within this time, milliseconds; blocking queries wait after it. */
const requestTimeoutMs = 30_000

async function run(settings: Settings): Promise<Running> {
  const { host, port, world, log, maxBodyBytes } = settings
  const rules = await rulesOf(settings)
  if (!rules && !isLoopback(host)) throw tokenNeeded(host)
  const address = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const registry = await livingRegistry(settings)
  const { store } = registry
  const routes = registryRoutes({ store, world, address: () => address, longestWaitMs: settings.longestWaitMs, saved: registry.saved })
  const handle = registryHandler({ routes, accessOf: accessOf(rules), maxBodyBytes, log })
  const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => void handle(request, response))
  try {
    const bound = await listen(server, host, port)
    // One connection that the system could not give, as for lack of memory: the next ones may come.
    server.on('error', (error) => log.warn({ error }, `a connection to the registry could not be accepted: ${error.message}`))
    registry.begin()
    const url = `http://${address.includes(':') ? `[${address}]` : address}:${bound}`
    log.info({ url, services: store.get().entries.size }, `the registry listens at ${url}`)
    return {
      url,
      port: bound,
      async stop() {
        const closed = new Promise((resolve) => server.close(resolve))
        server.closeAllConnections()
        await closed
        await registry.stop()
      },
    }
  } catch (error) {
    await registry.stop()
    throw error
  }
}

/** Checks are started and stopped so long after a change, milliseconds. */
const syncMs = 10

/** The state with all that keeps it living: its file, its checks, the passing of time. */
async function livingRegistry({ stateFile, world, log }: Settings) {
  const state = stateFile === undefined ? freshRegistry(world) : await loadRegistry(stateFile, world, log)
  const file = stateFile === undefined ? undefined : registryFile(stateFile, world, log)
  const checks = checkRunner({ world, log, report: (check, finding) => store.apply({ type: 'report', ...check, ...finding }) })
  let syncing: Timer | undefined
  const store = registryStore({
    state,
    world,
    onChange(next) {
      file?.save(next)
      // Many changes, one look: what starts and stops with it may do so a moment later.
      syncing ??= world.after(syncMs, () => {
        syncing = undefined
        checks.sync(store.get())
      })
    },
  })
  return {
    store,
    saved: () => file?.saved() ?? Promise.resolve(),
    /** To be called when it listens: where the port is taken, the file is that of the registry which has it. */
    begin() {
      // Its index is beyond the one in the file, and has to be after the next crash too.
      file?.save(store.get())
      checks.sync(store.get())
    },
    async stop() {
      store.stop()
      syncing?.cancel()
      await checks.stop()
      await file?.close()
    },
  }
}

async function rulesOf({ token, tokenFile }: Settings): Promise<AccessRules | undefined> {
  const own = token === undefined ? [] : [{ name: 'all', secret: token, services: { '': 'write' }, node: 'write' } as const]
  if (tokenFile === undefined) return own.length > 0 ? { tokens: own } : undefined
  try {
    const rules = readAccessRules(JSON.parse(await readFile(tokenFile, 'utf8')))
    return { ...rules, tokens: [...rules.tokens, ...own] }
  } catch (cause) {
    throw new DiscoveryError('ERR_TOKEN_FILE', `cannot use the token file "${tokenFile}": ${messageOf(cause)}`, { cause })
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function tokenNeeded(host: string): DiscoveryError {
  const advice = 'give a token or a token file, or listen at 127.0.0.1'
  return new DiscoveryError(
    'ERR_TOKEN_NEEDED',
    `cannot start the registry at "${host}" without tokens: other machines may reach it; ${advice}`,
  )
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => reject(listenError(host, port, cause))
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.off('error', onError)
      const address: AddressInfo | string | null = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
}

function listenError(host: string, port: number, cause: unknown): DiscoveryError {
  if (codeOf(cause) === 'EADDRINUSE') {
    const advice = 'stop what listens there, or choose another port (0 takes a free one)'
    return new DiscoveryError('ERR_PORT_TAKEN', `cannot start the registry: port ${port} of "${host}" is taken; ${advice}`, { cause })
  }
  return new DiscoveryError('ERR_CANNOT_LISTEN', `cannot start the registry at "${host}", port ${port}: ${messageOf(cause)}`, { cause })
}
