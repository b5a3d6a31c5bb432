import { shown, systemWorld, type World } from '@banyan/core'
import { type Backoff, exponential } from './backoff.ts'
import { Scope } from './call.ts'
import type { AbortListener } from './cancellation.ts'
import { type Deadline, deadlinesOf } from './deadlines.ts'
import type { End } from './end.ts'
import { ResilienceError, rejection } from './errors.ts'
import { isHeard, tell } from './events.ts'
import { isRetryable, retryAfterOf, wasNeverSent } from './failure.ts'
import type { Layer, Next } from './layer.ts'
import { checkDuration, checkNumber } from './option-checks.ts'
import { type RetryBudget, retryBudget } from './retry-budget.ts'

export interface RetryOptions {
  /** How often the function is called at most, the first time included, from 1. Default 3. */
  attempts?: number
  /** How long to wait between attempts. Default `exponential()`: 100 ms doubling to 5 s, full jitter. */
  backoff?: Backoff
  /** Which errors are worth another attempt. Default: see {@link isRetryable}. */
  retryIf?: (error: unknown, attempt: number) => boolean
  /**
   * What holds for a call that says neither `idempotent` nor `key`. `assume`: it may be repeated, as whoever puts retry into a
   * policy wants retries. `ask`: it may not; right for clients that send whatever their users want. A call with
   * `idempotent: false` is never repeated, in both. Default `assume`.
   */
  idempotent?: 'assume' | 'ask'
  /**
   * Which errors prove that nothing reached the other side, so that even a call that is not idempotent is repeated. Default: see
   * {@link wasNeverSent} (connection refused, name not found).
   */
  neverSent?: (error: unknown) => boolean
  /**
   * An error's `retryAfterMs` is waited for in full, up to this. When the other side asks for more, coming back earlier would be
   * no use, so the error goes to the caller at once. Milliseconds. Default 5,000.
   */
  retryAfterCapMs?: number
  /** Shared by several policies, or `false` for none. Default: an own {@link retryBudget} of 20 % and 10 a second. */
  budget?: RetryBudget | false
  /** Default: the system's. */
  world?: World
}

/**
 * Calls again after a failure, with growing, scattered waits. Gives the last error to the caller when the attempts are used up,
 * and without waiting when the wait would outlast the deadline. An abort ends the wait at once.
 *
 * @throws {RangeError} for an option out of its range. Calls reject with {@link ResilienceError} `ERR_RETRY_BUDGET` (its cause is
 *   the attempt's own error) when a retry was due and the budget had none left
 * @see Nygard, Release It!, 2nd ed., "Timeouts" (delayed retries); RFC 9110, 9.2.2 and 10.2.3
 */
export function retry(options: RetryOptions = {}): Layer {
  const { attempts = 3, backoff = exponential(), retryIf = isRetryable, idempotent = 'assume' } = options
  const { neverSent = wasNeverSent, retryAfterCapMs = 5_000, world = systemWorld } = options
  const { budget = retryBudget({ world }) } = options
  if (typeof backoff?.delayMs !== 'function' || typeof backoff.maxMs !== 'function')
    throw new TypeError(
      `cannot create retry: "backoff" is ${shown(backoff)}, wanted one with "delayMs" and "maxMs", as exponential() gives`,
    )
  checkNumber('create retry', 'attempts', attempts, { min: 1, max: 1_000, whole: true })
  checkDuration('create retry', 'retryAfterCapMs', retryAfterCapMs)
  if (idempotent !== 'assume' && idempotent !== 'ask')
    throw new TypeError(`cannot create retry: "idempotent" is "${String(idempotent)}", wanted "assume" or "ask"`)

  const rules: Rules = { attempts, backoff, retryIf, idempotent, neverSent, retryAfterCapMs, budget, world }

  const around = (policy: string, next: Next): Next => {
    return (scope, end) => {
      try {
        if (budget) scope.run.depositTo(budget, scope.startedAt)
      } catch (error) {
        // Of a budget of the user's own. A layer outside waits to be told how the call ended.
        return end.bad(error)
      }
      next(scope, new Retrying(rules, policy, next, scope, end))
    }
  }
  return { facts: { kind: 'retry', attempts, waitsMs: longestWaits(attempts, backoff, retryAfterCapMs) }, world, around }
}

type Rules = Required<RetryOptions>

/** One call and its attempts so far. */
class Retrying implements End, AbortListener, Deadline {
  at = 0
  place = -1
  readonly #rules: Rules
  readonly #policy: string
  readonly #next: Next
  readonly #scope: Scope
  readonly #end: End
  #attempt = 1
  #previousMs: number | undefined

  constructor(rules: Rules, policy: string, next: Next, scope: Scope, end: End) {
    this.#rules = rules
    this.#policy = policy
    this.#next = next
    this.#scope = scope
    this.#end = end
  }

  ok(value: unknown): void {
    this.#end.ok(value)
  }

  bad(error: unknown): void {
    let delayMs: number | undefined
    try {
      delayMs = this.#delayAfter(error)
    } catch (thrown) {
      // The budget's error, or what the user's own retryIf, neverSent or backoff threw: that is the caller's to see.
      this.#end.bad(thrown)
      return
    }
    if (delayMs === undefined) this.#end.bad(error)
    else this.#wait(delayMs)
  }

  onAbort(reason: unknown): void {
    deadlinesOf(this.#rules.world).remove(this)
    this.#end.bad(reason)
  }

  /** It has waited. */
  expire(): void {
    this.#scope.cancel?.unlisten(this)
    this.#attempt += 1
    this.#next(new Scope(this.#scope.run, this.#scope.cancel, this.#attempt, this.#scope.hedge), this)
  }

  /** How long to wait for the next attempt; `undefined` when there is none. */
  #delayAfter(error: unknown): number | undefined {
    const { attempts, backoff, retryIf, idempotent, neverSent, retryAfterCapMs, budget, world } = this.#rules
    const scope = this.#scope
    if (this.#attempt >= attempts || scope.aborted || !retryIf(error, this.#attempt)) return undefined
    if (!scope.run.isRepeatable(idempotent) && !neverSent(error)) return undefined
    const backoffMs = backoff.delayMs(this.#attempt, world.random, this.#previousMs)
    // A time that is none would never come, and in the list of deadlines would hold up those of all others.
    checkNumber(`retry "${this.#policy}"`, 'backoff.delayMs', backoffMs, { min: 0 })
    const askedMs = retryAfterOf(error) ?? 0
    const delayMs = Math.max(backoffMs, askedMs)
    if (askedMs > retryAfterCapMs || delayMs >= scope.remainingMs) return undefined
    if (budget && !budget.withdraw()) throw rejection(scope.run.asValue, () => budgetUsedUp(this.#policy, this.#attempt, error))
    if (isHeard('retry')) tell('retry', { policy: this.#policy, failedAttempt: this.#attempt, delayMs, error })
    this.#previousMs = backoffMs
    return delayMs
  }

  #wait(delayMs: number): void {
    const { world } = this.#rules
    this.at = world.monotonic() + delayMs
    deadlinesOf(world).add(this)
    this.#scope.cancel?.listen(this)
  }
}

/** Not in the words of the cause: this message is for callers of a service too, and a driver's may name hosts and users. */
function budgetUsedUp(policy: string, attempt: number, cause: unknown): ResilienceError {
  const retryAfterMs = retryAfterOf(cause)
  return new ResilienceError(
    'ERR_RETRY_BUDGET',
    policy,
    `attempt ${attempt} of "${policy}" failed and its retry budget is used up; the error's "cause" says why it failed`,
    retryAfterMs === undefined ? { cause } : { cause, retryAfterMs },
  )
}

function longestWaits(attempts: number, backoff: Backoff, retryAfterCapMs: number): number {
  let sum = 0
  for (let attempt = 1; attempt < attempts; attempt += 1) sum += Math.max(backoff.maxMs(attempt), retryAfterCapMs)
  return sum
}
