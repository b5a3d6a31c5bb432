import { codeOf, type Instance, type Logger, messageOf, type Registry, type World } from '@banyan/core'
import { type Picked, type Upstream, upstream } from '@banyan/discovery'
import { isTimeout } from '@banyan/resilience'
import { ServiceError } from './errors.ts'
import { isNeverSent } from './never-sent.ts'
import { endOf, type Transport, type TransportRequest, type TransportResponse } from './transport.ts'

/**
 * Sends one request to one instance.
 *
 * @throws the signal's reason when it aborts; whatever went wrong, which `isNeverSent` understands
 */
export type Send = (request: TransportRequest, instance: Instance) => Promise<TransportResponse>

export interface BalancedTransportOptions {
  readonly registry: Registry
  readonly waitMs: number
  readonly world: World
  readonly log: Logger
  readonly send: Send
  /** Lets go of what `send` holds. */
  readonly close: () => Promise<void>
}

/** How many instances one attempt tries to reach. */
const MAX_CONNECTS = 3

/**
 * Creates a transport that finds instances by the registry and balances over them: one upstream a service, made at its first
 * call. Where nothing could be sent, the next instance is tried at once.
 */
export function balancedTransport({ registry, waitMs, world, log, send, close }: BalancedTransportOptions): Transport {
  const upstreams = new Map<string, Upstream>()
  let closed: Promise<void> | undefined

  function upstreamOf(service: string): Upstream {
    const known = upstreams.get(service)
    if (known) return known
    const made = upstream({ registry, service, world, log })
    upstreams.set(service, made)
    return made
  }

  async function laterPick({ service, timeoutMs = waitMs }: TransportRequest, tried: ReadonlySet<string>): Promise<Picked> {
    const instances = upstreamOf(service)
    await instances.ready(Math.min(waitMs, timeoutMs))
    const picked = instances.pick(tried)
    if (picked) return picked
    throw new ServiceError('ERR_SERVICE_UNAVAILABLE', `no healthy instance of "${service}" is known; does it run and is it registered?`, {
      status: 503,
    })
  }

  // Promises are chained by hand from here on, one a call: this is most of what a call costs inside this process.
  function tryOne(request: TransportRequest, tried: Set<string>, connects: number): Promise<TransportResponse> {
    const { service } = request
    const end = endOf(request)
    if (end.aborted) return Promise.reject(end.reason)
    const picked = upstreamOf(service).pick(tried)
    if (picked) return callOne(request, tried, picked, connects)
    return laterPick(request, tried).then((later) => callOne(request, tried, later, connects))
  }

  /** One request to one instance, which the balancer learns from. */
  function callOne(request: TransportRequest, tried: Set<string>, picked: Picked, connects: number): Promise<TransportResponse> {
    const started = world.monotonic()
    tried.add(picked.instance.id)
    return send(request, picked.instance).then(
      (response) => {
        picked.done({ ok: response.status < 500, latencyMs: world.monotonic() - started })
        return response
      },
      (cause: unknown) => {
        const { service } = request
        const { aborted, reason } = endOf(request)
        // Too slow is the instance's fault; a caller that changed its mind is not.
        picked.done({ ok: aborted && !isTimeout(reason), latencyMs: world.monotonic() - started })
        if (aborted) throw reason
        // Nothing was sent, so it is no attempt yet: one dead instance among others must not open the service's breaker.
        const others = upstreamOf(service)
          .snapshot()
          .instances.some(({ id }) => !tried.has(id))
        if (connects < MAX_CONNECTS && others && isNeverSent(cause)) return tryOne(request, tried, connects + 1)
        throw unavailable(service, picked, cause)
      },
    )
  }

  return {
    call(request) {
      if (!closed) return tryOne(request, request.tried ?? new Set<string>(), 1)
      return Promise.reject(new ServiceError('ERR_SERVICE_UNAVAILABLE', `cannot call "${request.service}": the transport is closed`))
    },
    close() {
      for (const known of upstreams.values()) known.stop()
      closed ??= close()
      return closed
    },
  }
}

function unavailable(service: string, { instance: { host, port } }: Picked, cause: unknown): ServiceError {
  const why = codeOf(cause) ?? codeOf(cause instanceof Error ? cause.cause : undefined) ?? messageOf(cause)
  const detail = `no answer from "${service}"`
  return new ServiceError('ERR_SERVICE_UNAVAILABLE', `${detail} at ${host}:${port}: ${why}`, { status: 503, detail, cause })
}
