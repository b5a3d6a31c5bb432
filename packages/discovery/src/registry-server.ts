import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { codeOf, type Logger, messageOf, silentLogger, systemWorld, type World } from '@banyan/core'
import { checkRunner } from './check-runner.ts'
import { assertRange, DiscoveryError } from './errors.ts'
import { loadRegistry, registryFile } from './registry-file.ts'
import { registryHandler } from './registry-handler.ts'
import { registryRoutes } from './registry-routes.ts'
import { emptyRegistry } from './registry-state.ts'
import { registryStore } from './registry-store.ts'

/** Where the registry listens and what it keeps. */
export interface RegistryServerOptions {
  /** The address to listen at. Default 127.0.0.1. */
  host?: string
  /** 0 to 65535; 0 takes a free one. Default 8500, Consul's. */
  port?: number
  /** Where the state is kept across restarts. Left out: nowhere, services register again within a third of their TTL. */
  stateFile?: string
  /** When given, every request but `GET /health/live` must carry it as `X-Consul-Token` or as a bearer token. */
  token?: string
  world?: World
  log?: Logger
}

/** The embedded registry. */
export interface RegistryServer {
  /**
   * Resolves when it listens.
   *
   * @throws {DiscoveryError} `ERR_PORT_TAKEN`, `ERR_CANNOT_LISTEN`, `ERR_STATE_FILE`
   */
  start(): Promise<{ url: string; port: number }>
  /** Breaks off waiting queries, writes the state, frees the port. Safe to call twice. */
  stop(): Promise<void>
}

/**
 * Creates a registry that speaks the part of Consul's HTTP API that services and their clients use: registering, TTL, HTTP and
 * TCP checks, maintenance, and health queries that block until something changes.
 *
 * @throws {RangeError} for a port out of range
 * @see https://developer.hashicorp.com/consul/api-docs
 */
export function registryServer(options: RegistryServerOptions = {}): RegistryServer {
  const { host = '127.0.0.1', port = 8500, world = systemWorld, log = silentLogger } = options
  assertRange('create registry', 'port', port, 0, 65_535)
  let running: Promise<Running> | undefined
  return {
    async start() {
      running ??= run({ ...options, host, port, world, log })
      const { url, port: bound } = await running
      return { url, port: bound }
    },
    async stop() {
      const stopping = running
      running = undefined
      // A start that failed has said so to its caller and left nothing to stop.
      const started = await stopping?.catch(() => undefined)
      await started?.stop()
    },
  }
}

interface Running {
  readonly url: string
  readonly port: number
  stop(): Promise<void>
}

type Settings = RegistryServerOptions & { host: string; port: number; world: World; log: Logger }

async function run({ host, port, stateFile, token, world, log }: Settings): Promise<Running> {
  const state = stateFile === undefined ? emptyRegistry : await loadRegistry(stateFile, world, log)
  const file = stateFile === undefined ? undefined : registryFile(stateFile, world, log)
  const checks = checkRunner({ world, log, report: (checkId, finding) => store.apply({ type: 'report', checkId, ...finding }) })
  const store = registryStore({
    state,
    world,
    onChange(next) {
      file?.save(next)
      checks.sync(next)
    },
  })
  const address = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const handle = registryHandler({ routes: registryRoutes({ store, world, address: () => address }), token, log })
  const stopParts = async () => {
    store.stop()
    await checks.stop()
    await file?.close()
  }
  const server = createServer((request, response) => void handle(request, response))
  try {
    const bound = await listen(server, host, port)
    checks.sync(store.get())
    const url = `http://${address.includes(':') ? `[${address}]` : address}:${bound}`
    log.info({ url, services: state.entries.size }, `the registry listens at ${url}`)
    return {
      url,
      port: bound,
      async stop() {
        const closed = new Promise((resolve) => server.close(resolve))
        server.closeAllConnections()
        await closed
        await stopParts()
      },
    }
  } catch (error) {
    await stopParts()
    throw error
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(listenError(host, port, cause)))
    server.listen({ host, port }, () => {
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
