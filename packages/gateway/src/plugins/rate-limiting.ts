import { hash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { gcra, type RateLimitAnswer, type RateQuota, sharedRateLimiter, slidingWindow } from '@banyan/resilience'
import { integer, oneOf, text } from '../config-shape.ts'
import { GatewayError } from '../errors.ts'
import type { GatewayRequest, GatewayResponse } from '../exchange.ts'
import { headerOf, withHeader } from '../headers.ts'
import { problem } from '../problem.ts'
import type { Plugin, PluginContext } from './plugin.ts'

/** How many requests one caller may make. Several limits hold together. */
export interface RateLimitingConfig {
  second?: number
  minute?: number
  hour?: number
  day?: number
  /**
   * Whose requests are counted together. `subject` is who a plugin placed before found out, `claim` what the token that `jwt` checked says.
   * Default `ip`.
   */
  by?: 'ip' | 'subject' | 'header' | 'claim'
  /** The header that tells callers apart, for `by: header`. */
  header?: string
  /** The claim that tells callers apart, for `by: claim`. */
  claim?: string
  /** `gcra` gives takes back evenly, `sliding-window` allows no more than the limit in any period. Default `gcra`. */
  algorithm?: 'gcra' | 'sliding-window'
  /** How many may come at once, for `gcra` with one window. Default: the whole limit. */
  burst?: number
  /** Count together with all gateways that have the same `redis`. Default: each process counts for itself. */
  shared?: boolean
  /** What holds of a shared limit while Redis is away: each process counts for itself, or all is allowed, or all is refused. Default `local`. */
  when_away?: 'local' | 'allow' | 'refuse'
  /** Redis counts as away for a request when it has not answered within this, milliseconds. Default 100. */
  away_after_ms?: number
}

const WINDOWS = [
  { name: 'second', seconds: 1 },
  { name: 'minute', seconds: 60 },
  { name: 'hour', seconds: 3_600 },
  { name: 'day', seconds: 86_400 },
] as const

interface Window {
  readonly name: string
  readonly seconds: number
  readonly limit: number
  readonly take: (key: string) => RateLimitAnswer | Promise<RateLimitAnswer>
}

const count = integer(1, 1_000_000_000)

/**
 * Limits requests by caller: in each process for itself, or exactly, over all gateways with the same Redis. Answers carry `RateLimit` and `RateLimit-Policy`; too many get 429 with `Retry-After`.
 *
 * @see IETF draft "RateLimit header fields for HTTP" (httpapi)
 */
export const rateLimiting: Plugin<RateLimitingConfig> = {
  config: {
    kind: 'map',
    keys: {
      second: { shape: count, about: 'requests per second' },
      minute: { shape: count, about: 'requests per minute' },
      hour: { shape: count, about: 'requests per hour' },
      day: { shape: count, about: 'requests per day' },
      by: { shape: oneOf('ip', 'subject', 'header', 'claim'), about: 'whose requests are counted together' },
      header: {
        shape: text('the name of a header, as in "x-api-key"', (name) => /^[\w-]+$/.test(name)),
        about: 'the header that tells callers apart',
      },
      claim: { shape: text('the name of a claim, as in "tenant"'), about: 'the claim that tells callers apart' },
      algorithm: { shape: oneOf('gcra', 'sliding-window'), about: 'how takes come back: evenly, or no more than the limit in any period' },
      burst: { shape: count, about: 'how many may come at once' },
      shared: { shape: { kind: 'boolean' }, about: 'whether all gateways with the same "redis" count together' },
      when_away: { shape: oneOf('local', 'allow', 'refuse'), about: 'what holds of a shared limit while Redis is away' },
      away_after_ms: { shape: integer(1, 60_000), about: 'how long a request waits for Redis' },
    },
    rules: [
      (config) =>
        WINDOWS.some(({ name }) => name in config)
          ? undefined
          : { message: 'has no limit; wanted "second", "minute", "hour" or "day", as in { minute: 100 }' },
      (config) =>
        config.by === 'header' && !config.header
          ? { key: 'by', message: 'has "by: header" without "header", as in { by: header, header: x-api-key }' }
          : undefined,
      (config) => (config.by !== 'header' && config.header ? { key: 'header', message: 'has "header" without "by: header"' } : undefined),
      (config) =>
        config.by === 'claim' && !config.claim
          ? { key: 'by', message: 'has "by: claim" without "claim", as in { by: claim, claim: tenant }' }
          : undefined,
      (config) => (config.by !== 'claim' && config.claim ? { key: 'claim', message: 'has "claim" without "by: claim"' } : undefined),
      (config) => awayRule(config, 'when_away') ?? awayRule(config, 'away_after_ms'),
      (config) => burstRule(config),
    ],
  },
  create(config, context) {
    const windows = WINDOWS.flatMap(({ name, seconds }): Window[] => {
      const limit = config[name]
      return limit === undefined ? [] : [{ name, seconds, limit, take: takerOf(name, quotaOf(config, limit, seconds), config, context) }]
    })
    const policy = windows.map(({ name, seconds, limit }) => `"${name}";q=${limit};w=${seconds}`).join(', ')

    return (next) => async (request) => {
      const key = keyOf(request, config)
      const taken = config.shared ? await takeTogether(windows, key) : take(windows, key)
      const refused = taken.find(({ answer }) => !answer.allowed)
      const response = refused ? tooMany(refused) : await next(request)
      const state = taken.map(({ name, answer }) => `"${name}";r=${answer.remaining};t=${Math.ceil(answer.resetMs / 1_000)}`).join(', ')
      return { ...response, headers: withHeader(withHeader(response.headers, 'ratelimit-policy', policy), 'ratelimit', state) }
    }
  },
}

function quotaOf({ algorithm = 'gcra', burst }: RateLimitingConfig, limit: number, seconds: number): RateQuota {
  const periodMs = seconds * 1_000
  return algorithm === 'gcra' ? { algorithm, limit, periodMs, burst: burst ?? limit } : { algorithm, limit, periodMs }
}

function takerOf(window: string, quota: RateQuota, config: RateLimitingConfig, context: PluginContext): Window['take'] {
  const { world, rateLimits: store, route, routeKey } = context
  if (!config.shared) {
    const { limit, periodMs } = quota
    const limiter =
      quota.algorithm === 'gcra' ? gcra({ limit, periodMs, burst: quota.burst, world }) : slidingWindow({ limit, periodMs, world })
    return (key) => limiter.take(key)
  }
  if (!store)
    throw new GatewayError(
      'ERR_CONFIG_INVALID',
      `route "${route}": rate-limiting has "shared: true", but there is no place to count together; say at the top of the file where it is, as in redis: redis://127.0.0.1:6379`,
    )
  const limiter = sharedRateLimiter({ store, quota, world, whenAway: config.when_away ?? 'local', timeoutMs: config.away_after_ms ?? 100 })
  return (key) => limiter.take(`${routeKey} ${window} ${key}`)
}

type Taken = Window & { readonly answer: RateLimitAnswer }

/**
 * Asks the shortest window first and stops at the first refusal, so that requests refused for coming too fast do not use up the
 * longer windows.
 */
function take(windows: readonly Window[], key: string): Taken[] {
  const taken: Taken[] = []
  for (const window of windows) {
    // A limiter of this process answers at once.
    const answer = window.take(key) as RateLimitAnswer
    taken.push({ ...window, answer })
    if (!answer.allowed) break
  }
  return taken
}

/** The same where the counts are elsewhere. */
async function takeTogether(windows: readonly Window[], key: string): Promise<Taken[]> {
  const taken: Taken[] = []
  for (const window of windows) {
    const answer = await window.take(key)
    taken.push({ ...window, answer })
    if (!answer.allowed) break
  }
  return taken
}

function awayRule(config: Readonly<Record<string, unknown>>, key: string): { key: string; message: string } | undefined {
  if (config[key] === undefined || config.shared === true) return undefined
  return { key, message: `has "${key}" without "shared: true"; a limit of this process is never away` }
}

function burstRule(config: Readonly<Record<string, unknown>>): { key: string; message: string } | undefined {
  if (config.burst === undefined) return undefined
  if (config.algorithm === 'sliding-window')
    return { key: 'burst', message: 'has "burst" with "algorithm: sliding-window", which has none' }
  const many = WINDOWS.filter(({ name }) => name in config).length > 1
  return many ? { key: 'burst', message: 'has "burst" with several windows; wanted one of "second", "minute", "hour", "day"' } : undefined
}

function tooMany({ name, limit, answer }: Taken): GatewayResponse {
  if (answer.isAway) {
    const detail = 'requests cannot be counted now, and this path takes none that are not'
    return problem({ status: 503, code: 'ERR_LIMITS_AWAY', detail, retryAfterMs: answer.retryAfterMs })
  }
  return problem({
    status: 429,
    code: 'ERR_RATE_LIMITED',
    detail: `more than ${limit} requests per ${name}; try again in ${Math.max(1, Math.ceil(answer.retryAfterMs / 1_000))} s`,
    retryAfterMs: answer.retryAfterMs,
  })
}

/** Callers without what they are told apart by share the limit of their address. */
function keyOf(request: GatewayRequest, config: RateLimitingConfig): string {
  const value = callerOf(request, config)
  return value === undefined ? `ip ${networkOf(request.clientIp)}` : `${config.by} ${shortened(value)}`
}

/** What is remembered of a caller: a client that makes up callers of 16 KB each could fill the memory with their keys. */
function shortened(caller: string): string {
  return caller.length <= 100 ? caller : `sha256:${hash('sha256', caller)}`
}

function callerOf(request: GatewayRequest, { by = 'ip', header = '', claim = '' }: RateLimitingConfig): string | undefined {
  if (by === 'subject') return request.subject
  if (by === 'header') return headerOf(request.headers, header.toLowerCase())
  return by === 'claim' ? claimOf(request, claim) : undefined
}

/** From what `jwt` hands on: a client's own header of this name passes no route. */
function claimOf({ headers }: GatewayRequest, claim: string): string | undefined {
  const encoded = headerOf(headers, 'x-auth-claims')
  if (encoded === undefined) return undefined
  const claims: Readonly<Record<string, unknown>> = JSON.parse(Buffer.from(encoded, 'base64url').toString())
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  return value === undefined ? undefined : JSON.stringify(value)
}

/** One customer has a whole /64 of IPv6, so an address of it says nothing. */
export function networkOf(ip: string): string {
  if (!isIPv6(ip)) return ip
  const [left = '', right] = (ip.split('%')[0] ?? '').toLowerCase().split('::')
  const groups = (part: string | undefined) => (part ? part.split(':') : [])
  const tail = groups(right)
  const missing = right === undefined ? 0 : 8 - groups(left).length - tail.length
  const all = [...groups(left), ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...tail]
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
