import { type ConsulHttp, consulHttp, refused } from './consul-http.ts'
import { type Listing, readListing } from './consul-instance.ts'
import { consulLease } from './consul-lease.ts'
import { assertRange } from './errors.ts'
import {
  type ClosableRegistry,
  clientSettings,
  type RegistryClientOptions,
  type RegistryProtocol,
  registryClient,
} from './registry-client.ts'

/** How to reach a registry and how patient to be with it. */
export interface ConsulRegistryOptions extends RegistryClientOptions {
  /** Of the embedded registry or a Consul agent: `http://127.0.0.1:8500`. */
  url: string
  /** Sent as `X-Consul-Token`. */
  token?: string
  /** How long a dead instance stays listed as critical, milliseconds. Default 60,000; Consul itself makes it at least that. */
  deregisterAfterMs?: number
}

/** A registry that must be closed at the end. */
export type ConsulRegistry = ClosableRegistry

/**
 * A registry client for Consul's HTTP API: the embedded registry and Consul itself.
 *
 * `register` rejects with `ERR_REGISTRY_UNAVAILABLE` when the registry stays away, and with `ERR_REGISTRY_REFUSED` when it says no.
 *
 * @throws {TypeError} for a `url` that is not http or https
 * @throws {RangeError} for an option out of range
 * @see https://developer.hashicorp.com/consul/api-docs/features/blocking
 */
export function consulRegistry(options: ConsulRegistryOptions): ConsulRegistry {
  const { url, token, deregisterAfterMs = 60_000 } = options
  assertRange('create registry client', 'deregisterAfterMs', deregisterAfterMs, 0, 604_800_000)
  const settings = clientSettings(options)
  const http = consulHttp({ url, token, world: settings.world })
  const { ttlMs } = settings
  const protocol: RegistryProtocol = {
    lease: (instance) => consulLease({ http, instance, ttlMs, deregisterAfterMs }),
    ask: (service) => (question) => list(http, service, question),
    close: () => http.close(),
  }
  return registryClient(protocol, settings)
}

interface Question {
  index: number
  waitMs: number
  signal: AbortSignal
}

async function list(http: ConsulHttp, service: string, { index, waitMs, signal }: Question): Promise<Listing> {
  const blocking = index > 0
  const path = `/v1/health/service/${encodeURIComponent(service)}${blocking ? `?index=${index}&wait=${Math.ceil(waitMs)}ms` : ''}`
  // The watch has its own deadline for an answer, and its signal says when it has passed.
  const response = await http.call('GET', path, { signal })
  if (response.status !== 200) throw refused(`list the instances of "${service}"`, response)
  return readListing(service, response)
}
