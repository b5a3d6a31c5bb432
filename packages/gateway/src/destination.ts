import { type Instance, type Logger, messageOf, type Registry, type World } from '@banyan/core'
import { type Picked, staticRegistry, type Upstream, upstream } from '@banyan/discovery'
import {
  type BreakerStateName,
  type Cancellation,
  type CircuitBreaker,
  circuitBreaker,
  exponential,
  hedge,
  type Policy,
  policy,
  ResilienceError,
  retry,
  retryBudget,
} from '@banyan/resilience'
import { type Answer, type AttemptOptions, attempt, type Call, type Endpoint, TryFailed } from './attempt.ts'
import { checkedRegistry } from './checked-registry.ts'
import type { OutlierConfig, ServiceConfig } from './config.ts'
import { GatewayError } from './errors.ts'
import { dropAnswer, type UpstreamClient, type UpstreamClients, type UpstreamProtocol } from './upstream-client.ts'

/** Where requests go: a service or a fixed address, with its breaker and its retry budget. */
export interface Destination {
  /** The service's name, or the address. */
  readonly name: string
  /** Put before every path; of a fixed address with a path. */
  readonly basePath: string
  readonly protocol: UpstreamProtocol
  /**
   * Sends a request, to another endpoint again where that is safe, and waits for the head of the answer.
   *
   * @param mayRepeat whether the request may be made twice
   * @throws a `CodedError` with the status to answer with
   */
  call(call: Call, mayRepeat: boolean, cancellation: Cancellation): Promise<Answer>
  state(): DestinationState
  stop(): void
}

/** How a destination stands, for health. */
export interface DestinationState {
  readonly name: string
  readonly instances: number
  readonly breaker: BreakerStateName
}

/** What all destinations of a gateway share. */
export interface DestinationOptions {
  readonly registry: Registry
  readonly clients: UpstreamClients
  /** The service's name in spans. */
  readonly gateway: string
  /** How it is called. */
  readonly service: ServiceConfig
  readonly world: World
  readonly log: Logger
}

/** How long a service that discovery has not said anything about yet is waited for. */
const firstLookMs = 2_000

/** A service's name, or an address like `http://127.0.0.1:9100/base`. */
export type Target = { readonly service: string } | { readonly url: string }

/** Creates the {@link Destination} of a service's name or of an address like `http://127.0.0.1:9100/base`. */
export function destination(target: Target, options: DestinationOptions): Destination {
  const { world, log } = options
  const place = 'service' in target ? placeOfService(target.service, options.registry) : placeOfUrl(target.url)
  const { name } = place
  const { protocol = 'http1', check } = options.service
  const client = options.clients[protocol]
  const endpointOf = newEndpoints(name, place.scheme)
  const originOf = (instance: Instance) => endpointOf(instance).origin
  const registry = check ? checkedRegistry({ registry: place.registry, check, originOf, client, world, log }) : place.registry
  const endpoints = upstream({ registry, service: name, ...balanceOf(options.service), world, log })
  const tryOptions = { destination: name, gateway: options.gateway, client, endpoints, endpointOf, world }
  const onFailure = (error: unknown) => settle(error, name, log)
  const breaker = breakerOf(options)
  const budget = retryBudget({ world })
  /** By their number of retries and when they hedge, which routes choose; all share the breaker and the budget. */
  const policies = new Map<string, Policy>()

  function policyFor(retries: number, hedgeMs: number | undefined): Policy {
    const key = hedgeMs === undefined ? String(retries) : `${retries} ${hedgeMs}`
    let found = policies.get(key)
    if (!found) {
      const again = retry({
        attempts: retries + 1,
        backoff: exponential({ baseMs: 25, capMs: 250 }),
        retryIf: (error) => error instanceof Repeatable,
        neverSent: (error) => error instanceof Repeatable && error.isNeverSent,
        budget,
        world,
      })
      // Each of several calls passes the breaker: one that is aborted as another was faster says nothing of the service.
      found = hedgeMs === undefined ? policy(name, again, breaker) : policy(name, again, hedge({ after: hedgeMs, budget, world }), breaker)
      policies.set(key, found)
    }
    return found
  }

  return {
    name,
    basePath: place.basePath,
    protocol,
    call(call, mayRepeat, cancellation) {
      const tries = new Tries(call, mayRepeat, tryOptions)
      const hedgeMs = hedgeOf(call, mayRepeat)
      const options = { cancellation, idempotent: mayRepeat }
      const answer = policyFor(call.limits.retries, hedgeMs)
        .run((scope) => tries.next(scope.attempt, scope.hedge, scope.cancellation), options)
        .catch(onFailure)
      // Of several calls at once, one may have brought a bad answer that nobody takes.
      return hedgeMs === undefined ? answer : kept(answer, tries)
    },
    state: () => ({ name, instances: endpoints.snapshot().instances.length, breaker: breaker.state }),
    stop: () => endpoints.stop(),
  }
}

/** Requests without a body only: two calls cannot both read it. */
function hedgeOf({ limits, body, method }: Call, mayRepeat: boolean): number | undefined {
  const { hedgeMs } = limits
  return hedgeMs !== undefined && mayRepeat && body.length === 0 && (method === 'GET' || method === 'HEAD') ? hedgeMs : undefined
}

async function kept(answer: Promise<Answer>, tries: Tries): Promise<Answer> {
  let taken: Answer | undefined
  try {
    taken = await answer
    return taken
  } finally {
    tries.keep(taken)
  }
}

interface Place {
  readonly name: string
  readonly registry: Registry
  readonly scheme: 'http' | 'https'
  readonly basePath: string
}

function placeOfService(service: string, registry: Registry): Place {
  return { name: service, registry, scheme: 'http', basePath: '' }
}

function placeOfUrl(address: string): Place {
  const url = new URL(address)
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port)
  const name = url.origin
  const registry = staticRegistry({ [name]: [{ id: name, host: url.hostname.replace(/^\[|\]$/g, ''), port }] })
  return { name, registry, scheme, basePath: url.pathname.replace(/\/+$/, '') }
}

function balanceOf({ balance = 'p2c', slow_start_ms: slowStartMs = 0, outliers = {} }: ServiceConfig) {
  return { balance, slowStartMs, outliers: outlierOptions(outliers) }
}

function outlierOptions({ failures = 3, base_ms: baseMs = 1_000, max_ms: maxMs = 30_000, max_share: maxShare = 0.1 }: OutlierConfig) {
  return { failures, baseMs, maxMs, maxShare }
}

function breakerOf({ service, world }: DestinationOptions): CircuitBreaker {
  const { window_ms = 10_000, minimum_calls = 20, failure_rate = 0.5, cool_down_ms = 5_000 } = service.breaker ?? {}
  return circuitBreaker({
    window: { timeMs: window_ms },
    minimumCalls: minimum_calls,
    failureRate: failure_rate,
    coolDownMs: cool_down_ms,
    isFailure: (settled) => {
      if (settled.ok) return (settled.value as Answer).isUnavailable
      return settled.error instanceof Repeatable || (settled.error instanceof TryFailed && settled.error.blamesUpstream)
    },
    world,
  })
}

/** A try whose failure may be followed by another; `answer` when there was one, but a bad one. */
class Repeatable extends GatewayError {
  readonly answer: Answer | undefined
  readonly isNeverSent: boolean

  constructor(cause: TryFailed | undefined, answer: Answer | undefined) {
    super(cause?.code ?? 'ERR_UPSTREAM_FAILED', cause?.message ?? 'the service is unavailable', { cause })
    this.answer = answer
    this.isNeverSent = cause?.isNeverSent ?? false
  }
}

interface TryOptions {
  readonly destination: string
  readonly gateway: string
  readonly client: UpstreamClient
  readonly endpoints: Upstream
  readonly endpointOf: (instance: Instance) => Endpoint
  readonly world: World
}

/** The tries of one call: each to an endpoint not tried before, as far as there are others. */
class Tries {
  readonly #call: Call
  readonly #options: TryOptions
  readonly #mayRepeat: boolean
  readonly #startedAt: number
  #tried: ReadonlySet<string> | undefined
  #last = ''
  #previous: Answer | undefined
  /** Calls that are under way: more than one where they are hedged. */
  #flying = 0

  constructor(call: Call, mayRepeat: boolean, options: TryOptions) {
    this.#call = call
    this.#mayRepeat = mayRepeat
    this.#options = options
    this.#startedAt = options.world.monotonic()
  }

  /** Lets go of a bad answer in whose place another one was taken. */
  keep(answer: Answer | undefined): void {
    if (this.#previous && this.#previous !== answer) dropAnswer(this.#previous)
  }

  /** @param hedge above 0 for a call that is sent as others take long */
  next(number: number, hedge: number, cancellation: Cancellation | undefined): Promise<Answer> {
    if (this.#previous && hedge === 0) {
      dropAnswer(this.#previous)
      this.#previous = undefined
    }
    if (number > 1 || hedge > 0) this.#tried = new Set([...(this.#tried ?? []), this.#last])
    const { endpoints } = this.#options
    // Nothing to wait for, as for most requests.
    const picked = this.#call.body.length === 0 && endpoints.snapshot().revision > 0 ? endpoints.pick(this.#tried) : undefined
    return picked ? this.#send(number, picked, undefined, cancellation) : this.#prepare(number, cancellation)
  }

  async #prepare(number: number, cancellation: Cancellation | undefined): Promise<Answer> {
    const { endpoints, destination } = this.#options
    const body = await this.#call.body.open()
    return this.#send(number, await pick(endpoints, this.#tried, destination), body, cancellation)
  }

  #send(number: number, picked: Picked, body: AttemptOptions['body'], cancellation: Cancellation | undefined): Promise<Answer> {
    const { destination, gateway, client, endpointOf, world } = this.#options
    const { instance } = picked
    this.#last = instance.id
    this.#flying += 1
    const [call, startedAt, endpoint] = [this.#call, this.#startedAt, endpointOf(instance)]
    return attempt({ call, destination, gateway, endpoint, picked, number, startedAt, body, cancellation, client, world }).then(
      (answer) => {
        this.#flying -= 1
        if (cancellation?.aborted) throw lateAnswer(answer, cancellation)
        return this.#judge(number, answer)
      },
      (error) => {
        this.#flying -= 1
        throw error instanceof TryFailed && this.#isRepeatable(number) ? new Repeatable(error, undefined) : error
      },
    )
  }

  /** The answer, unless it says that another endpoint should be asked, or one is being asked. */
  #judge(number: number, answer: Answer): Answer {
    if (!answer.isUnavailable || !this.#mayRepeat) return answer
    if (this.#flying === 0 && !(this.#isRepeatable(number) && this.#isElsewhere())) return answer
    if (this.#previous) dropAnswer(this.#previous)
    this.#previous = answer
    throw new Repeatable(undefined, answer)
  }

  #isElsewhere(): boolean {
    const { instances } = this.#options.endpoints.snapshot()
    return instances.some(({ id }) => id !== this.#last && !this.#tried?.has(id))
  }

  #isRepeatable(number: number): boolean {
    const { body, limits } = this.#call
    if (!body.isReplayable || number > limits.retries) return false
    return this.#options.world.monotonic() < Math.max(this.#startedAt, body.progressAt) + limits.timeoutMs
  }
}

/** The answer of a call that was given up as another was faster: nobody takes it. */
function lateAnswer(answer: Answer, { reason }: Cancellation): unknown {
  dropAnswer(answer)
  return reason
}

async function pick(endpoints: Upstream, tried: ReadonlySet<string> | undefined, name: string): Promise<Picked> {
  // Nothing heard yet: a gateway that just started should not answer 503 for that.
  if (endpoints.snapshot().revision === 0) await endpoints.ready(firstLookMs)
  const picked = endpoints.pick(tried)
  if (picked) return picked
  throw new GatewayError('ERR_NO_INSTANCE', `"${name}" has no healthy instance now`, { status: 503, retryAfterMs: 1_000 })
}

/** Where each instance is, written once: a request should not put an address together. */
function newEndpoints(name: string, scheme: 'http' | 'https'): (instance: Instance) => Endpoint {
  const known = new WeakMap<Instance, Endpoint>()
  return (instance) => {
    const found = known.get(instance)
    if (found) return found
    const { host, port } = instance
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
    const made = { origin: `${scheme}://${address}`, label: `${name}@${address}` }
    known.set(instance, made)
    return made
  }
}

/** The end of a call that failed: an answer after all, or what to tell the client. */
function settle(error: unknown, name: string, log: Logger): Answer {
  const last = error instanceof ResilienceError && error.code === 'ERR_RETRY_BUDGET' ? error.cause : error
  if (last instanceof Repeatable && last.answer) return last.answer
  const failure = last instanceof Repeatable && last.cause instanceof TryFailed ? last.cause : last
  if (failure instanceof TryFailed) {
    log.warn({ upstream: name, code: failure.code, error: messageOf(failure.cause ?? failure) }, `call of "${name}" failed`)
  }
  throw failure
}
