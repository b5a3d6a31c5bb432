import { type Instance, type Logger, type Registry, type Snapshot, shown, silentLogger, systemWorld, type World } from '@banyan/core'
import { type Balance, balancer, balances } from './balance.ts'
import { hashOf } from './balance-hash.ts'
import { type EndpointTable, endpointTable, hasAnswered } from './balance-table.ts'
import { type ZoneOptions, zoned } from './balance-zones.ts'
import type { Balancer } from './balancer.ts'
import { type CallOutcome, endpointPool } from './endpoint-pool.ts'
import { assertRange } from './errors.ts'
import { type OutlierOptions, outlierLimit } from './outliers.ts'

/** How {@link upstream} finds and chooses the instances of a service. */
export interface UpstreamOptions {
  /** Where the instances are known. */
  registry: Registry
  /** The service's name. */
  service: string
  /**
   * How to choose. Default `p2c`, which moves away from slow and failing instances by itself; for the others see {@link Balance}. A
   * function makes a balancer of your own.
   */
  balance?: Balance | ((table: EndpointTable, world: World) => Balancer)
  /**
   * How many times its part of all calls in flight an instance may have, for `consistent-hash`, 1.01 to 100. Default 1.25. Lower is more
   * even, higher keeps more keys at home.
   */
  loadFactor?: number
  /** The caller's zone, when instances in the same one are to be preferred. */
  zone?: string | ZoneOptions
  /**
   * How long an instance that joins others takes to get its whole share, milliseconds, up to 3,600,000. Default 0: at once. It
   * begins with a tenth. Not for `round-robin`, in which all have the same.
   */
  slowStartMs?: number
  /** When an instance that fails more than others is left alone for a while. */
  outliers?: OutlierOptions
  world?: World
  log?: Logger
}

/** A service seen from a caller: which of its instances to call next. */
export interface Upstream {
  /**
   * An instance to call, one not in `exclude` (instance ids) as far as there are others; `undefined` when none is known.
   * Takes the same time however many instances there are.
   *
   * @param key what the call is about, for `consistent-hash`: a customer, a document. Without one, any instance
   */
  pick(exclude?: ReadonlySet<string>, key?: string): Picked | undefined
  /** Resolves with true as soon as an instance is known, with false after `timeoutMs` or `stop`. */
  ready(timeoutMs: number): Promise<boolean>
  /** What the registry last said. */
  snapshot(): Snapshot
  /** Stops watching. `pick` goes on with what is known. */
  stop(): void
}

/** A choice of {@link Upstream}. */
export interface Picked {
  readonly instance: Instance
  /** Must be called once when the call ended; a second time does nothing. `ok` is false when the instance is to blame. */
  done(outcome: { readonly ok: boolean; readonly latencyMs: number }): void
}

/**
 * Creates an {@link Upstream}: watches the service and balances over its healthy instances. An instance that fails more than the
 * others is avoided for a growing time, while most of them stay in use.
 *
 * @throws {RangeError} for an option out of range
 */
export function upstream(options: UpstreamOptions): Upstream {
  const { registry, service, world = systemWorld, log = silentLogger } = options
  const { slowStartMs = 0 } = options
  const action = `create upstream "${service}"`
  assertRange(action, 'slowStartMs', slowStartMs, 0, 3_600_000)
  const limit = outlierLimit(action, options.outliers)
  const table = endpointTable()
  const chooser = balancerOf(action, table, options)
  const isChooserTimed = chooser.timed !== false
  const pool = endpointPool({ table, balancer: chooser, limit, slowStartMs })
  const waiting = new Set<(ready: boolean) => void>()
  let latest: Snapshot = { instances: [], revision: 0, stale: false }
  let stopped = false

  const settle = (ready: boolean) => {
    for (const resolve of [...waiting]) resolve(ready)
  }
  const watch = registry.watch(service, (snapshot) => {
    latest = snapshot
    pool.take(snapshot.instances, world.monotonic())
    if (snapshot.instances.length > 0) settle(true)
  })

  function finish(slot: number, ticket: number, outcome: CallOutcome): void {
    for (const { instance, forMs } of pool.end(slot, ticket, outcome, world.monotonic())) {
      const { id, host, port } = instance
      log.warn({ service, instance: id, avoidMs: forMs }, `avoiding ${host}:${port} of "${service}" for a while: it keeps failing`)
    }
  }
  const keyed = options.balance === 'consistent-hash' || typeof options.balance === 'function'

  return {
    pick(exclude, key) {
      // The clock would be a third of what a pick costs, and mostly nothing depends on it.
      const isTimed = isChooserTimed || pool.isTimed()
      const now = isTimed ? world.monotonic() : Number.NaN
      const slot = pool.choose(exclude, key !== undefined ? hashOf(key) : keyed ? Math.floor(world.random() * 2 ** 32) : 0, now)
      const instance = slot < 0 ? undefined : table.instances[slot]
      if (!instance) return undefined
      const ticket = pool.begin(slot, isTimed || hasAnswered(table, slot) ? now : world.monotonic())
      return new Chosen(instance, finish, slot, ticket, isTimed ? now : undefined)
    },
    ready(timeoutMs) {
      if (latest.instances.length > 0) return Promise.resolve(true)
      if (stopped) return Promise.resolve(false)
      return new Promise((resolve) => {
        const end = (ready: boolean) => {
          timer.cancel()
          waiting.delete(end)
          resolve(ready)
        }
        const timer = world.after(timeoutMs, () => end(false))
        waiting.add(end)
      })
    },
    snapshot: () => latest,
    stop() {
      stopped = true
      watch.stop()
      settle(false)
    },
  }
}

type Finish = (slot: number, ticket: number, outcome: CallOutcome) => void

/** A class, as each pick makes one: an object with a function of its own would be most of what a pick costs. */
class Chosen implements Picked {
  readonly instance: Instance
  readonly #finish: Finish
  readonly #slot: number
  /** `undefined`: when was asked by nobody. A number here would be an object of its own for each pick. */
  readonly #admitted: number | undefined
  /** -1 when the call has ended. */
  #ticket: number

  constructor(instance: Instance, finish: Finish, slot: number, ticket: number, admitted: number | undefined) {
    this.instance = instance
    this.#finish = finish
    this.#slot = slot
    this.#ticket = ticket
    this.#admitted = admitted
  }

  done({ ok, latencyMs }: { readonly ok: boolean; readonly latencyMs: number }): void {
    const ticket = this.#ticket
    if (ticket < 0) return
    this.#ticket = -1
    this.#finish(this.#slot, ticket, { ok, latencyMs, admitted: this.#admitted ?? Number.NEGATIVE_INFINITY })
  }
}

function balancerOf(action: string, table: EndpointTable, options: UpstreamOptions): Balancer {
  const { balance = 'p2c', loadFactor = 1.25, world = systemWorld } = options
  assertRange(action, 'loadFactor', loadFactor, 1.01, 100)
  if (typeof balance !== 'function' && !balances.includes(balance))
    throw new RangeError(`cannot ${action}: "balance" is ${shown(balance)}, wanted one of ${balances.join(', ')}`)
  const make = () => (typeof balance === 'function' ? balance(table, world) : balancer(table, { balance, loadFactor, world }))
  if (options.zone === undefined) return make()
  const { name, headroom = 1.4, overload = 3 } = typeof options.zone === 'string' ? { name: options.zone } : options.zone
  assertRange(action, 'zone.headroom', headroom, 1, 100)
  assertRange(action, 'zone.overload', overload, 1, 1_000)
  return zoned(table, { name, headroom, overload }, { make, world })
}
