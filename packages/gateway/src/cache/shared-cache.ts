import { Readable } from 'node:stream'
import { type Logger, messageOf, type World } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import type { GatewayRequest, GatewayResponse, Handler } from '../exchange.ts'
import { type HeaderList, headerOf, withoutHeaders } from '../headers.ts'
import { problem } from '../problem.ts'
import { noBody } from '../request-body.ts'
import { dropAnswer } from '../upstream-client.ts'
import { cacheControlOf, type Directives } from './cache-control.ts'
import { withStatus } from './cache-status.ts'
import { type CopyRoom, collect, copyRoom } from './collect.ts'
import { type Entry, initialAgeMs, isAbout, lifetimeMs, mergedHeaders, type Times, varyingOf } from './entry.ts'
import { type Flight, Flights, type Landing } from './flights.ts'
import { give } from './give.ts'
import { judge, mayStandIn } from './judge.ts'
import { isFor, isPersonal, isValidated, lifetimeOf, mayStore } from './may-store.ts'
import { directivesOf, hasCondition, isPassedOn, keyOf, keyOfReference, withoutConditions, withValidators } from './question.ts'
import { type CacheStore, cacheStore } from './store.ts'

export interface SharedCacheOptions {
  /** Of all entries together; of copies on their way, as much again. */
  readonly maxBytes: number
  readonly maxEntryBytes: number
  /** How long an answer is fresh that does not say so. */
  readonly defaultTtlMs: number
  /** How long a stale answer stands in for one that fails, where it does not say so. */
  readonly staleIfErrorMs: number
  /** How long requests wait for the same answer that is on its way; 0: they do not. */
  readonly coalesceMs: number
  readonly world: World
  readonly log: Logger
}

/** A request by GET or HEAD that the store may answer. */
interface Question {
  readonly key: string
  readonly request: GatewayRequest
  readonly asked: Directives
  readonly next: Handler
}

/** A question on its way to the service. */
interface Asking extends Question {
  /** What is stored for it, but may not be given as it is. */
  readonly entry: Entry | undefined
  /** For `Cache-Status`. */
  readonly why: string
  readonly flight: Flight
}

/** Moves answers between a service, its clients and the store. What may be done is said by the pure files beside this one. */
export class SharedCache {
  readonly #options: SharedCacheOptions
  readonly #store: CacheStore
  readonly #flights: Flights
  readonly #room: CopyRoom

  constructor(options: SharedCacheOptions) {
    this.#options = options
    this.#store = cacheStore(options.maxBytes)
    this.#flights = new Flights(options.coalesceMs, options.world)
    this.#room = copyRoom(options.maxBytes)
  }

  async answer(request: GatewayRequest, next: Handler): Promise<GatewayResponse> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.#passChange(request, next)
    if (isPassedOn(request)) return withStatus(await next(request), 'fwd=bypass')
    return this.#lookUp({ key: keyOf(request), request, asked: directivesOf(request.headers), next })
  }

  /** A change that succeeded makes what is kept of the same address worthless. @see RFC 9111, section 4.4 */
  async #passChange(request: GatewayRequest, next: Handler): Promise<GatewayResponse> {
    const response = await next(request)
    if (request.method !== 'OPTIONS' && response.status >= 200 && response.status < 400) {
      this.#forget(keyOf(request))
      for (const name of ['location', 'content-location']) {
        const reference = headerOf(response.headers, name)
        const key = reference === undefined ? undefined : keyOfReference(request, reference)
        if (key !== undefined) this.#forget(key)
      }
    }
    return withStatus(response, 'fwd=method')
  }

  #forget(key: string): void {
    this.#store.remove(key)
    this.#flights.outdate(key)
  }

  async #lookUp(question: Question): Promise<GatewayResponse> {
    const { key, request, asked, next } = question
    let why: string | undefined
    // A flight that fails lets the next one try; one of them at a time, and not for ever.
    for (let waits = 0; ; waits += 1) {
      const found = this.#store.find(key, request.headers)
      const entry = found && isFor(request, found.control) ? found : undefined
      const given = entry && this.#fromStore(question, entry)
      if (given) return withStatus(given.response, why === undefined ? given.what : `${why}; collapsed`)
      if (asked.has('only-if-cached')) return withStatus(notCached(), 'fwd=request')
      why ??= reasonOf(entry, asked) ?? (found ? 'fwd=miss' : this.#store.has(key) ? 'fwd=vary-miss' : 'fwd=uri-miss')
      // Neither is kept, so nobody need know of it.
      if (request.method === 'HEAD' || asked.has('no-store')) return withStatus(await next(request), why)
      const lane = this.#laneOf(question)
      const mayWait = waits < 2 && !asked.has('no-cache')
      if (mayWait && (await this.#flights.join(key, lane, request.cancellation)) === 'over') continue
      // A 304 for a client that has it already would be of no use to others.
      const isOwn = hasCondition(request.headers) && !(entry && isValidated(entry.headers))
      return this.#fetch({ ...question, entry, why, flight: this.#flights.begin(key, isOwn ? undefined : lane) })
    }
  }

  /** Who waits for whom: those who could do with the same answer. */
  #laneOf({ key, request }: Question): string {
    return `${isPersonal(request) ? 'known ' : ''}${this.#store.variant(key, request.headers)}`
  }

  /** The stored answer as it may be given now; `undefined`: the service is to be asked. */
  #fromStore(question: Question, entry: Entry): { readonly response: GatewayResponse; readonly what: string } | undefined {
    const now = this.#options.world.monotonic()
    const verdict = judge(entry, question.asked, now)
    if (verdict === 'ask') return undefined
    if (verdict === 'stale, asked later') void this.#refresh(question, entry)
    const ttl = Math.floor((entry.lifetimeMs - entry.initialAgeMs - (now - entry.receivedAt)) / 1_000)
    return { response: give(question.request, entry, now), what: `hit; ttl=${ttl}` }
  }

  /** Asks the service for an answer that a client has in its stale form. */
  async #refresh(question: Question, entry: Entry): Promise<void> {
    const { key, request, next } = question
    const lane = this.#laneOf(question)
    if (this.#flights.isUnderWay(key, lane)) return
    const flight = this.#flights.begin(key, lane)
    const own = { method: 'GET', headers: withoutConditions(request.headers), body: noBody, onEarlyHints: undefined }
    // It goes on when that client leaves.
    const later = { ...request, ...own, cancellation: new Cancellation(this.#options.world) }
    try {
      const { body } = await this.#fetch({ key, request: later, asked: new Map(), next, entry, why: 'fwd=stale', flight })
      if (!(body instanceof Readable)) return
      const dropUnkept = () => void (flight.hasLanded && body.destroy())
      // Nobody reads it but the copy: what goes wrong with it has landed the flight.
      body.on('error', () => undefined).on('data', dropUnkept)
      dropUnkept()
    } catch (error) {
      flight.land('failed')
      this.#options.log.warn({ path: request.path }, `a stale answer could not be asked for anew: ${messageOf(error)}`)
    }
  }

  async #fetch(asking: Asking): Promise<GatewayResponse> {
    const { request, asked, entry, next, why, flight } = asking
    const { world, staleIfErrorMs } = this.#options
    const askedAt = world.monotonic()
    const isConditional = entry !== undefined && isValidated(entry.headers)
    let response = await next(isConditional ? { ...request, headers: withValidators(request.headers, entry.headers) } : request)
    let isConfirmed = isConditional && response.status === 304
    if (isConfirmed && entry && !isAbout(entry, response.headers)) {
      dropAnswer(response)
      response = await next({ ...request, headers: withoutConditions(request.headers) })
      isConfirmed = false
    }
    const receivedAt = world.monotonic()
    const times = { askedAt, receivedAt, now: world.now() }
    if (entry && isConfirmed) return this.#freshen({ ...asking, entry }, response, times)
    if (entry && response.status >= 500 && mayStandIn(entry, asked, receivedAt, staleIfErrorMs)) {
      dropAnswer(response)
      flight.land('failed')
      return withStatus(give(request, entry, receivedAt), `${why}; fwd-status=${response.status}`)
    }
    return this.#keep(asking, response, times)
  }

  /** The service says that what is stored still holds. */
  #freshen(asking: Asking & { readonly entry: Entry }, response: GatewayResponse, times: Times): GatewayResponse {
    const { key, request, entry, why, flight } = asking
    dropAnswer(response)
    const headers = mergedHeaders(entry, response.headers)
    // What is only for this client now, as with a cookie, is given to this one and kept no more.
    const { mayKeep, made } = this.#entryOf(asking, { status: entry.status, headers, age: response.headers }, times)
    const fresh = made(entry.body)
    if (mayKeep && !flight.isOutdated) this.#store.put(key, fresh, request.headers)
    else this.#store.drop(key, entry)
    flight.land(landingOf(mayKeep, flight))
    return withStatus(give(request, fresh, times.receivedAt), `${why}; fwd-status=304`)
  }

  /** Hands an answer on, and keeps it where that is allowed, once all of it has come. */
  #keep(asking: Asking, response: GatewayResponse, times: Times): GatewayResponse {
    const { key, request, entry, why, flight } = asking
    const { status, headers, body, tunnel } = response
    const { mayKeep, made } = this.#entryOf(asking, { status, headers, age: headers }, times)
    if (!mayKeep || tunnel || Number(headerOf(headers, 'content-length') ?? 0) > this.#options.maxEntryBytes) {
      if (entry && isOfResource(status)) this.#store.drop(key, entry)
      flight.land(status === 304 || status === 499 ? 'lost' : isOfResource(status) ? 'not kept' : 'failed')
      return withStatus(response, why)
    }
    const done = (result: Uint8Array | Landing) => {
      if (typeof result !== 'object') return flight.land(result)
      const mayPut = result.length <= this.#options.maxEntryBytes
      if (mayPut && !flight.isOutdated) this.#store.put(key, made(result), request.headers)
      flight.land(landingOf(mayPut, flight))
    }
    const said = `${why}; stored`
    if (body instanceof Readable)
      return withStatus({ ...response, body: collect(body, { maxBytes: this.#options.maxEntryBytes, room: this.#room, done }) }, said)
    // A copy: a part of what came from the network would keep all of that in memory.
    done(new Uint8Array(typeof body === 'string' ? Buffer.from(body) : (body ?? [])))
    return withStatus(response, said)
  }

  /** @param age where its `Age` stands, when it is not its own */
  #entryOf(
    { request, asked }: Question,
    { status, headers, age }: { readonly status: number; readonly headers: HeaderList; readonly age: HeaderList },
    times: Times,
  ): { readonly mayKeep: boolean; readonly made: (body: Uint8Array) => Entry } {
    const control = cacheControlOf(headers)
    const said = { status, saidMs: lifetimeMs(headers, control, times.now), defaultTtlMs: this.#options.defaultTtlMs }
    const varying = varyingOf(headers, request.headers)
    const entry = {
      ...{ status, control, varying: varying ?? new Map<string, string>(), headers: withoutHeaders(headers, (name) => name === 'age') },
      ...{ initialAgeMs: initialAgeMs(age, times), receivedAt: times.receivedAt, lifetimeMs: lifetimeOf(request, said) },
    }
    return {
      mayKeep: varying !== undefined && mayStore(request, asked, { ...said, headers, control }),
      made: (body) => ({ ...entry, body }),
    }
  }
}

function landingOf(isKept: boolean, { isOutdated }: Flight): Landing {
  if (isOutdated) return 'lost'
  return isKept ? 'kept' : 'not kept'
}

/** Whether an answer says something of what was asked for, and not of who asked or of how the service is. */
function isOfResource(status: number): boolean {
  return (status < 400 && status !== 304) || status === 404 || status === 410
}

/** Why a request goes on that something is stored for. @see RFC 9211, section 2.2 */
function reasonOf(entry: Entry | undefined, asked: Directives): string | undefined {
  if (!entry) return undefined
  return asked.has('no-cache') || asked.has('max-age') || asked.has('min-fresh') ? 'fwd=request' : 'fwd=stale'
}

function notCached(): GatewayResponse {
  return problem({ status: 504, code: 'ERR_NOT_CACHED', detail: 'there is no stored answer, and the client wants no other' })
}
