import { type Logger, type Registry, silentLogger, sleep, systemWorld, type World } from '@banyan/core'
import type { Listing } from './consul-instance.ts'
import { type DnsAnswer, lookUp } from './dns-lookup.ts'
import { type DnsResolver, nodeResolver } from './dns-resolver.ts'
import { assertRange } from './errors.ts'
import { type ClosableRegistry, clientSettings, registryClient } from './registry-client.ts'
import type { WatchOptions } from './watch.ts'
import type { MassExpiryOptions } from './watch-state.ts'

/** Where DNS has the instances of services, and how long its answers are believed. */
export interface DnsRegistryOptions {
  /**
   * The DNS name of a service. Default: the service's own name. In Kubernetes, of a headless service: ``(service) =>
   * `${service}.shop.svc.cluster.local` ``; of its named port, with SRV records: ``(service) => `_http._tcp.${service}.shop.svc.cluster.local` ``.
   */
  nameOf?: (service: string) => string
  /** The port of every instance, 1 to 65,535: A records are asked for, AAAA where there are none. Default: SRV records tell it. */
  port?: number
  /** Answers are believed at least so long, milliseconds, 10 to 600,000. Default 1,000. Saves the servers from names that last 0 s. */
  minTtlMs?: number
  /** And at most so long, from `minTtlMs` (at least 100) to 600,000. Default 30,000. Bounds SRV records too, whose time `node:dns` does not tell. */
  maxTtlMs?: number
  /** Default: `node:dns` with the machine's servers. */
  resolver?: DnsResolver
  /** How many instances may be lost at once. DNS does not say why one is gone, so all that go count. */
  massExpiry?: MassExpiryOptions
  world?: World
  log?: Logger
}

/**
 * A registry that is DNS: SRV records, or A and AAAA records at a known port, asked for again when their time is over. Where something else
 * registers and checks, as Kubernetes does; registering here changes nothing.
 *
 * A name that is gone, or a server that is silent, empties no list: the last snapshot stays, marked stale, and DNS is asked again within 2 s.
 *
 * @throws {RangeError} for an option out of range
 * @see RFC 2782; https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
 */
export function dnsRegistry(options: DnsRegistryOptions = {}): ClosableRegistry {
  const { nameOf = (service) => service, port, minTtlMs = 1_000, maxTtlMs = 30_000, massExpiry = {} } = options
  const { resolver = nodeResolver(), world = systemWorld, log = silentLogger } = options
  const action = 'create DNS registry'
  if (port !== undefined) assertRange(action, 'port', port, 1, 65_535)
  assertRange(action, 'minTtlMs', minTtlMs, 10, 600_000)
  assertRange(action, 'maxTtlMs', maxTtlMs, Math.max(100, minTtlMs), 600_000)
  const settings = clientSettings({ waitMs: maxTtlMs, massExpiry, world, log })
  const lifeMs = ({ ttlSeconds }: DnsAnswer) => Math.min(maxTtlMs, Math.max(minTtlMs, ttlSeconds * 1_000))
  const client = registryClient(
    {
      lease: () => {
        throw new TypeError('DNS takes no registrations')
      },
      ask: (service) => asking(() => lookUp(resolver, { service, name: nameOf(service), port }), lifeMs, world),
      close: () => Promise.resolve(resolver.close()),
    },
    settings,
  )
  return { ...client, register }
}

const register: Registry['register'] = () => Promise.resolve({ deregister: () => Promise.resolve() })

/** Makes lookups into answers to "what is there when this is no longer true": asks again when the time of the last answer is over. */
function asking(look: () => Promise<DnsAnswer>, lifeMs: (answer: DnsAnswer) => number, world: World): WatchOptions['ask'] {
  let endsAt = Number.NEGATIVE_INFINITY
  let count = 0
  let before: readonly string[] = []
  return async ({ index, waitMs, signal }): Promise<Listing> => {
    const leftMs = Math.min(waitMs, endsAt - world.monotonic())
    if (index > 0 && leftMs > 0) await sleep(world, leftMs, signal)
    const answer = await look()
    endsAt = world.monotonic() + lifeMs(answer)
    const healthy = answer.instances
    const ids = new Set(healthy.map(({ id }) => id))
    const failing = new Set(before.filter((id) => !ids.has(id)))
    before = [...ids]
    count += 1
    return { index: count, healthy, failing }
  }
}
