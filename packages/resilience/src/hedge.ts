import { CodedError, shown, systemWorld, type World } from '@banyan/core'
import { Scope } from './call.ts'
import { type AbortListener, Cancellation } from './cancellation.ts'
import { type Deadline, type Deadlines, deadlinesOf } from './deadlines.ts'
import type { End } from './end.ts'
import { isHeard, tell } from './events.ts'
import { type LatencyQuantile, latencyQuantile } from './latency-quantile.ts'
import type { Layer, Next } from './layer.ts'
import { checkDuration, checkNumber } from './option-checks.ts'
import { type RetryBudget, retryBudget } from './retry-budget.ts'

export interface HedgeOptions {
  /**
   * When the same call is sent once more: after so many milliseconds, or when it takes longer than this share of the calls before
   * (0.95: the slowest twentieth). By share, nothing is hedged until `minimumCalls` (default 20) were measured, and never before
   * `minMs` (default 1).
   */
  after: number | { quantile: number; minMs?: number; minimumCalls?: number }
  /** How many more calls are sent at most, each `after` the one before, from 1. Default 1. */
  extra?: number
  /** What holds for a call that says neither `idempotent` nor `key`; see the same option of `retry`. Default `assume`. */
  idempotent?: 'assume' | 'ask'
  /** Hedges are taken from it as retries are: share one with `retry`. Or `false`. Default: an own {@link retryBudget}. */
  budget?: RetryBudget | false
  /** Default: the system's. */
  world?: World
}

/**
 * Sends a call that takes long once more, and takes whichever answer comes first; the others are aborted, and no breaker inside counts
 * them. A failure ends the call only when no other is under way. For calls that may be made twice only, and within a budget: when
 * everything is slow, hedging everything would double the load.
 *
 * @throws {RangeError} for an option out of its range
 * @see Dean, Barroso, "The Tail at Scale", CACM 56(2), 2013, "Hedged requests"
 */
export function hedge(options: HedgeOptions): Layer {
  const { after, extra = 1, idempotent = 'assume', world = systemWorld } = options
  const { budget = retryBudget({ world }) } = options
  checkNumber('create hedge', 'extra', extra, { min: 1, max: 100, whole: true })
  if (idempotent !== 'assume' && idempotent !== 'ask')
    throw new TypeError(`cannot create hedge: "idempotent" is "${String(idempotent)}", wanted "assume" or "ask"`)
  const delay = delayOf(after)
  const deadlines = deadlinesOf(world)

  function around(policy: string, next: Next): Next {
    const rules: Rules = { policy, next, extra, budget, delay, deadlines }
    return (scope, end) => {
      try {
        if (budget) scope.run.depositTo(budget, scope.startedAt)
      } catch (error) {
        // Of a budget of the user's own. A layer outside waits to be told how the call ended.
        return end.bad(error)
      }
      if (scope.aborted || !scope.run.isRepeatable(idempotent)) return next(scope, end)
      new Hedging(rules, scope, end).send()
    }
  }
  const text = typeof after === 'number' ? `after ${after} ms` : `of the slowest ${Math.round((1 - after.quantile) * 1_000) / 10} %`
  return { facts: { kind: 'hedge', extra, afterMs: typeof after === 'number' ? after : undefined, text }, world, around }
}

/** How long to wait before a hedge; `undefined`: not known yet. */
interface Delay {
  readonly afterMs: number | undefined
  record(durationMs: number): void
}

function delayOf(after: HedgeOptions['after']): Delay {
  if (typeof after === 'number') {
    checkDuration('create hedge', 'after', after)
    return { afterMs: after, record() {} }
  }
  if (typeof after !== 'object' || after === null)
    throw new TypeError(`cannot create hedge: "after" is ${shown(after)}, wanted milliseconds or { quantile }`)
  const { quantile, minMs = 1, minimumCalls = 20 } = after
  checkNumber('create hedge', 'after.quantile', quantile, { min: 0.5, max: 0.9999 })
  checkDuration('create hedge', 'after.minMs', minMs)
  checkNumber('create hedge', 'after.minimumCalls', minimumCalls, { min: 1, whole: true })
  const latencies: LatencyQuantile = latencyQuantile(quantile)
  // Not how many are remembered, which is never many.
  let measured = 0
  return {
    get afterMs() {
      return measured < minimumCalls ? undefined : Math.max(minMs, latencies.valueMs)
    },
    record(durationMs) {
      measured += 1
      latencies.record(durationMs)
    },
  }
}

interface Rules {
  readonly policy: string
  readonly next: Next
  readonly extra: number
  readonly budget: RetryBudget | false
  readonly delay: Delay
  readonly deadlines: Deadlines
}

/** One call and its hedges. */
class Hedging implements Deadline, AbortListener {
  at: number = 0
  place: number = -1
  readonly #rules: Rules
  readonly #scope: Scope
  readonly #end: End
  readonly #startedAt: number
  readonly #flying: Set<Flight> = new Set()
  #sent = 0
  #open = true

  constructor(rules: Rules, scope: Scope, end: End) {
    this.#rules = rules
    this.#scope = scope
    this.#end = end
    this.#startedAt = scope.startedAt
    scope.cancel?.listen(this)
  }

  /** Sends the call, and makes ready to send it again. */
  send(): void {
    const { next, extra, delay, deadlines } = this.#rules
    const { run, cancel, attempt } = this.#scope
    const flight = new Flight(this, new Cancellation(run.world, cancel?.deadline ?? Number.POSITIVE_INFINITY))
    this.#flying.add(flight)
    const scope = new Scope(run, flight.cancel, attempt, this.#sent)
    this.#sent += 1
    const { afterMs } = delay
    if (this.#sent <= extra && afterMs !== undefined) {
      this.at = run.world.monotonic() + afterMs
      deadlines.add(this)
    }
    next(scope, flight)
  }

  /** It takes long. */
  expire(): void {
    const { policy, budget, delay } = this.#rules
    try {
      if (budget && !budget.withdraw()) return
    } catch (error) {
      // As in retry: that is the caller's to see.
      this.onAbort(error)
      return
    }
    if (isHeard('hedge')) tell('hedge', { policy, hedge: this.#sent, afterMs: delay.afterMs ?? 0 })
    this.send()
  }

  won(flight: Flight, value: unknown): void {
    if (!this.#open) return
    // As long as the caller waited: were a hedge measured by itself, the calls it outran would pass for fast ones, and ever more be hedged.
    this.#rules.delay.record(this.#scope.run.world.monotonic() - this.#startedAt)
    this.#flying.delete(flight)
    this.#close()
    if (this.#flying.size > 0) this.#abortAll(new CodedError('ERR_HEDGED', `another call of "${this.#rules.policy}" was faster`))
    this.#end.ok(value)
  }

  failed(flight: Flight, error: unknown): void {
    if (!this.#open) return
    this.#flying.delete(flight)
    if (this.#flying.size > 0) return
    this.#close()
    this.#end.bad(error)
  }

  onAbort(reason: unknown): void {
    if (!this.#open) return
    this.#close()
    this.#abortAll(reason)
    this.#end.bad(reason)
  }

  #close(): void {
    this.#open = false
    this.#rules.deadlines.remove(this)
    this.#scope.cancel?.unlisten(this)
  }

  #abortAll(reason: unknown): void {
    const flying = [...this.#flying]
    this.#flying.clear()
    for (const { cancel } of flying) cancel.abort(reason)
  }
}

/** The call, sent once. */
class Flight implements End {
  readonly cancel: Cancellation
  readonly #hedging: Hedging

  constructor(hedging: Hedging, cancel: Cancellation) {
    this.#hedging = hedging
    this.cancel = cancel
  }

  ok(value: unknown): void {
    this.#hedging.won(this, value)
  }

  bad(error: unknown): void {
    this.#hedging.failed(this, error)
  }
}
