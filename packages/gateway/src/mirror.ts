import type { World } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import { metrics } from '@opentelemetry/api'
import type { CallLimits } from './attempt.ts'
import type { MirrorConfig, RouteConfig } from './config.ts'
import type { GatewayRequest, Handler } from './exchange.ts'
import { callWriter, type DestinationOf, targetOf } from './proxy.ts'
import { heldBody, noBody, replayBytes } from './request-body.ts'
import { dropAnswer } from './upstream-client.ts'

/** Marks a copy, so that a service need not act on it. */
const MARK = ['x-mirrored', 'true'] as const

export interface MirrorOptions {
  readonly route: RouteConfig
  readonly mirror: MirrorConfig
  readonly limits: CallLimits
  readonly destinationOf: DestinationOf
  readonly world: World
}

/**
 * Sends a copy of requests to a second place, whose answers are dropped. It never makes a client wait nor fail: copies beyond
 * `max_in_flight` are left out, as are requests whose body is not at hand as a whole.
 */
export function mirrored(next: Handler, { route, mirror, limits, destinationOf, world }: MirrorOptions): Handler {
  const { percent = 100, methods = ['GET', 'HEAD'], max_body_bytes: maxBodyBytes = replayBytes, max_in_flight: mostInFlight = 32 } = mirror
  const destination = destinationOf(targetOf(mirror), route.protocol)
  const toCall = callWriter(route, { ...limits, retries: 0 })
  const copies = metrics.getMeter('@banyan/gateway').createCounter('banyan.gateway.mirrored', {
    description: 'Copies of requests, by what became of them: sent, failed, left out',
  })
  let inFlight = 0
  const count = (result: 'sent' | 'failed' | 'left out') => copies.add(1, { 'banyan.upstream': destination.name, result })

  async function copy(request: GatewayRequest): Promise<void> {
    inFlight += 1
    try {
      // Its own end: the client may leave before.
      const over = new Cancellation(world)
      dropAnswer(await destination.call(toCall({ ...request, onEarlyHints: undefined }, destination), false, over))
      count('sent')
    } catch {
      // The destination has logged it; nobody waits for it.
      count('failed')
    } finally {
      inFlight -= 1
    }
  }

  return async (request) => {
    if (request.isUpgrade || !methods.includes(request.method) || world.random() * 100 >= percent) return next(request)
    const { length } = request.body
    if (length === undefined || length > maxBodyBytes || inFlight >= mostInFlight) {
      count('left out')
      return next(request)
    }
    // The service would wait for all of a short body too.
    const body = length === 0 ? noBody : heldBody(await request.body.open())
    void copy({ ...request, body, headers: [...request.headers, ...MARK] })
    return next({ ...request, body })
  }
}
