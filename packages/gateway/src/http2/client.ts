import { systemWorld, type Timer, type World } from '@banyan/core'
import type { UpstreamClient } from '../upstream-client.ts'
import { exchange } from './exchange.ts'
import { SessionPool } from './session-pool.ts'

export interface Http2ClientOptions {
  readonly world?: World
  /** The most connections to one upstream at a time. One is enough for as many requests as the upstream takes at once. Default 8. */
  readonly maxSessions?: number
  /** How long connecting may take, milliseconds. Default 2,000. */
  readonly connectTimeoutMs?: number
  /** How long an unused connection is kept, milliseconds. Default 60,000. */
  readonly keepAliveMs?: number
}

const SWEEP_EVERY_MS = 1_000

/**
 * Creates an {@link UpstreamClient} for HTTP/2 on `node:http2`: over TLS by ALPN to `https:`, with prior knowledge to `http:`. Bodies go
 * both ways at once and trailers are handed on, as gRPC needs.
 *
 * @see RFC 9113, sections 3.2 and 3.3
 */
export function http2Client(options: Http2ClientOptions = {}): UpstreamClient {
  const { world = systemWorld, maxSessions = 8, connectTimeoutMs = 2_000, keepAliveMs = 60_000 } = options
  const pools = new Map<string, SessionPool>()
  let sweeping: Timer | undefined

  function poolOf(origin: string): SessionPool {
    const known = pools.get(origin)
    if (known) return known
    const made = new SessionPool({ origin, world, maxSessions, connectTimeoutMs, keepAliveMs })
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
    async send(request) {
      const session = await poolOf(request.origin).take(request.cancellation)
      return exchange(session, request, world)
    },
    async close() {
      sweeping?.cancel()
      for (const one of pools.values()) one.destroy()
      pools.clear()
    },
  }
}
