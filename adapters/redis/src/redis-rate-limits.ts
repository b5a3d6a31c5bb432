import { createHash } from 'node:crypto'
import { codeOf, type Logger, messageOf, silentLogger, systemWorld, type World } from '@banyan/core'
import type { RateLimitAnswer, RateLimitStore, RateQuota } from '@banyan/resilience'
import { limitScripts } from './limit-scripts.ts'
import { type RedisConnection, redisConnection } from './redis-connection.ts'
import { RedisError } from './redis-error.ts'

export interface RedisRateLimitsOptions {
  /** `redis://127.0.0.1:6379`, `rediss://user:password@host:6380/2` for TLS. */
  url: string
  /** What the keys in Redis begin with. Default `banyan:limit:`. */
  prefix?: string
  /** How long connecting may take, milliseconds from 1. Default 1,000. */
  connectTimeoutMs?: number
  /**
   * While Redis has not answered for so long, takes are not sent but rejected at once, milliseconds from 1. Default: as long as who takes would
   * wait, which `sharedRateLimiter` says; else 100.
   */
  stallMs?: number
  /** Default: the system's. */
  world?: World
  /** Default: silent. */
  log?: Logger
}

/** Rate limits that all processes with the same Redis count together. */
export interface RedisRateLimits extends RateLimitStore {
  /** Lets go of the connection. */
  close(): Promise<void>
}

/**
 * Creates a {@link RedisRateLimits} for `sharedRateLimiter` and the gateway. A take is one script in Redis, on Redis' clock: whichever
 * process asks, a limit is never exceeded. What is remembered of a key goes by itself once it has all its takes again. Each quota of a
 * key is counted for itself. Keys are hashed (SHA-256), so that no token or address of a caller stands in Redis.
 *
 * `take` rejects with {@link RedisError} `ERR_REDIS_UNREACHABLE`, at once while Redis is away, `ERR_REDIS_REFUSED`, `ERR_REDIS_ANSWER`.
 *
 * @throws {TypeError} for a `url` that is not `redis:` or `rediss:`
 * @throws {RangeError} for an option out of range
 */
export function redisRateLimits(options: RedisRateLimitsOptions): RedisRateLimits {
  const { url, prefix = 'banyan:limit:', connectTimeoutMs = 1_000, stallMs, world = systemWorld, log = silentLogger } = options
  if (!isRedisUrl(url))
    throw new TypeError(
      `cannot use Redis for rate limits: the address ${JSON.stringify(shown(String(url)))} is none, wanted "redis://host:port"`,
    )
  for (const [name, value] of Object.entries({ connectTimeoutMs, stallMs })) {
    if (value !== undefined && !(value >= 1 && Number.isFinite(value)))
      throw new RangeError(`cannot use Redis for rate limits: "${name}" is ${value}, wanted a number from 1`)
  }
  const connection = redisConnection({ url, connectTimeoutMs, world, log })
  return {
    take(key, cost, quota, patienceMs = DEFAULT_STALL_MS) {
      return takeInRedis(connection, `${prefix}${hashOf(key, quota)}`, cost, quota, { stallMs: stallMs ?? patienceMs })
    },
    close: () => connection.close(),
  }
}

const DEFAULT_STALL_MS = 100

/** Whether a text is the address of a Redis: with a host, a number of a database if any, and a user and password that can be read. */
export function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, pathname, username, password } = new URL(text)
  return /^rediss?:$/.test(protocol) && hostname !== '' && /^\/?\d*$/.test(pathname) && isDecodable(`${username}${password}`)
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/**
 * One take of the key `name`, as it stands in Redis.
 *
 * @param more `now` in milliseconds. Default: Redis' own clock, as all must have the same
 */
export async function takeInRedis(
  connection: RedisConnection,
  name: string,
  cost: number,
  quota: RateQuota,
  { stallMs = DEFAULT_STALL_MS, now }: { readonly stallMs?: number; readonly now?: number } = {},
): Promise<RateLimitAnswer> {
  const { limit, periodMs, algorithm } = quota
  const script = limitScripts[algorithm]
  const burst = algorithm === 'gcra' ? quota.burst : 0
  const rest = ['1', name, ...[limit, periodMs, burst, cost].map(String), now === undefined ? '' : String(now)]
  try {
    return answerOf(await connection.send(['EVALSHA', script.sha1, ...rest], stallMs))
  } catch (error) {
    // It has not seen the script yet, or was started anew since.
    if (codeOf(error) !== 'ERR_REDIS_REFUSED' || !messageOf(error).includes('NOSCRIPT')) throw error
    return answerOf(await connection.send(['EVAL', script.text, ...rest], stallMs))
  }
}

function answerOf(reply: unknown): RateLimitAnswer {
  const texts = Array.isArray(reply) ? reply.map(String) : []
  const [allowed, remaining, resetMs, retryAfterMs] = texts.map(Number)
  const isAnswer = texts.length === 4 && [allowed, remaining, resetMs, retryAfterMs].every(Number.isFinite)
  if (!isAnswer || remaining === undefined || resetMs === undefined || retryAfterMs === undefined)
    throw new RedisError('ERR_REDIS_ANSWER', `cannot count a take: Redis answered ${JSON.stringify(reply)?.slice(0, 100)}`)
  return { allowed: allowed === 1, remaining, resetMs, retryAfterMs }
}

/** With the quota in it: what is remembered under one says nothing under another, as where a caller may have ten a second and 1,000 an hour. */
function hashOf(key: string, quota: RateQuota): string {
  const { algorithm, limit, periodMs } = quota
  const burst = algorithm === 'gcra' ? quota.burst : 0
  return createHash('sha256')
    .update(JSON.stringify([key, algorithm, limit, periodMs, burst]))
    .digest('base64url')
}

/** Without what may be a password, also one that has a slash or an @ in it, as those do that make an address none. */
function shown(url: string): string {
  return url.replace(/^([a-z][a-z\d+.-]*:\/\/)?.*@/is, '$1***@')
}
