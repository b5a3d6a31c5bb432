import { SharedCache } from '../cache/shared-cache.ts'
import { integer, type MapShape } from '../config-shape.ts'
import type { Plugin } from './plugin.ts'

/** A cache of answers to GET, shared by all clients of a route. */
export interface ProxyCacheConfig {
  /** Of all answers together; copies of bodies on their way may take as much again. Default 67,108,864. */
  max_bytes?: number
  /** A longer answer is not kept. Default 1,048,576. */
  max_entry_bytes?: number
  /**
   * How long an answer is fresh that does not say so, seconds; of a status below 400, and to who sent no cookie. Default 0: it is not kept,
   * unless it can be asked for on a condition.
   */
  default_ttl_s?: number
  /** How long a stale answer stands in for one that the service fails to give, seconds. Default 0: as long as the answer itself allows. */
  stale_if_error_s?: number
  /** Requests for what is being fetched already wait for that, for so long at most, milliseconds. 0: they do not. Default 5,000. */
  coalesce_ms?: number
}

const config: MapShape<keyof ProxyCacheConfig> = {
  kind: 'map',
  keys: {
    max_bytes: { shape: integer(1_024, Number.MAX_SAFE_INTEGER), about: 'how much is kept in all' },
    max_entry_bytes: { shape: integer(0, Number.MAX_SAFE_INTEGER), about: 'the largest answer that is kept' },
    default_ttl_s: { shape: integer(0, 31_536_000), about: 'how long an answer is fresh that does not say so' },
    stale_if_error_s: { shape: integer(0, 31_536_000), about: 'how long a stale answer stands in for one that fails' },
    coalesce_ms: { shape: integer(0, 60_000), about: 'how long requests wait for the same answer that is on its way' },
  },
}

/**
 * Keeps answers as RFC 9111 lets a shared cache do. A request is told apart by scheme, host, port, path and query as they are forwarded, and by
 * what `Vary` says.
 *
 * @see RFC 9111; RFC 5861; RFC 9211
 */
export const proxyCache: Plugin<ProxyCacheConfig> = {
  config,
  create(options, { world, log }) {
    const { max_bytes: maxBytes = 67_108_864, max_entry_bytes: maxEntryBytes = 1_048_576, coalesce_ms: coalesceMs = 5_000 } = options
    const { default_ttl_s: defaultTtlS = 0, stale_if_error_s: staleIfErrorS = 0 } = options
    const cache = new SharedCache({
      ...{ maxBytes, maxEntryBytes: Math.min(maxBytes, maxEntryBytes), coalesceMs, world, log },
      ...{ defaultTtlMs: defaultTtlS * 1_000, staleIfErrorMs: staleIfErrorS * 1_000 },
    })
    return (next) => (request) => cache.answer(request, next)
  },
}
