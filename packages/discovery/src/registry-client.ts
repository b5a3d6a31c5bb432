import {
  type Instance,
  type Logger,
  type Registration,
  type Registry,
  type Snapshot,
  shown,
  silentLogger,
  systemWorld,
  type Watch,
  type World,
} from '@banyan/core'
import { assertRange, DiscoveryError } from './errors.ts'
import { keepAlive, type Lease } from './heartbeat.ts'
import { type ServiceWatch, type WatchOptions, watchService } from './watch.ts'
import type { MassExpiryOptions } from './watch-state.ts'

/** How patient to be with a registry, whichever it is. */
export interface RegistryClientOptions {
  /**
   * How long an instance counts as living after its last heartbeat, milliseconds, 1,000 to 86,400,000. Default 10,000. Heartbeats come three
   * times as often. 3,000 takes a killed process out fast; longer forgives long pauses.
   */
  ttlMs?: number
  /**
   * How long `register` goes on trying while the registry is away, milliseconds, up to 86,400,000. Default 30,000. One attempt is made in
   * any case, and has 2 s.
   */
  registerTimeoutMs?: number
  /**
   * How long one question waits for a change, milliseconds, 100 to 600,000. Default 30,000. When its answer is 5 s overdue, the watch is
   * taken for broken: its snapshot becomes stale, and it lists again.
   */
  waitMs?: number
  /** How many instances may be lost at once. */
  massExpiry?: MassExpiryOptions
  world?: World
  log?: Logger
}

/** {@link RegistryClientOptions} with their defaults, checked. */
export type RegistryClientSettings = Required<Omit<RegistryClientOptions, 'massExpiry'>> & { massExpiry: Required<MassExpiryOptions> }

/** A {@link Registry} that must be closed at the end. */
export interface ClosableRegistry extends Registry {
  /** Stops all watches and heartbeats. Instances still registered go when their time is up. What is asked of it afterwards begins nothing. */
  close(): Promise<void>
}

/** What differs from one kind of registry to another. */
export interface RegistryProtocol {
  /** How an instance is told to it and kept alive there. */
  lease(instance: Instance): Lease
  /** How the instances of a service are asked for; made once for each watch. */
  ask(service: string): WatchOptions['ask']
  /** Lets go of connections. */
  close(): Promise<void>
}

/** @throws {RangeError} for an option out of range */
export function clientSettings(options: RegistryClientOptions): RegistryClientSettings {
  const { ttlMs = 10_000, registerTimeoutMs = 30_000, waitMs = 30_000, world = systemWorld, log = silentLogger } = options
  const { share = 0.15, verifyMs = 5_000 } = options.massExpiry ?? {}
  const action = 'create registry client'
  assertRange(action, 'ttlMs', ttlMs, 1_000, 86_400_000)
  assertRange(action, 'registerTimeoutMs', registerTimeoutMs, 0, 86_400_000)
  assertRange(action, 'waitMs', waitMs, 100, 600_000)
  assertRange(action, 'massExpiry.share', share, 0, 1)
  assertRange(action, 'massExpiry.verifyMs', verifyMs, 0, 3_600_000)
  return { ttlMs, registerTimeoutMs, waitMs, massExpiry: { share, verifyMs }, world, log }
}

/** The client of a registry: heartbeats for what is registered, one watch a service however many listen. */
export function registryClient(protocol: RegistryProtocol, settings: RegistryClientSettings): ClosableRegistry {
  const closed = new AbortController()
  const watches = new Map<string, ServiceWatch>()

  function watchOf(service: string): ServiceWatch {
    const known = watches.get(service)
    if (known) return known
    const made = watchService({ service, ask: protocol.ask(service), ...settings })
    watches.set(service, made)
    return made
  }

  return {
    async register(instance: Instance): Promise<Registration> {
      assertInstance(instance)
      if (closed.signal.aborted) throw closedAlready(instance)
      return keepAlive({ lease: protocol.lease(instance), instance, closed: closed.signal, ...settings })
    },
    watch(service: string, onChange: (snapshot: Snapshot) => void): Watch {
      // It would ask on for ever: there is nobody to stop it any more but the one who came too late.
      if (closed.signal.aborted) return { stop() {} }
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
      await protocol.close()
    },
  }
}

function closedAlready({ id, service }: Instance): DiscoveryError {
  return new DiscoveryError('ERR_REGISTRY_UNAVAILABLE', `cannot register "${id}" of "${service}": the registry client is closed`)
}

function assertInstance({ id, service, host, port, weight = 1 }: Instance): void {
  const action = `register "${id}" of "${service}"`
  for (const [name, value] of Object.entries({ id, service, host })) {
    if (value === '') throw new TypeError(`cannot ${action}: "${name}" is empty`)
  }
  for (const [name, value] of Object.entries({ port, weight })) {
    if (!Number.isInteger(value)) throw new RangeError(`cannot ${action}: "${name}" is ${shown(value)}, wanted a whole number`)
    assertRange(action, name, value, 1, 65_535)
  }
}
