import { type Instance, type Logger, type Registry, type Snapshot, silentLogger, systemWorld, type Watch, type World } from '@banyan/core'
import { type ConsulHttp, consulHttp, refused } from './consul-http.ts'
import { type Listing, readListing } from './consul-instance.ts'
import { assertRange } from './errors.ts'
import { keepAlive } from './heartbeat.ts'
import { type ServiceWatch, watchService } from './watch.ts'
import type { MassExpiryOptions } from './watch-state.ts'

/** How to reach a registry and how patient to be with it. */
export interface ConsulRegistryOptions {
  /** Of the embedded registry or a Consul agent: `http://127.0.0.1:8500`. */
  url: string
  /** Sent as `X-Consul-Token`. */
  token?: string
  /**
   * How long an instance counts as living after its last heartbeat, milliseconds, 1,000 to 86,400,000. Default 10,000. Heartbeats come three
   * times as often. 3,000 takes a killed process out fast; longer forgives long pauses.
   */
  ttlMs?: number
  /** How long a dead instance stays listed as critical, milliseconds. Default 60,000; Consul itself makes it at least that. */
  deregisterAfterMs?: number
  /** How long `register` goes on trying while the registry is away, milliseconds. Default 30,000. */
  registerTimeoutMs?: number
  /**
   * How long a blocking query waits for a change, milliseconds, 100 to 600,000. Default 30,000. When its answer is 5 s overdue, the watch is
   * taken for broken: its snapshot becomes stale, and it lists again.
   */
  waitMs?: number
  /** How many instances may be lost at once. */
  massExpiry?: MassExpiryOptions
  world?: World
  log?: Logger
}

/** A {@link Registry} that must be closed at the end. */
export interface ConsulRegistry extends Registry {
  /** Stops all watches and heartbeats. Instances still registered go when their time is up. */
  close(): Promise<void>
}

/** How much later than `waitMs` an answer may come: a sixteenth of jitter by the server, and this. */
const overdueMs = 5_000

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
  const { url, token, world = systemWorld, log = silentLogger } = options
  const settings = settingsOf(options)
  const http = consulHttp({ url, token, world })
  const closed = new AbortController()
  const watches = new Map<string, ServiceWatch>()

  function watchOf(service: string): ServiceWatch {
    const known = watches.get(service)
    if (known) return known
    const { waitMs, massExpiry } = settings
    const made = watchService({ service, ask: (question) => list(http, service, question), waitMs, massExpiry, world, log })
    watches.set(service, made)
    return made
  }

  return {
    async register(instance: Instance) {
      assertInstance(instance)
      return keepAlive({ http, instance, ...settings, closed: closed.signal, world, log })
    },
    watch(service: string, onChange: (snapshot: Snapshot) => void): Watch {
      const shared = watchOf(service)
      const leave = shared.listen(onChange)
      return {
        stop() {
          leave()
          if (shared.listeners > 0) return
          shared.stop()
          if (watches.get(service) === shared) watches.delete(service)
        },
      }
    },
    async close() {
      closed.abort()
      for (const watch of watches.values()) watch.stop()
      watches.clear()
      await http.close()
    },
  }
}

async function list(http: ConsulHttp, service: string, question: { index: number; waitMs: number; signal: AbortSignal }): Promise<Listing> {
  const { index, waitMs, signal } = question
  const blocking = index > 0
  const path = `/v1/health/service/${encodeURIComponent(service)}${blocking ? `?index=${index}&wait=${Math.ceil(waitMs)}ms` : ''}`
  const timeoutMs = overdueMs + (blocking ? waitMs * (1 + 1 / 16) : 0)
  const response = await http.call('GET', path, { timeoutMs, signal })
  if (response.status !== 200) throw refused(`list the instances of "${service}"`, response)
  return readListing(service, response)
}

function settingsOf(options: ConsulRegistryOptions) {
  const { ttlMs = 10_000, deregisterAfterMs = 60_000, registerTimeoutMs = 30_000, waitMs = 30_000 } = options
  const { share = 0.15, verifyMs = 5_000 } = options.massExpiry ?? {}
  const action = 'create registry client'
  assertRange(action, 'ttlMs', ttlMs, 1_000, 86_400_000)
  assertRange(action, 'deregisterAfterMs', deregisterAfterMs, 0, 604_800_000)
  assertRange(action, 'registerTimeoutMs', registerTimeoutMs, 0, 86_400_000)
  assertRange(action, 'waitMs', waitMs, 100, 600_000)
  assertRange(action, 'massExpiry.share', share, 0, 1)
  assertRange(action, 'massExpiry.verifyMs', verifyMs, 0, 3_600_000)
  return { ttlMs, deregisterAfterMs, registerTimeoutMs, waitMs, massExpiry: { share, verifyMs } }
}

function assertInstance({ id, service, host, port, weight = 1 }: Instance): void {
  const action = `register "${id}" of "${service}"`
  for (const [name, value] of Object.entries({ id, service, host })) {
    if (value === '') throw new TypeError(`cannot ${action}: "${name}" is empty`)
  }
  for (const [name, value] of Object.entries({ port, weight })) {
    if (!Number.isInteger(value)) throw new RangeError(`cannot ${action}: "${name}" is ${value}, wanted a whole number`)
    assertRange(action, name, value, 1, 65_535)
  }
}
