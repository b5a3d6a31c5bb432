import { type Health, messageOf, type World } from '@banyan/core'

/** What `/health/ready` answers. */
export interface HealthReport {
  readonly status: 'ready' | 'not_ready'
  /** By the name of the component. */
  readonly checks: Readonly<Record<string, Health>>
}

export interface HealthChecksOptions {
  world: World
  /** A check without an answer after this is unhealthy, milliseconds. Default 1,000. */
  timeoutMs?: number
  /** How long an answer is used again, milliseconds, so that many askers cost no more than one. Default 500. */
  cacheMs?: number
}

/** The checks of one service. */
export interface HealthChecks {
  add(name: string, check: () => Promise<Health>): void
  /** Asks all checks at once; never rejects. */
  report(): Promise<HealthReport>
}

/** Creates {@link HealthChecks}. A check that hangs is not asked again before it has answered. */
export function healthChecks(options: HealthChecksOptions): HealthChecks {
  const { world, timeoutMs = 1_000, cacheMs = 500 } = options
  const checks = new Map<string, () => Promise<Health>>()
  return {
    add(name, check) {
      checks.set(name, cached(world, cacheMs, bounded(world, timeoutMs, check)))
    },
    async report() {
      const answers = await Promise.all([...checks].map(async ([name, check]) => [name, await check()] as const))
      const healthy = answers.every(([, health]) => health.healthy)
      return { status: healthy ? 'ready' : 'not_ready', checks: Object.fromEntries(answers) }
    },
  }
}

/** `check` with a bound on its time; never rejects. */
function bounded(world: World, timeoutMs: number, check: () => Promise<Health>): () => Promise<Health> {
  let hanging: Promise<Health> | undefined
  return () =>
    new Promise((resolve) => {
      const timer = world.after(timeoutMs, () => resolve({ healthy: false, detail: `no answer within ${timeoutMs} ms` }))
      hanging ??= settled(check).finally(() => {
        hanging = undefined
      })
      hanging.then((health) => {
        timer.cancel()
        resolve(health)
      })
    })
}

async function settled(check: () => Promise<Health>): Promise<Health> {
  try {
    return await check()
  } catch (error) {
    return { healthy: false, detail: messageOf(error) }
  }
}

/** Asks once at a time, and again only after `cacheMs`. */
function cached(world: World, cacheMs: number, check: () => Promise<Health>): () => Promise<Health> {
  let last: { readonly at: number; readonly health: Promise<Health> } | undefined
  return () => {
    if (last && world.monotonic() - last.at < cacheMs) return last.health
    last = { at: world.monotonic(), health: check() }
    return last.health
  }
}
