import { Readable } from 'node:stream'
import { type Logger, messageOf, type World } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import { cacheControlOf, type Directives } from '../cache/cache-control.ts'
import { collect } from '../cache/collect.ts'
import { type Entry, freshened, initialAgeMs, lifetimeMs, type Times, varyingOf } from '../cache/entry.ts'
import { Flights, type Landing } from '../cache/flights.ts'
import { give } from '../cache/give.ts'
import { judge, mayStandIn } from '../cache/judge.ts'
import { isValidated, mayStore } from '../cache/may-store.ts'
import { type CacheStore, cacheStore } from '../cache/store.ts'
import { integer, type MapShape } from '../config-shape.ts'
import type { GatewayRequest, GatewayResponse, Handler } from '../exchange.ts'
import { type HeaderList, headerOf, withHeader, withoutHeaders } from '../headers.ts'
import { problem } from '../problem.ts'
import { noBody } from '../request-body.ts'
import { dropAnswer } from '../upstream-client.ts'
import type { Plugin } from './plugin.ts'

/** A cache of answers to GET, shared by all clients of a route. */
export interface ProxyCacheConfig {
  /** Of all answers together. Default 67,108,864. */
  max_bytes?: number
  /** A longer answer is not kept. Default 1,048,576. */
  max_entry_bytes?: number
  /** How long an answer is fresh that does not say so, seconds. Default 0: it is not kept, unless it can be asked for on a condition. */
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
 * Keeps answers as RFC 9111 lets a shared cache do. A request is told apart by host, path and query as they are forwarded, and by what `Vary` says.
 *
 * @see RFC 9111; RFC 5861; RFC 9211
 */
export const proxyCache: Plugin<ProxyCacheConfig> = {
  config,
  create(options, { world, log }) {
    const cache = new SharedCache(options, world, log)
    return (next) => (request) => cache.answer(request, next)
  },
}

/** Requests on these conditions are for the service to judge; a part of an answer is not kept. */
const PASSED_ON = ['range', 'if-range', 'if-match', 'if-unmodified-since']

class SharedCache {
  readonly #store: CacheStore
  readonly #flights: Flights
  readonly #world: World
  readonly #log: Logger
  readonly #maxEntryBytes: number
  readonly #defaultTtlMs: number
  readonly #staleIfErrorMs: number

  constructor(options: ProxyCacheConfig, world: World, log: Logger) {
    const { max_bytes: maxBytes = 67_108_864, max_entry_bytes: maxEntryBytes = 1_048_576, coalesce_ms: coalesceMs = 5_000 } = options
    this.#store = cacheStore(maxBytes)
    this.#flights = new Flights(coalesceMs, world)
    this.#world = world
    this.#log = log
    this.#maxEntryBytes = Math.min(maxBytes, maxEntryBytes)
    this.#defaultTtlMs = (options.default_ttl_s ?? 0) * 1_000
    this.#staleIfErrorMs = (options.stale_if_error_s ?? 0) * 1_000
  }

  async answer(request: GatewayRequest, next: Handler): Promise<GatewayResponse> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.#passChange(request, next)
    const isPassed =
      request.isUpgrade || request.body.length !== 0 || PASSED_ON.some((name) => headerOf(request.headers, name) !== undefined)
    if (isPassed) return withStatus(await next(request), 'fwd=bypass')
    return this.#lookUp(request, directivesOf(request.headers), next)
  }

  /** A change that succeeded makes what is kept of the same address worthless. @see RFC 9111, section 4.4 */
  async #passChange(request: GatewayRequest, next: Handler): Promise<GatewayResponse> {
    const response = await next(request)
    if (request.method !== 'OPTIONS' && response.status >= 200 && response.status < 400) {
      this.#store.remove(keyOf(request))
      for (const name of ['location', 'content-location']) this.#removeNamed(request, headerOf(response.headers, name))
    }
    return withStatus(response, 'fwd=method')
  }

  #removeNamed(request: GatewayRequest, reference: string | undefined): void {
    const base = `http://${request.host}${request.path}`
    const url = reference !== undefined && URL.canParse(reference, base) ? new URL(reference, base) : undefined
    if (url?.hostname === request.host) this.#store.remove(keyOf({ host: request.host, path: url.pathname, query: url.search }))
  }

  async #lookUp(request: GatewayRequest, asked: Directives, next: Handler): Promise<GatewayResponse> {
    const key = keyOf(request)
    // A flight that fails lets the next one try; one of them at a time, and not for ever.
    for (let waits = 0; ; waits += 1) {
      const entry = this.#store.find(key, request.headers)
      const given = entry && this.#fromStore(key, request, asked, entry, next)
      if (given) return waits > 0 ? withStatus(given, 'fwd=uri-miss; collapsed') : given
      if (asked.has('only-if-cached')) {
        return withStatus(
          problem({ status: 504, code: 'ERR_NOT_CACHED', detail: 'there is no stored answer, and the client wants no other' }),
          'fwd=request',
        )
      }
      if (request.method === 'HEAD') return withStatus(await next(request), reasonOf(entry, this.#store.has(key), asked))
      const mayWait = waits < 2 && !asked.has('no-cache') && !asked.has('no-store')
      if (mayWait && (await this.#flights.join(key, request.cancellation)) === 'over') continue
      return this.#fetch(key, request, asked, entry, next)
    }
  }

  /** The stored answer as it may be given now; `undefined`: the service is to be asked. */
  #fromStore(key: string, request: GatewayRequest, asked: Directives, entry: Entry, next: Handler): GatewayResponse | undefined {
    const now = this.#world.monotonic()
    const verdict = judge(entry, asked, now)
    if (verdict === 'ask') return undefined
    if (verdict === 'stale, asked later') void this.#refresh(key, request, entry, next)
    const ttl = Math.floor((entry.lifetimeMs - entry.initialAgeMs - (now - entry.receivedAt)) / 1_000)
    return withStatus(give(request, entry, now), `hit; ttl=${ttl}`)
  }

  /** Asks the service for an answer that a client has in its stale form. */
  async #refresh(key: string, request: GatewayRequest, entry: Entry, next: Handler): Promise<void> {
    if (this.#flights.isUnderWay(key)) return
    // It goes on when that client leaves.
    const own = { ...request, method: 'GET', cancellation: new Cancellation(this.#world), body: noBody, onEarlyHints: undefined }
    try {
      const { body } = await this.#fetch(key, { ...own, headers: withoutHeaders(own.headers, isCondition) }, new Map(), entry, next)
      if (body instanceof Readable) body.on('error', () => undefined).resume()
    } catch (error) {
      this.#log.warn({ path: request.path }, `a stale answer could not be asked for anew: ${messageOf(error)}`)
    }
  }

  async #fetch(key: string, request: GatewayRequest, asked: Directives, entry: Entry | undefined, next: Handler): Promise<GatewayResponse> {
    const land = this.#flights.begin(key)
    const why = reasonOf(entry, this.#store.has(key), asked)
    const askedAt = this.#world.monotonic()
    const isConditional = entry !== undefined && isValidated(entry.headers)
    const response = await next(isConditional ? { ...request, headers: withValidators(request.headers, entry.headers) } : request)
    const now = this.#world.monotonic()
    const times = { askedAt, receivedAt: now, now: this.#world.now() }
    if (isConditional && response.status === 304) {
      dropAnswer(response)
      const fresh = freshened(entry, response.headers, times, this.#defaultTtlMs)
      this.#store.put(key, fresh, request.headers)
      land('kept')
      return withStatus(give(request, fresh, now), `${why}; fwd-status=304`)
    }
    if (entry && response.status >= 500 && mayStandIn(entry, asked, now, this.#staleIfErrorMs)) {
      dropAnswer(response)
      land('failed')
      return withStatus(give(request, entry, now), `${why}; fwd-status=${response.status}`)
    }
    return this.#keep(key, request, asked, response, { why, times, land })
  }

  /** Hands an answer on, and keeps it where that is allowed, once all of it has come. */
  #keep(
    key: string,
    request: GatewayRequest,
    asked: Directives,
    response: GatewayResponse,
    { why, times, land }: { readonly why: string; readonly times: Times; readonly land: (landing: Landing) => void },
  ): GatewayResponse {
    const make = this.#entryMaker(request, asked, response, times)
    const { body } = response
    if (!make || Number(headerOf(response.headers, 'content-length') ?? 0) > this.#maxEntryBytes) {
      if (response.status < 499) this.#store.remove(key)
      land(response.status < 499 ? 'not kept' : response.status === 499 ? 'lost' : 'failed')
      return withStatus(response, why)
    }
    const put = (bytes: Uint8Array | undefined) => {
      if (bytes === undefined || bytes.length > this.#maxEntryBytes) return land('lost')
      this.#store.put(key, make(bytes), request.headers)
      land('kept')
    }
    if (body instanceof Readable) {
      const copied = collect(body, { maxBytes: this.#maxEntryBytes, done: put })
      return withStatus({ ...response, body: copied }, `${why}; stored`)
    }
    put(body === undefined ? new Uint8Array() : typeof body === 'string' ? Buffer.from(body) : body)
    return withStatus(response, `${why}; stored`)
  }

  /** Makes an entry of a body; `undefined`: the answer may not be kept. */
  #entryMaker(
    request: GatewayRequest,
    asked: Directives,
    response: GatewayResponse,
    times: Times,
  ): ((body: Uint8Array) => Entry) | undefined {
    const { status, headers, tunnel } = response
    const control = cacheControlOf(headers)
    const saidMs = lifetimeMs(headers, control, times.now)
    const varying = varyingOf(headers, request.headers)
    if (tunnel || !varying || !mayStore(request, asked, { status, headers, control, saidMs, defaultTtlMs: this.#defaultTtlMs }))
      return undefined
    const entry = {
      ...{ status, control, varying, headers: withoutHeaders(headers, (name) => name === 'age') },
      ...{ initialAgeMs: initialAgeMs(headers, times), receivedAt: times.receivedAt, lifetimeMs: saidMs ?? this.#defaultTtlMs },
    }
    return (body) => ({ ...entry, body })
  }
}

/** As the route matched it and as it is forwarded: no two requests of one key get different answers, but by `Vary`. */
function keyOf({ host, path, query }: Pick<GatewayRequest, 'host' | 'path' | 'query'>): string {
  return `${host} ${path}${query}`
}

/** Of a request; `Pragma: no-cache` is what HTTP/1.0 had. @see RFC 9111, section 5.4 */
function directivesOf(headers: HeaderList): Directives {
  const directives = cacheControlOf(headers)
  if (directives.size > 0 || !/(?:^|,)\s*no-cache\s*(?:,|$)/i.test(headerOf(headers, 'pragma') ?? '')) return directives
  return new Map([['no-cache', '']])
}

function isCondition(name: string): boolean {
  return name === 'if-none-match' || name === 'if-modified-since'
}

/** On the condition that the service has another answer than the stored one. @see RFC 9111, section 4.3.1 */
function withValidators(headers: HeaderList, stored: HeaderList): HeaderList {
  const [tag, changed] = [headerOf(stored, 'etag'), headerOf(stored, 'last-modified')]
  return [
    ...withoutHeaders(headers, isCondition),
    ...(tag === undefined ? [] : ['if-none-match', tag]),
    ...(changed === undefined ? [] : ['if-modified-since', changed]),
  ]
}

/** Why a request goes on. @see RFC 9211, section 2.2 */
function reasonOf(entry: Entry | undefined, hasOthers: boolean, asked: Directives): string {
  if (entry) return asked.has('no-cache') || asked.has('max-age') || asked.has('min-fresh') ? 'fwd=request' : 'fwd=stale'
  return hasOthers ? 'fwd=vary-miss' : 'fwd=uri-miss'
}

/** Says what the cache did, behind what caches before it said. */
function withStatus(response: GatewayResponse, status: string): GatewayResponse {
  const before = headerOf(response.headers, 'cache-status')
  const own = `banyan; ${status}`
  return {
    ...response,
    headers: withHeader(response.headers, 'cache-status', before === undefined || before.startsWith('banyan;') ? own : `${before}, ${own}`),
  }
}
