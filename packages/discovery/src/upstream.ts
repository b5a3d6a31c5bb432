import { type Instance, type Logger, type Registry, type Snapshot, silentLogger, systemWorld, type World } from '@banyan/core'
import { type Balance, balancer, type Endpoint, observe } from './balance.ts'
import { endpointPool } from './endpoint-pool.ts'
import { assertRange } from './errors.ts'
import { after, type OutlierOptions } from './outliers.ts'

/** How {@link upstream} finds and chooses the instances of a service. */
export interface UpstreamOptions {
  /** Where the instances are known. */
  registry: Registry
  /** The service's name. */
  service: string
  /**
   * How to choose. Default `p2c`, which moves away from slow and failing instances by itself. `round-robin` when each must
   * get the same number of calls.
   */
  balance?: Balance
  /** When an instance that keeps failing is left alone for a while. */
  outliers?: OutlierOptions
  world?: World
  log?: Logger
}

/** A service seen from a caller: which of its instances to call next. */
export interface Upstream {
  /**
   * An instance to call, one not in `exclude` (instance ids) as far as there are others; `undefined` when none is known.
   * Takes the same time however many instances there are.
   */
  pick(exclude?: ReadonlySet<string>): Picked | undefined
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
 * Creates an {@link Upstream}: watches the service and balances over its healthy instances. An instance that fails several
 * times in a row is avoided for a growing time, while at least half of them stay in use.
 *
 * @throws {RangeError} for an outlier option out of range
 */
export function upstream(options: UpstreamOptions): Upstream {
  const { registry, service, balance = 'p2c', world = systemWorld, log = silentLogger } = options
  const limit = limits(service, options.outliers)
  const pool = endpointPool(balancer(balance, world))
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

  function finish(chosen: Endpoint, admitted: number, ok: boolean, latencyMs: number): void {
    const now = world.monotonic()
    chosen.inFlight -= 1
    observe(chosen, ok, latencyMs, now)
    const before = chosen.standing
    chosen.standing = after(before, { ok, admitted }, now, () => pool.mayAvoid(limit.maxShare, now), limit)
    if (chosen.standing.until === before.until) return
    pool.refresh(now)
    const { id, host, port } = chosen.instance
    log.warn(
      { service, instance: id, avoidMs: chosen.standing.until - now },
      `avoiding ${host}:${port} of "${service}" for a while: it keeps failing`,
    )
  }

  return {
    pick(exclude) {
      const now = world.monotonic()
      const chosen = pool.choose(exclude, now)
      return chosen && picked(chosen, (ok, latencyMs) => finish(chosen, now, ok, latencyMs))
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

function limits(service: string, options: OutlierOptions = {}): Required<OutlierOptions> {
  const { failures = 3, baseMs = 1_000, maxMs = 30_000, maxShare = 0.5 } = options
  const action = `create upstream "${service}"`
  assertRange(action, 'outliers.failures', failures, 1, 1_000_000)
  assertRange(action, 'outliers.baseMs', baseMs, 1, 3_600_000)
  assertRange(action, 'outliers.maxMs', maxMs, baseMs, 3_600_000)
  assertRange(action, 'outliers.maxShare', maxShare, 0, 1)
  return { failures, baseMs, maxMs, maxShare }
}

function picked(chosen: Endpoint, finish: (ok: boolean, latencyMs: number) => void): Picked {
  let open = true
  chosen.inFlight += 1
  return {
    instance: chosen.instance,
    done({ ok, latencyMs }) {
      if (!open) return
      open = false
      finish(ok, latencyMs)
    },
  }
}
