import { systemWorld, type World } from '@banyan/core'
import { LoneCall, type Protected, Run, type RunOptions, Scope } from './call.ts'
import { Cancellation } from './cancellation.ts'
import { type Deadline, deadlinesOf } from './deadlines.ts'
import { deliverResult, type End, Race } from './end.ts'
import { type RejectedBy, ResilienceError, rejectedBy, rejection } from './errors.ts'
import { isHeard, tell } from './events.ts'
import { type Explanation, explain } from './explain.ts'
import type { Layer, Next } from './layer.ts'
import { checkNumber } from './option-checks.ts'
import { type PolicySnapshot, restoreLayers, snapshotLayers } from './policy-snapshot.ts'
import { timedOut } from './timeout.ts'

/** Why a policy ended a call. */
export interface Rejected {
  readonly rejectedBy: RejectedBy
  readonly policy: string
  readonly retryAfterMs?: number
}

/** How a call ended, as a value. `attempts`: how often the function was called. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T; readonly attempts: number }
  | { readonly ok: false; readonly error: unknown; readonly rejected?: Rejected; readonly attempts: number }

/** Layers around a function. */
export interface Policy<Alt = never> {
  readonly name: string
  /** Outermost first. */
  readonly layers: readonly Layer<unknown>[]
  /**
   * Calls `work` through the layers.
   *
   * @throws what `work` throws; {@link ResilienceError} when a layer ends the call; the signal's reason when the caller aborts
   */
  run<T>(work: Protected<T>, options?: RunOptions): Promise<Awaited<T> | Alt>
  /** Like `run`, but gives failures back as values; those of the policy's own have no stack. Never rejects. */
  outcome<T>(work: Protected<T>, options?: RunOptions): Promise<Outcome<Awaited<T> | Alt>>
  /** `work` with the layers around it and the same parameters. */
  wrap<A extends unknown[], T>(work: (...args: A) => T | PromiseLike<T>): (...args: A) => Promise<Awaited<T> | Alt>
  /** What the layers do in this order, with warnings for orders that do harm. */
  explain(): Explanation
  /** What the layers know, as plain data that goes through JSON: for the next start. */
  snapshot(): PolicySnapshot
  /**
   * Takes over what a policy with the same layers knew. A layer it says nothing of starts fresh.
   *
   * @throws {TypeError} for a damaged snapshot, or one of other layers, naming what is wrong
   */
  restore(snapshot: PolicySnapshot): void
  /** Never set: it carries the type. */
  readonly alt?: Alt
}

/** What the layers of a policy may answer in place of the function. */
export type AltOf<L extends readonly Layer<unknown>[]> = L extends readonly [] ? never : L[number] extends Layer<infer Alt> ? Alt : never

/**
 * Composes layers, outermost first. Layers with a state (breaker, bulkhead, budget) may be shared by several policies.
 *
 * @throws {TypeError} without a name, or for layers that run on different worlds
 */
export function policy<const L extends readonly Layer<unknown>[]>(name: string, ...layers: L): Policy<AltOf<L>> {
  if (name === '') throw new TypeError('cannot create policy: the name is empty')
  const world = worldOf(name, layers)
  const execute = chainOf(name, world, layers)
  const only = layers.length === 1 ? layers[0] : undefined

  // Layers hand on what `work` gives or an Alt; the chain itself does not know the types.
  function run(work: Protected<unknown>, options?: RunOptions): Promise<never> {
    const watch = only?.watch
    if (watch !== undefined && options === undefined && !isHeard('call'))
      return begin(work, world).then(watch.ok, watch.bad) as Promise<never>
    return new Promise((resolve, reject) => {
      // A throw in here, of a bad option, rejects.
      execute(new Run(work, world, false, options), options, { ok: resolve as (value: unknown) => void, bad: reject })
    })
  }

  return {
    name,
    layers,
    run,
    outcome: (work, options) =>
      new Promise((resolve) => {
        const run = new Run(work, world, true, options)
        const end = new Told(name, run, resolve as (outcome: Outcome<unknown>) => void)
        try {
          execute(run, options, end)
        } catch (error) {
          end.bad(error)
        }
      }),
    wrap:
      (work) =>
      (...args) =>
        run(() => work(...args)),
    explain: () => explain(layers.map((layer) => layer.facts)),
    snapshot: () => snapshotLayers(name, layers),
    restore: (snapshot) => restoreLayers(name, layers, snapshot),
  }
}

type Execute = (run: Run, options: RunOptions | undefined, end: End) => void

/** The layers, wound around each other once for all calls. */
function chainOf(name: string, world: World, layers: readonly Layer<unknown>[]): Execute {
  const inner = layers.findIndex((layer) => layer.facts.kind !== 'fallback')
  const fallbacks = inner < 0 ? layers : layers.slice(0, inner)
  const rest = inner < 0 ? [] : layers.slice(inner)
  const wind = (around: readonly Layer<unknown>[], core: Next) => around.reduceRight((next, layer) => layer.around(name, next), core)
  const chain = wind(rest, invoke)
  // Outside every layer but the outermost fallbacks, which answer also when the caller's time is up.
  const bounded = wind(fallbacks, (scope, end) => chain(scope, scope.cancel ? new Race(scope.cancel, end) : end))
  const unbounded = wind(fallbacks, chain)

  return (run, options, caller) => {
    const end = isHeard('call') ? new Heard(name, run, caller) : caller
    const { signal, deadlineMs = Number.POSITIVE_INFINITY } = options ?? {}
    checkNumber(`run "${name}"`, 'deadlineMs', deadlineMs, { min: Number.NEGATIVE_INFINITY })
    if (!signal && deadlineMs === Number.POSITIVE_INFINITY) return unbounded(new Scope(run, undefined, 1), end)
    const cancel = new Cancellation(world, world.monotonic() + deadlineMs)
    run.cancel = cancel
    bounded(new Scope(run, cancel, 1), new Bound(name, run, cancel, signal, deadlineMs, end))
  }
}

/** The innermost of all: calls the function. */
function invoke(scope: Scope, end: End): void {
  if (scope.aborted) {
    end.bad(scope.reason)
    return
  }
  const { run } = scope
  let result: unknown
  try {
    run.attempts += 1
    result = run.work(scope)
  } catch (error) {
    end.bad(error)
    return
  }
  deliverResult(result, end)
}

/** The same for a call whose layer watches its promise. */
function begin(work: Protected<unknown>, world: World): Promise<unknown> {
  try {
    const result = work(new LoneCall(world))
    return result instanceof Promise ? result : Promise.resolve(result)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** A call within what its caller set: ends it when the caller aborts or its time is up, and lets go of both at its end. */
class Bound implements End, Deadline {
  readonly at: number
  place = -1
  readonly #name: string
  readonly #run: Run
  readonly #cancel: Cancellation
  readonly #signal: AbortSignal | undefined
  readonly #end: End
  readonly #deadlineMs: number

  constructor(name: string, run: Run, cancel: Cancellation, signal: AbortSignal | undefined, deadlineMs: number, end: End) {
    this.#name = name
    this.#run = run
    this.#cancel = cancel
    this.#signal = signal
    this.#end = end
    this.#deadlineMs = deadlineMs
    this.at = cancel.deadline
    if (signal?.aborted) cancel.abort(signal.reason)
    else if (deadlineMs <= 0) this.expire()
    else {
      signal?.addEventListener('abort', this.#onAbort, { once: true })
      if (deadlineMs < Number.POSITIVE_INFINITY) deadlinesOf(run.world).add(this)
    }
  }

  ok(value: unknown): void {
    this.#leave()
    this.#end.ok(value)
  }

  bad(error: unknown): void {
    this.#leave()
    this.#end.bad(error)
  }

  readonly #onAbort = (): void => this.#cancel.abort(this.#signal?.reason)

  expire(): void {
    const deadlineMs = Math.max(0, this.#deadlineMs)
    this.#cancel.abort(rejection(this.#run.asValue, () => timedOut(this.#name, deadlineMs)))
  }

  #leave(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    deadlinesOf(this.#run.world).remove(this)
  }
}

/** Tells those who listen how the call ended. */
class Heard implements End {
  readonly #name: string
  readonly #run: Run
  readonly #end: End
  readonly #startedAt: number

  constructor(name: string, run: Run, end: End) {
    this.#name = name
    this.#run = run
    this.#end = end
    this.#startedAt = run.world.monotonic()
  }

  ok(value: unknown): void {
    this.#tell(true, undefined)
    this.#end.ok(value)
  }

  bad(error: unknown): void {
    this.#tell(false, error instanceof ResilienceError ? rejectedBy[error.code] : undefined)
    this.#end.bad(error)
  }

  #tell(ok: boolean, by: RejectedBy | undefined): void {
    const { attempts, world } = this.#run
    tell('call', { policy: this.#name, ok, durationMs: world.monotonic() - this.#startedAt, attempts, rejectedBy: by })
  }
}

/** Gives the end to the caller as a value. */
class Told implements End {
  readonly #name: string
  readonly #run: Run
  readonly #resolve: (outcome: Outcome<unknown>) => void

  constructor(name: string, run: Run, resolve: (outcome: Outcome<unknown>) => void) {
    this.#name = name
    this.#run = run
    this.#resolve = resolve
  }

  ok(value: unknown): void {
    this.#resolve({ ok: true, value, attempts: this.#run.attempts })
  }

  bad(error: unknown): void {
    const rejected = rejectionOf(this.#name, error, this.#run)
    const { attempts } = this.#run
    this.#resolve(rejected === undefined ? { ok: false, error, attempts } : { ok: false, error, attempts, rejected })
  }
}

function rejectionOf(name: string, error: unknown, run: Run): Rejected | undefined {
  if (error instanceof ResilienceError) {
    const { code, policy: by, retryAfterMs } = error
    return retryAfterMs === undefined
      ? { rejectedBy: rejectedBy[code], policy: by }
      : { rejectedBy: rejectedBy[code], policy: by, retryAfterMs }
  }
  return run.cancel?.aborted && error === run.cancel.reason ? { rejectedBy: 'cancelled', policy: name } : undefined
}

/** The clock that the layers have in common. */
function worldOf(name: string, layers: readonly Layer<unknown>[]): World {
  const worlds = new Set(layers.flatMap((layer) => layer.world ?? []))
  if (worlds.size > 1) throw new TypeError(`cannot create policy "${name}": its layers run on different worlds; give all the same "world"`)
  return worlds.values().next().value ?? systemWorld
}
