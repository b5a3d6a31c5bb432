import type { World } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import type { ServiceConfig } from './config.ts'
import { type Destination, type DestinationOptions, type DestinationState, destination, type Target } from './destination.ts'
import { GatewayError } from './errors.ts'
import type { Fetched, FetchOptions } from './plugins/plugin.ts'
import { readText } from './read-text.ts'
import { noBody } from './request-body.ts'
import { dropAnswer } from './upstream-client.ts'

/** All destinations of a gateway. They outlive reloads, and with them what their breakers and balancers know. */
export interface Destinations {
  /** The destination of a target, made when it is first asked for. */
  of(target: Target, service: ServiceConfig): Destination
  /** Lets go of the destinations that are not in `used`; requests under way are finished. */
  retain(used: ReadonlySet<Destination>): void
  /** Fetches a small document for a plugin. */
  fetch(url: string, options: FetchOptions): Promise<Fetched>
  states(): readonly DestinationState[]
  stop(): void
}

/** Creates the {@link Destinations} of a gateway. */
export function newDestinations(options: Omit<DestinationOptions, 'service'>): Destinations {
  const routed = new Map<string, Destination>()
  /** Those that plugins fetch from. Few, and asked for by name only, so they stay. */
  const fetched = new Map<string, Destination>()

  function find(map: Map<string, Destination>, target: Target, service: ServiceConfig): Destination {
    const key = JSON.stringify([target, service])
    let found = map.get(key)
    if (!found) {
      found = destination(target, { ...options, service })
      map.set(key, found)
    }
    return found
  }

  return {
    of: (target, service) => find(routed, target, service),
    retain(used) {
      for (const [key, each] of routed) {
        if (used.has(each)) continue
        each.stop()
        routed.delete(key)
      }
    },
    fetch(address, limits) {
      const url = new URL(address)
      const target = url.protocol === 'service:' ? { service: url.host } : { url: url.origin }
      return fetchText(find(fetched, target, {}), `${url.pathname || '/'}${url.search}`, limits, options.world)
    },
    states: () => [...routed.values()].map((each) => each.state()),
    stop() {
      for (const each of [...routed.values(), ...fetched.values()]) each.stop()
    },
  }
}

async function fetchText(from: Destination, path: string, { timeoutMs, maxBytes }: FetchOptions, world: World): Promise<Fetched> {
  const over = new Cancellation(world)
  const late = new GatewayError('ERR_UPSTREAM_TIMEOUT', `"${from.name}" took too long to answer`, { status: 504 })
  const timer = world.after(timeoutMs, () => over.abort(late))
  try {
    const limits = { timeoutMs, tryTimeoutMs: timeoutMs, idleTimeoutMs: timeoutMs, retries: 2 }
    const call = { method: 'GET', path, headers: ['accept', 'application/json'], body: noBody, limits }
    const answer = await from.call(call, true, over)
    over.listen({ onAbort: () => dropAnswer(answer, late) })
    return { status: answer.status, text: await readText(answer.body, maxBytes) }
  } finally {
    timer.cancel()
  }
}
