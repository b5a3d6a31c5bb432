import { systemWorld, type Timer, type World } from '@banyan/core'
import type { UpstreamClient } from '../upstream-client.ts'
import { Pool } from './pool.ts'

export interface Http1ClientOptions {
  readonly world?: World
  /** The most connections to one upstream at a time; more requests wait. Default 256. */
  readonly maxConnections?: number
  /** How long connecting may take, milliseconds. Default 2,000. */
  readonly connectTimeoutMs?: number
  /**
   * How long an unused connection is kept, milliseconds; less where an upstream says so (`Keep-Alive: timeout`). Default 4,000, below the
   * 5 s after which Node's servers close, so that a request seldom meets a closing connection.
   */
  readonly keepAliveMs?: number
}

const SWEEP_EVERY_MS = 1_000

/**
 * Creates an {@link UpstreamClient} for HTTP/1.1 on sockets: kept connections, one request a connection at a time, answers read strictly.
 */
export function http1Client(options: Http1ClientOptions = {}): UpstreamClient {
  const { world = systemWorld, maxConnections = 256, connectTimeoutMs = 2_000, keepAliveMs = 4_000 } = options
  const pools = new Map<string, Pool>()
  let sweeping: Timer | undefined

  function poolOf(origin: string): Pool {
    const known = pools.get(origin)
    if (known) return known
    const made = new Pool({ origin, world, maxConnections, connectTimeoutMs, keepAliveMs })
    pools.set(origin, made)
    sweeping ??= world.after(SWEEP_EVERY_MS, sweep)
    return made
  }

  /** An upstream that has gone leaves nothing behind, and no timer runs while there is none. */
  function sweep(): void {
    for (const [origin, one] of pools) if (one.sweep() === 0) pools.delete(origin)
    sweeping = pools.size > 0 ? world.after(SWEEP_EVERY_MS, sweep) : undefined
  }

  return {
    send: (request) => poolOf(request.origin).send(request),
    async close() {
      sweeping?.cancel()
      for (const one of pools.values()) one.destroy()
      pools.clear()
    },
  }
}
