import { type Instance, type Logger, messageOf, type Registration, sleep, type World } from '@banyan/core'
import { backoffMs } from './backoff.ts'
import { type ConsulHttp, refused } from './consul-http.ts'
import { checkIdOf, registerBody } from './consul-instance.ts'
import { DiscoveryError } from './errors.ts'

/** What {@link keepAlive} needs. */
export interface HeartbeatOptions {
  http: ConsulHttp
  instance: Instance
  ttlMs: number
  deregisterAfterMs: number
  /** How long the first registration may take while the registry is away, milliseconds. */
  registerTimeoutMs: number
  /** Ends everything, when the client is closed. */
  closed: AbortSignal
  world: World
  log: Logger
}

/** How long taking an instance out may take at a stop, milliseconds; its TTL does the rest. */
const deregisterTimeoutMs = 2_000

/**
 * Registers an instance and says three times per TTL that it lives. A registry that forgot it is told again.
 *
 * @throws {DiscoveryError} `ERR_REGISTRY_UNAVAILABLE`, `ERR_REGISTRY_REFUSED`
 */
export async function keepAlive(options: HeartbeatOptions): Promise<Registration> {
  const { world, closed, registerTimeoutMs } = options
  const giveUpAt = world.monotonic() + registerTimeoutMs
  await persist(options, closed, giveUpAt, () => register(options, closed))
  const stopped = new AbortController()
  const stop = () => stopped.abort()
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

async function register({ http, instance, ttlMs, deregisterAfterMs }: HeartbeatOptions, signal: AbortSignal): Promise<void> {
  const body = registerBody(instance, ttlMs, deregisterAfterMs)
  const response = await http.call('PUT', '/v1/agent/service/register', { timeoutMs: Math.max(1_000, ttlMs), body, signal })
  if (response.status !== 200) throw refused(`register "${instance.id}" of "${instance.service}"`, response)
}

async function beat(options: HeartbeatOptions, signal: AbortSignal): Promise<void> {
  const { instance, ttlMs, world, log } = options
  const { service, id } = instance
  let failures = 0
  while (!signal.aborted) {
    const dueMs = (ttlMs / 3) * (0.9 + 0.1 * world.random())
    // Rejects only when stopped, and then the loop ends.
    await sleep(world, failures === 0 ? dueMs : Math.min(dueMs, backoffMs(world, failures)), signal).catch(() => undefined)
    if (signal.aborted) return
    try {
      if ((await pass(options, signal)) === 'unknown') {
        log.warn({ service, instance: id }, `the registry does not know "${id}" of "${service}"; registering it again`)
        await register(options, signal)
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

async function pass({ http, instance, ttlMs }: HeartbeatOptions, signal: AbortSignal): Promise<'heard' | 'unknown'> {
  const path = `/v1/agent/check/pass/${encodeURIComponent(checkIdOf(instance))}`
  const response = await http.call('PUT', path, { timeoutMs: Math.max(500, ttlMs / 3), signal })
  if (response.status === 200) return 'heard'
  if (response.status === 404) return 'unknown'
  throw refused(`renew "${instance.id}" of "${instance.service}"`, response)
}

async function deregister(options: HeartbeatOptions): Promise<void> {
  const { http, instance, closed, world, log } = options
  const action = `deregister "${instance.id}" of "${instance.service}"`
  const giveUpAt = world.monotonic() + deregisterTimeoutMs
  try {
    await persist(options, closed, giveUpAt, async () => {
      const path = `/v1/agent/service/deregister/${encodeURIComponent(instance.id)}`
      const response = await http.call('PUT', path, { timeoutMs: deregisterTimeoutMs, signal: closed })
      // 404: gone already, which is what was wanted.
      if (response.status !== 200 && response.status !== 404) throw refused(action, response)
    })
  } catch (error) {
    log.warn({ service: instance.service, instance: instance.id, error: messageOf(error) }, `cannot ${action}; it goes when its time is up`)
  }
}

/** Runs `attempt` until it succeeds, `giveUpAt` has passed, or trying again makes no sense. */
async function persist({ world }: HeartbeatOptions, signal: AbortSignal, giveUpAt: number, attempt: () => Promise<void>): Promise<void> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt()
    } catch (error) {
      const away = error instanceof DiscoveryError && error.code === 'ERR_REGISTRY_UNAVAILABLE'
      const pauseMs = backoffMs(world, failures)
      if (!away || signal.aborted || world.monotonic() + pauseMs >= giveUpAt) throw error
      await sleep(world, pauseMs, signal)
    }
  }
}
