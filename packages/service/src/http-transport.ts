import { type Instance, type Logger, type Registry, shown, silentLogger, systemWorld, type World } from '@banyan/core'
import { Agent, type Dispatcher } from 'undici'
import { balancedTransport } from './balanced-transport.ts'
import { sendHttp } from './http-send.ts'
import type { Transport } from './transport.ts'

export interface HttpTransportOptions {
  /** Where services are found. */
  registry: Registry
  /** How long a connection may take to come about, milliseconds. Default 2,000. */
  connectTimeoutMs?: number
  /**
   * Connections to each instance at most; calls beyond them wait for one, within their own time. Default 20. More only where
   * calls are slow and many.
   */
  connections?: number
  /**
   * How long a connection that nobody uses is kept, milliseconds. Default 4,000. What the other side announces (`Keep-Alive`)
   * goes before, less a second, so that it is not closed under a request.
   */
  keepAliveMs?: number
  /** How long a call waits for the first instance of a service to be known, milliseconds. Default 2,000. */
  waitMs?: number
  /** Larger answers are an error, bytes. Default 16 MiB. */
  maxResponseBytes?: number
  world?: World
  log?: Logger
}

/**
 * Creates a transport over HTTP/1.1 that finds instances by the registry and balances over them. One upstream a service, made
 * at its first call. Where nothing could be sent, as no connection came about, the next instance is tried at once.
 *
 * @throws {RangeError} for an option out of range
 */
export function httpTransport(options: HttpTransportOptions): Transport {
  const settings = httpSettings('create HTTP transport', options)
  const agent = httpAgent(settings)
  return balancedTransport({
    ...settings,
    send: (request, instance) => sendHttp(agent, originOf(instance), request),
    close: () => agent.destroy(),
  })
}

/** The options with their defaults, checked. @throws {RangeError} */
export function httpSettings(action: string, options: HttpTransportOptions): Required<HttpTransportOptions> {
  const { registry, connectTimeoutMs = 2_000, connections = 20, keepAliveMs = 4_000, waitMs = 2_000 } = options
  const { maxResponseBytes = 16 * 1024 * 1024, world = systemWorld, log = silentLogger } = options
  const numbers = { connectTimeoutMs, connections, keepAliveMs, waitMs, maxResponseBytes }
  for (const [name, value] of Object.entries(numbers)) {
    if (!(value >= 1 && Number.isFinite(value)))
      throw new RangeError(`cannot ${action}: "${name}" is ${shown(value)}, wanted a number from 1`)
  }
  return { registry, ...numbers, world, log }
}

/** The connections of a transport. Time is bounded by each call's own signal, so undici's timeouts are off. */
export function httpAgent(settings: Required<HttpTransportOptions>): Dispatcher {
  const { connections, connectTimeoutMs, keepAliveMs, maxResponseBytes } = settings
  return new Agent({
    connections,
    connect: { timeout: connectTimeoutMs },
    keepAliveTimeout: keepAliveMs,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: maxResponseBytes,
  })
}

const origins = new WeakMap<Instance, string>()

/** Where an instance answers HTTP. */
export function originOf(instance: Instance): string {
  const known = origins.get(instance)
  if (known !== undefined) return known
  const { host, port } = instance
  const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  origins.set(instance, origin)
  return origin
}
