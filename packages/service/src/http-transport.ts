import { codeOf, type Logger, messageOf, type Registry, silentLogger, systemWorld, type World } from '@banyan/core'
import { type Picked, type Upstream, upstream } from '@banyan/discovery'
import { isTimeout, wasNeverSent } from '@banyan/resilience'
import { Agent, type Dispatcher } from 'undici'
import { ServiceError } from './errors.ts'
import type { Transport, TransportRequest, TransportResponse } from './transport.ts'

export interface HttpTransportOptions {
  /** Where services are found. */
  registry: Registry
  /** How long a connection may take to come about, milliseconds. Default 2,000. */
  connectTimeoutMs?: number
  /** Connections kept open to each instance. Default 20. */
  connections?: number
  /** How long a call waits for the first instance of a service to be known, milliseconds. Default 2,000. */
  waitMs?: number
  /** Larger answers are an error. Default 16 MiB. */
  maxResponseBytes?: number
  world?: World
  log?: Logger
}

/** How many instances one attempt tries to connect to. */
const MAX_CONNECTS = 3

/**
 * Creates a transport over HTTP/1.1 that finds instances by the registry and balances over them. One upstream a service, made
 * at its first call. Where no connection comes about, the next instance is tried at once.
 *
 * @throws {RangeError} for an option out of range
 */
export function httpTransport(options: HttpTransportOptions): Transport {
  const { registry, connectTimeoutMs = 2_000, connections = 20, waitMs = 2_000, maxResponseBytes = 16 * 1024 * 1024 } = options
  const { world = systemWorld, log = silentLogger } = options
  for (const [name, value] of Object.entries({ connectTimeoutMs, connections, waitMs, maxResponseBytes })) {
    if (!(value >= 1)) throw new RangeError(`cannot create HTTP transport: "${name}" is ${value}, wanted a number from 1`)
  }
  // Time is bounded by each call's own signal, so undici's timeouts are off.
  const agent = new Agent({
    connections,
    connect: { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: maxResponseBytes,
  })
  const upstreams = new Map<string, Upstream>()
  let closed: Promise<void> | undefined

  function upstreamOf(service: string): Upstream {
    const known = upstreams.get(service)
    if (known) return known
    const made = upstream({ registry, service, world, log })
    upstreams.set(service, made)
    return made
  }

  async function pick({ service, timeoutMs = waitMs }: TransportRequest, tried: ReadonlySet<string>): Promise<Picked> {
    const instances = upstreamOf(service)
    const first = instances.pick(tried)
    if (first) return first
    await instances.ready(Math.min(waitMs, timeoutMs))
    const later = instances.pick(tried)
    if (later) return later
    throw new ServiceError('ERR_SERVICE_UNAVAILABLE', `no healthy instance of "${service}" is known; does it run and is it registered?`, {
      status: 503,
    })
  }

  /** One request to one instance, which the balancer learns from. */
  async function callOne(request: TransportRequest, picked: Picked): Promise<TransportResponse> {
    const started = world.monotonic()
    const done = (ok: boolean) => picked.done({ ok, latencyMs: world.monotonic() - started })
    try {
      const response = await send(agent, picked, request)
      done(response.status < 500)
      return response
    } catch (cause) {
      // Too slow is the instance's fault; a caller that changed its mind is not.
      done(request.signal.aborted && !isTimeout(request.signal.reason))
      if (request.signal.aborted) throw request.signal.reason
      throw unavailable(request.service, picked, cause)
    }
  }

  return {
    async call(request) {
      if (closed) throw new ServiceError('ERR_SERVICE_UNAVAILABLE', `cannot call "${request.service}": the transport is closed`)
      const { service, signal, tried = new Set<string>() } = request
      for (let connects = 1; ; connects += 1) {
        signal.throwIfAborted()
        const picked = await pick(request, tried)
        tried.add(picked.instance.id)
        try {
          return await callOne(request, picked)
        } catch (error) {
          // Nothing was sent, so it is no attempt yet: one dead instance among others must not open the service's breaker.
          const others = upstreamOf(service)
            .snapshot()
            .instances.some(({ id }) => !tried.has(id))
          if (connects >= MAX_CONNECTS || !others || !wasNeverSent(error)) throw error
        }
      }
    },
    close() {
      closed ??= (async () => {
        for (const known of upstreams.values()) known.stop()
        await agent.destroy()
      })()
      return closed
    },
  }
}

async function send(agent: Dispatcher, { instance }: Picked, request: TransportRequest): Promise<TransportResponse> {
  const { method, path, headers, body, signal } = request
  const host = instance.host.includes(':') ? `[${instance.host}]` : instance.host
  const response = await agent.request({
    origin: `http://${host}:${instance.port}`,
    // The contract's methods are all among undici's.
    method: method as Dispatcher.HttpMethod,
    path,
    headers,
    body: body ?? null,
    signal,
  })
  return { status: response.statusCode, headers: joined(response.headers), body: await response.body.text() }
}

function joined(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const plain: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return plain
}

function unavailable(service: string, { instance: { host, port } }: Picked, cause: unknown): ServiceError {
  const why = codeOf(cause) ?? messageOf(cause)
  return new ServiceError('ERR_SERVICE_UNAVAILABLE', `no answer from "${service}" at ${host}:${port}: ${why}`, { status: 503, cause })
}
