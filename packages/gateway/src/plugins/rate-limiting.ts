import { isIPv6 } from 'node:net'
import { gcra, type RateLimitAnswer, type RateLimiter } from '@banyan/resilience'
import { integer, oneOf, text } from '../config-shape.ts'
import type { GatewayRequest, GatewayResponse } from '../exchange.ts'
import { headerOf, withHeader } from '../headers.ts'
import { problem } from '../problem.ts'
import type { Plugin } from './plugin.ts'

/** How many requests one caller may make. Several limits hold together. */
export interface RateLimitingConfig {
  second?: number
  minute?: number
  hour?: number
  day?: number
  /** Whose requests are counted together. `subject` is who the plugin `jwt`, placed before, found. Default `ip`. */
  by?: 'ip' | 'subject' | 'header'
  /** The header that tells callers apart, for `by: header`. */
  header?: string
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
  readonly limiter: RateLimiter
}

const count = integer(1, 1_000_000_000)

/**
 * Limits requests by caller, in this process, by GCRA: a caller may use a whole limit at once and then gets it back evenly.
 * Answers carry `RateLimit` and `RateLimit-Policy`; too many get 429 with `Retry-After`.
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
      by: { shape: oneOf('ip', 'subject', 'header'), about: 'whose requests are counted together' },
      header: {
        shape: text('the name of a header, as in "x-api-key"', (name) => /^[\w-]+$/.test(name)),
        about: 'the header that tells callers apart',
      },
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
    ],
  },
  create(config, { world }) {
    const windows = WINDOWS.flatMap(({ name, seconds }): Window[] => {
      const limit = config[name]
      return limit === undefined ? [] : [{ name, seconds, limit, limiter: gcra({ limit, periodMs: seconds * 1_000, world }) }]
    })
    const policy = windows.map(({ name, seconds, limit }) => `"${name}";q=${limit};w=${seconds}`).join(', ')

    return (next) => async (request) => {
      const taken = take(windows, keyOf(request, config))
      const refused = taken.find(({ answer }) => !answer.allowed)
      const response = refused ? tooMany(refused) : await next(request)
      const state = taken.map(({ name, answer }) => `"${name}";r=${answer.remaining};t=${Math.ceil(answer.resetMs / 1_000)}`).join(', ')
      return { ...response, headers: withHeader(withHeader(response.headers, 'ratelimit-policy', policy), 'ratelimit', state) }
    }
  },
}

type Taken = Window & { readonly answer: RateLimitAnswer }

/**
 * Asks the shortest window first and stops at the first refusal, so that requests refused for coming too fast do not use up the
 * longer windows.
 */
function take(windows: readonly Window[], key: string): Taken[] {
  const taken: Taken[] = []
  for (const window of windows) {
    const answer = window.limiter.take(key)
    taken.push({ ...window, answer })
    if (!answer.allowed) break
  }
  return taken
}

function tooMany({ name, limit, answer }: Taken): GatewayResponse {
  return problem({
    status: 429,
    code: 'ERR_RATE_LIMITED',
    detail: `more than ${limit} requests per ${name}; try again in ${Math.max(1, Math.ceil(answer.retryAfterMs / 1_000))} s`,
    retryAfterMs: answer.retryAfterMs,
  })
}

/** Callers without what they are told apart by share the limit of their address. */
function keyOf(request: GatewayRequest, { by = 'ip', header = '' }: RateLimitingConfig): string {
  const value = by === 'subject' ? request.subject : by === 'header' ? headerOf(request.headers, header.toLowerCase()) : undefined
  return value === undefined ? `ip ${networkOf(request.clientIp)}` : `${by} ${value}`
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
