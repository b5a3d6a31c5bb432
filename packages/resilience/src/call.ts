import type { World } from '@banyan/core'
import { Cancellation } from './cancellation.ts'
import type { RetryBudget } from './retry-budget.ts'

/** What the protected function is given. */
export interface Call {
  /** Aborted when the caller gave up, a timeout fired or the deadline passed; its reason says which. Made when first read. */
  readonly signal: AbortSignal
  /** What `signal` is made of, cheaper to listen to; `undefined` when nothing can end the call before its time. */
  readonly cancellation: Cancellation | undefined
  /** 1 for the first try. */
  readonly attempt: number
  /** 0 for the call itself, 1 and up for those that `hedge` sent after it. */
  readonly hedge: number
  /** Milliseconds until the nearest deadline around this call; `Infinity` without one. Hand it on to the other side. */
  readonly remainingMs: number
  /** The idempotency key given to `run`. */
  readonly key: string | undefined
  /**
   * Shared by all attempts and hedges of one `run`, and empty at its start: where the function notes which endpoints it has tried, so
   * that the next attempt picks another, as in `pick(call.tried)` of an upstream.
   */
  readonly tried: Set<string>
}

/** The function a policy protects. */
export type Protected<T> = (call: Call) => T | PromiseLike<T>

/** How one call is to be treated. */
export interface RunOptions {
  /** Ends the call at once when it aborts, also while it waits or backs off. */
  signal?: AbortSignal | undefined
  /** The same in place of `signal`, for callers who have one. */
  cancellation?: Cancellation
  /** Milliseconds from now in which the whole call must be done: the outer bound of every timeout inside. Default: none. */
  deadlineMs?: number
  /** Whether the call may be made twice. Default: true with a `key`, else what the retry layer's `idempotent` says. */
  idempotent?: boolean
  /** The idempotency key that the call carries to the other side; makes it safe to repeat. */
  key?: string | undefined
}

/**
 * The only attempt of a call that nothing can end from outside. It holds but one thing, which is made when its reader asks: most
 * readers do not, and then it should cost next to nothing.
 */
export class LoneCall implements Call {
  #made: { signal?: AbortSignal; tried?: Set<string> } | undefined

  /** Never aborted. */
  get signal(): AbortSignal {
    this.#made ??= {}
    this.#made.signal ??= new AbortController().signal
    return this.#made.signal
  }

  get cancellation(): undefined {
    return undefined
  }

  get attempt(): number {
    return 1
  }

  get hedge(): number {
    return 0
  }

  get remainingMs(): number {
    return Number.POSITIVE_INFINITY
  }

  get key(): undefined {
    return undefined
  }

  get tried(): Set<string> {
    this.#made ??= {}
    this.#made.tried ??= new Set()
    return this.#made.tried
  }
}

/** One `run` of a policy: what all its attempts share. */
export class Run {
  readonly work: Protected<unknown>
  readonly world: World
  readonly idempotent: boolean | undefined
  readonly key: string | undefined
  /** Whether failures go to the caller as values, so that errors of ours need no stack. */
  readonly asValue: boolean
  /** How often the function was called so far. */
  attempts = 0
  /** What the caller set for the whole call. */
  cancel: Cancellation | undefined
  #tried: Set<string> | undefined
  /** Most have one budget; only the others pay for a set. */
  #budget: RetryBudget | undefined
  #moreBudgets: Set<RetryBudget> | undefined

  constructor(work: Protected<unknown>, world: World, asValue: boolean, options: RunOptions | undefined) {
    this.work = work
    this.world = world
    this.asValue = asValue
    this.idempotent = options?.idempotent
    this.key = options?.key
  }

  get tried(): Set<string> {
    this.#tried ??= new Set()
    return this.#tried
  }

  /** Tells `budget` of this call, at `now`, once: layers may have it in common, and an attempt or a hedge is no call of its own. */
  depositTo(budget: RetryBudget, now: number): void {
    if (this.#budget === budget || this.#moreBudgets?.has(budget)) return
    if (this.#budget === undefined) {
      this.#budget = budget
    } else {
      this.#moreBudgets ??= new Set()
      this.#moreBudgets.add(budget)
    }
    budget.deposit(now)
  }

  /** Whether the function may be called twice, where a call that does not say may (`assume`) or may not (`ask`). */
  isRepeatable(unsaid: 'assume' | 'ask'): boolean {
    return this.idempotent ?? (this.key !== undefined || unsaid === 'assume')
  }
}

/** A call as the layers see it: each layer may hand an own one inward. */
export class Scope implements Call {
  readonly run: Run
  readonly attempt: number
  readonly hedge: number
  #cancel: Cancellation | undefined
  #startedAt: number | undefined

  /** @param cancel left out: nothing can end the call from outside */
  constructor(run: Run, cancel: Cancellation | undefined, attempt: number, hedge = 0) {
    this.run = run
    this.#cancel = cancel
    this.attempt = attempt
    this.hedge = hedge
  }

  get cancel(): Cancellation | undefined {
    return this.#cancel
  }

  get cancellation(): Cancellation | undefined {
    return this.#cancel
  }

  get aborted(): boolean {
    return this.#cancel?.aborted === true
  }

  get reason(): unknown {
    return this.#cancel?.reason
  }

  get signal(): AbortSignal {
    // Made for this reader alone, when nothing can end the call: it never aborts.
    this.#cancel ??= new Cancellation(this.run.world, Number.POSITIVE_INFINITY)
    return this.#cancel.signal
  }

  get remainingMs(): number {
    return this.#cancel === undefined ? Number.POSITIVE_INFINITY : this.#cancel.remainingMs
  }

  get key(): string | undefined {
    return this.run.key
  }

  get tried(): Set<string> {
    return this.run.tried
  }

  /** When it was made, on the monotonic clock: read once for all layers. A layer that lets time pass hands on a new scope. */
  get startedAt(): number {
    this.#startedAt ??= this.run.world.monotonic()
    return this.#startedAt
  }

  /** The same call under a nearer end. */
  within(cancel: Cancellation): Scope {
    const inner = new Scope(this.run, cancel, this.attempt, this.hedge)
    inner.#startedAt = this.#startedAt
    return inner
  }

  /** The same call, now. */
  later(): Scope {
    return new Scope(this.run, this.#cancel, this.attempt, this.hedge)
  }
}
