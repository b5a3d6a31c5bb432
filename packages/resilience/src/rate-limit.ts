import { shown, systemWorld, type World } from '@banyan/core'
import type { Call, Scope } from './call.ts'
import { deliver, type End } from './end.ts'
import { ResilienceError, rejection } from './errors.ts'
import { isHeard, tell } from './events.ts'
import type { Layer, Next } from './layer.ts'
import { checkDuration, checkNumber } from './option-checks.ts'
import { rateLimiter } from './rate-limiter.ts'
import { type RateLines, type RatePlace, rateLines } from './rate-line.ts'
import { burstOf, checkAnswer, type RateLimitAnswer, type RateQuota } from './rate-quota.ts'
import { Waiting } from './waiting.ts'

/** A limiter of this process, or one that is shared. */
export interface AnyRateLimiter {
  take(key: string, cost?: number): RateLimitAnswer | Promise<RateLimitAnswer>
}

export interface RateLimitOptions {
  /** Who counts: `gcra(...)`, `slidingWindow(...)` or `sharedRateLimiter(...)`; may be shared by several policies. Or a quota. */
  limiter: AnyRateLimiter | RateQuota
  /** Whose share a call takes from. Default: the policy's name, one share for all. */
  key?: (call: Call) => string
  /** How many takes a call costs, a whole number from 1 to what may come at once. Default 1. */
  cost?: number
  /**
   * A call that would be allowed within so long waits for it instead of being refused, milliseconds; by key, first come, first served.
   * Default 0: none waits.
   */
  maxWaitMs?: number
  /** Default: the system's. */
  world?: World
}

/**
 * Lets so many calls through per key and period. A call that is refused never reached the dependency, and no breaker counts it.
 *
 * @throws {RangeError} for an option out of its range. Calls reject with {@link ResilienceError} `ERR_RATE_LIMITED`, with `retryAfterMs`
 */
export function rateLimit(options: RateLimitOptions): Layer {
  const { key, cost = 1, maxWaitMs = 0, world = systemWorld } = options
  checkDuration('create rate limit', 'maxWaitMs', maxWaitMs)
  if (typeof options.limiter !== 'object' || options.limiter === null)
    throw new TypeError(`cannot create rate limit: "limiter" is ${shown(options.limiter)}, wanted a limiter or a quota`)
  const quota = 'take' in options.limiter ? undefined : options.limiter
  const limiter = 'take' in options.limiter ? options.limiter : rateLimiter(options.limiter, { world })
  checkNumber('create rate limit', 'cost', cost, { min: 1, max: quota ? burstOf(quota) : Number.POSITIVE_INFINITY, whole: true })

  const lines = rateLines()

  function around(policy: string, next: Next): Next {
    return (scope, end) => {
      if (scope.aborted) return end.bad(scope.reason)
      new Limited({ policy, limiter, key, cost, maxWaitMs, lines, next }, scope, end).take()
    }
  }
  const text = quota ? `${quota.limit} in ${quota.periodMs} ms` : 'a limiter'
  return { facts: { kind: 'rate-limit', text, maxWaitMs }, world, around }
}

interface Rules {
  readonly policy: string
  readonly limiter: AnyRateLimiter
  readonly key: ((call: Call) => string) | undefined
  readonly cost: number
  readonly maxWaitMs: number
  readonly lines: RateLines
  readonly next: Next
}

/** One call that asks for its take, or waits in line for it, until it has it or may not wait any longer. */
class Limited implements End {
  readonly #rules: Rules
  readonly #scope: Scope
  readonly #end: End
  readonly #until: number
  #key = ''
  #place: RatePlace | undefined
  #waiting: Waiting | undefined

  constructor(rules: Rules, scope: Scope, end: End) {
    this.#rules = rules
    this.#scope = scope
    this.#end = end
    this.#until = scope.startedAt + rules.maxWaitMs
  }

  take(): void {
    const { key, policy, lines } = this.#rules
    try {
      this.#key = key ? key(this.#scope) : policy
    } catch (error) {
      this.bad(error)
      return
    }
    if (lines.has(this.#key) && this.#rules.maxWaitMs > 0) this.#wait(0)
    else this.#ask()
  }

  ok(value: unknown): void {
    let answer: RateLimitAnswer
    try {
      answer = checkAnswer(`limit "${this.#rules.policy}"`, 'limiter', value)
    } catch (error) {
      this.bad(error)
      return
    }
    const { allowed, retryAfterMs } = answer
    const scope = this.#scope
    if (scope.aborted) this.bad(scope.reason)
    else if (allowed) {
      this.#rules.next(scope.later(), this.#end)
      this.#place?.leave()
    } else if (scope.run.world.monotonic() + retryAfterMs <= this.#until) this.#wait(retryAfterMs)
    else this.bad(this.#refusal(retryAfterMs))
  }

  /** Refused, or aborted while it waited; or the limiter, or the user's own key, failed. */
  bad(error: unknown): void {
    this.#end.bad(error)
    this.#place?.leave()
  }

  #ask(): void {
    const { limiter, cost } = this.#rules
    deliver(() => limiter.take(this.#key, cost), this)
  }

  #wait(retryAfterMs: number): void {
    this.#place ??= this.#rules.lines.join(this.#key, () => this.#waiting?.go())
    const ask = () => this.#ask()
    this.#waiting = new Waiting(this.#scope, this, { go: ask, late: ask })
    // Only the first asks when there is something to be had. The others follow it, or ask for the last time when their time is up.
    this.#waiting.begin(this.#place.isFirst ? retryAfterMs : this.#until - this.#scope.run.world.monotonic())
  }

  #refusal(retryAfterMs: number): ResilienceError {
    const { policy } = this.#rules
    const key = this.#key
    if (isHeard('rate-limit')) tell('rate-limit', { policy, key, retryAfterMs })
    return rejection(this.#scope.run.asValue, () => {
      const message = `cannot call "${policy}": "${key}" has used up its rate; try again in ${Math.ceil(retryAfterMs)} ms`
      return new ResilienceError('ERR_RATE_LIMITED', policy, message, { retryAfterMs })
    })
  }
}
