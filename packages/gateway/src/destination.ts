import { type Logger, messageOf, type Registry, type World } from '@banyan/core'
import { type Picked, staticRegistry, type Upstream, upstream } from '@banyan/discovery'
import {
  type BreakerStateName,
  type CircuitBreaker,
  circuitBreaker,
  exponential,
  type Policy,
  policy,
  ResilienceError,
  retry,
  retryBudget,
} from '@banyan/resilience'
import { type Answer, attempt, type Call, isUnavailable, TryFailed } from './attempt.ts'
import type { BreakerConfig } from './config.ts'
import { GatewayError } from './errors.ts'
import { dropAnswer, type UpstreamClient } from './upstream-client.ts'

/** Where requests go: a service or a fixed address, with its breaker and its retry budget. */
export interface Destination {
  /** The service's name, or the address. */
  readonly name: string
  /** Put before every path; of a fixed address with a path. */
  readonly basePath: string
  /**
   * Sends a request, to another endpoint again where that is safe, and waits for the head of the answer.
   *
   * @param mayRepeat whether the request may be made twice
   * @throws a `CodedError` with the status to answer with
   */
  call(call: Call, mayRepeat: boolean, signal: AbortSignal): Promise<Answer>
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
  readonly client: UpstreamClient
  /** The service's name in spans. */
  readonly gateway: string
  readonly breaker: BreakerConfig
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
  const endpoints = upstream({ registry: place.registry, service: name, world, log })
  const breaker = breakerOf(options)
  const budget = retryBudget({ world })
  /** By their number of retries, which routes choose; all share the breaker and the budget. */
  const policies = new Map<number, Policy>()

  function policyFor(retries: number): Policy {
    let found = policies.get(retries)
    if (!found) {
      const again = retry({
        attempts: retries + 1,
        backoff: exponential({ baseMs: 25, capMs: 250 }),
        retryIf: (error) => error instanceof Repeatable,
        neverSent: (error) => error instanceof Repeatable && error.isNeverSent,
        budget,
        world,
      })
      found = policy(name, again, breaker)
      policies.set(retries, found)
    }
    return found
  }

  return {
    name,
    basePath: place.basePath,
    async call(call, mayRepeat, signal) {
      const tries = newTries(call, { ...options, ...place, endpoints, mayRepeat })
      try {
        return await policyFor(call.limits.retries).run((scope) => tries.next(scope.attempt, scope.signal), {
          signal,
          idempotent: mayRepeat,
        })
      } catch (error) {
        return settle(error, name, log)
      }
    },
    state: () => ({ name, instances: endpoints.snapshot().instances.length, breaker: breaker.state }),
    stop: () => endpoints.stop(),
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

function breakerOf({ breaker, world }: DestinationOptions): CircuitBreaker {
  const { window_ms = 10_000, minimum_calls = 20, failure_rate = 0.5, cool_down_ms = 5_000 } = breaker
  return circuitBreaker({
    window: { timeMs: window_ms },
    minimumCalls: minimum_calls,
    failureRate: failure_rate,
    coolDownMs: cool_down_ms,
    isFailure: (settled) => {
      if (settled.ok) return isUnavailable((settled.value as Answer).status)
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

interface TryOptions extends DestinationOptions, Place {
  readonly endpoints: Upstream
  readonly mayRepeat: boolean
}

/** The tries of one call: each to an endpoint not tried before, as far as there are others. */
function newTries(call: Call, options: TryOptions) {
  const { endpoints, world, name, mayRepeat } = options
  const tried = new Set<string>()
  const startedAt = world.monotonic()
  let previous: Answer | undefined

  function isTimeLeft(): boolean {
    return world.monotonic() < Math.max(startedAt, call.body.progressAt) + call.limits.timeoutMs
  }

  async function next(number: number, signal: AbortSignal): Promise<Answer> {
    if (previous) dropAnswer(previous)
    previous = undefined
    const body = await call.body.open()
    const picked = await pick(endpoints, tried, name)
    tried.add(picked.instance.id)
    try {
      const answer = await attempt({ ...options, call, destination: name, picked, number, startedAt, body, signal })
      const elsewhere = endpoints.snapshot().instances.some(({ id }) => !tried.has(id))
      if (!isUnavailable(answer.status) || !mayRepeat || !elsewhere || !isRepeatable(number)) return answer
      previous = answer
      throw new Repeatable(undefined, answer)
    } catch (error) {
      if (error instanceof TryFailed && isRepeatable(number)) throw new Repeatable(error, undefined)
      throw error
    }
  }

  function isRepeatable(number: number): boolean {
    return call.body.isReplayable && number <= call.limits.retries && isTimeLeft()
  }

  return { next }
}

async function pick(endpoints: Upstream, tried: ReadonlySet<string>, name: string): Promise<Picked> {
  // Nothing heard yet: a gateway that just started should not answer 503 for that.
  if (endpoints.snapshot().revision === 0) await endpoints.ready(firstLookMs)
  const picked = endpoints.pick(tried)
  if (picked) return picked
  throw new GatewayError('ERR_NO_INSTANCE', `"${name}" has no healthy instance now`, { status: 503, retryAfterMs: 1_000 })
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
