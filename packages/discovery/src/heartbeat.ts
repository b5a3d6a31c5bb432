import { codeOf, type Instance, type Logger, messageOf, type Registration, sleep, type World } from '@banyan/core'
import { backoffMs } from './backoff.ts'

/** An instance's place in a registry. Each rejects with `ERR_REGISTRY_UNAVAILABLE` when trying again makes sense. */
export interface Lease {
  register(timeoutMs: number, signal: AbortSignal): Promise<void>
  /** Says that it lives; `unknown` when the registry has no such place, or no longer. */
  renew(signal: AbortSignal): Promise<'heard' | 'unknown'>
  /** Gives the place up on purpose, so that watchers drop it at once. */
  deregister(timeoutMs: number, signal: AbortSignal): Promise<void>
}

/** What {@link keepAlive} needs. */
export interface HeartbeatOptions {
  lease: Lease
  instance: Instance
  ttlMs: number
  /** How long the first registration may take while the registry is away, milliseconds. */
  registerTimeoutMs: number
  /** Ends everything, when the client is closed. */
  closed: AbortSignal
  world: World
  log: Logger
}

/** An attempt to register has at least this time, milliseconds, however little is left: etcd needs two calls for it. */
const shortestAttemptMs = 2_000

/** How long taking an instance out may take at a stop, milliseconds; its TTL does the rest. */
const deregisterTimeoutMs = 2_000

/**
 * Registers an instance and says three times per TTL that it lives. A registry that forgot it is told again.
 *
 * @throws what the lease's `register` throws
 */
export async function keepAlive(options: HeartbeatOptions): Promise<Registration> {
  const { lease, world, closed, registerTimeoutMs } = options
  const giveUpAt = world.monotonic() + registerTimeoutMs
  const leftMs = () => Math.max(shortestAttemptMs, giveUpAt - world.monotonic())
  await persist(world, closed, giveUpAt, () => lease.register(leftMs(), closed))
  const stopped = new AbortController()
  const stop = () => stopped.abort()
  // It may have been closed while the answer was on its way.
  if (closed.aborted) stop()
  closed.addEventListener('abort', stop, { once: true })
  const beating = beat(options, stopped.signal)
  let ended: Promise<void> | undefined
  return {
    deregister() {
      ended ??= (async () => {
        stop()
        closed.removeEventListener('abort', stop)
        // A heartbeat in flight might register again: it must be over before the instance is taken out.
        await beating
        if (!closed.aborted) await deregister(options)
      })()
      return ended
    },
  }
}

async function beat(options: HeartbeatOptions, signal: AbortSignal): Promise<void> {
  const { lease, instance, ttlMs, world, log } = options
  const { service, id } = instance
  let failures = 0
  while (!signal.aborted) {
    const dueMs = (ttlMs / 3) * (0.9 + 0.1 * world.random())
    // Rejects only when stopped, and then the loop ends.
    await sleep(world, failures === 0 ? dueMs : Math.min(dueMs, backoffMs(world, failures)), signal).catch(() => undefined)
    if (signal.aborted) return
    try {
      if ((await lease.renew(signal)) === 'unknown') {
        log.warn({ service, instance: id }, `the registry does not know "${id}" of "${service}"; registering it again`)
        await lease.register(Math.max(shortestAttemptMs, ttlMs), signal)
      }
      if (failures > 0) log.info({ service, instance: id }, `the registry hears from "${id}" of "${service}" again`)
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      if (failures === 0)
        log.warn({ service, instance: id, error: messageOf(error) }, `the registry does not hear from "${id}" of "${service}"; trying on`)
      failures += 1
    }
  }
}

async function deregister({ lease, instance, closed, world, log }: HeartbeatOptions): Promise<void> {
  const { service, id } = instance
  const giveUpAt = world.monotonic() + deregisterTimeoutMs
  try {
    await persist(world, closed, giveUpAt, () => lease.deregister(deregisterTimeoutMs, closed))
  } catch (error) {
    const action = `deregister "${id}" of "${service}"`
    log.warn({ service, instance: id, error: messageOf(error) }, `cannot ${action}; it goes when its time is up`)
  }
}

/** Runs `attempt` until it succeeds, `giveUpAt` has passed, or trying again makes no sense. */
async function persist(world: World, signal: AbortSignal, giveUpAt: number, attempt: () => Promise<void>): Promise<void> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt()
    } catch (error) {
      const away = codeOf(error) === 'ERR_REGISTRY_UNAVAILABLE'
      const pauseMs = backoffMs(world, failures)
      if (!away || signal.aborted || world.monotonic() + pauseMs >= giveUpAt) throw error
      // Closed meanwhile: what was wrong says more than that somebody closed it.
      await sleep(world, pauseMs, signal).catch(() => Promise.reject(error))
    }
  }
}
