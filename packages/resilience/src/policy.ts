import { systemWorld, type World } from '@banyan/core'
import { type Protected, type Run, type RunOptions, type Scope, scopeOf } from './call.ts'
import { Cancellation, race } from './cancellation.ts'
import { type RejectedBy, ResilienceError, rejectedBy } from './errors.ts'
import { type Explanation, explain } from './explain.ts'
import type { Layer, Next } from './layer.ts'
import { checkNumber, MAX_TIMER_MS } from './option-checks.ts'
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
  /**
   * Calls `work` through the layers.
   *
   * @throws what `work` throws; {@link ResilienceError} when a layer ends the call; the signal's reason when the caller aborts
   */
  run<T>(work: Protected<T>, options?: RunOptions): Promise<Awaited<T> | Alt>
  /** Like `run`, but gives failures back as values. Never rejects. */
  outcome<T>(work: Protected<T>, options?: RunOptions): Promise<Outcome<Awaited<T> | Alt>>
  /** `work` with the layers around it and the same parameters. */
  wrap<A extends unknown[], T>(work: (...args: A) => T | PromiseLike<T>): (...args: A) => Promise<Awaited<T> | Alt>
  /** What the layers do in this order, with warnings for orders that do harm. */
  explain(): Explanation
}

/** What the layers of a policy may answer in place of the function. */
export type AltOf<L extends readonly Layer<unknown>[]> = L[number] extends Layer<infer Alt> ? Alt : never

/**
 * Composes layers, outermost first. Layers with a state (breaker, bulkhead, budget) may be shared by several policies.
 *
 * @throws {TypeError} without a name, or for layers that run on different worlds
 */
export function policy<const L extends readonly Layer<unknown>[]>(name: string, ...layers: L): Policy<AltOf<L>> {
  if (name === '') throw new TypeError('cannot create policy: the name is empty')
  const world = worldOf(name, layers)
  const inner = layers.findIndex((layer) => layer.facts.kind !== 'fallback')
  const fallbacks = inner < 0 ? layers : layers.slice(0, inner)
  const rest = inner < 0 ? [] : layers.slice(inner)
  const wind = (around: readonly Layer<unknown>[], core: Next) => around.reduceRight((next, layer) => layer.around(name, next), core)
  const chain = wind(rest, invoke)
  // Outside every layer but the outermost fallbacks, which answer also when the caller's time is up.
  const bounded = wind(fallbacks, (scope) => race(scope.cancel, chain(scope)))
  const unbounded = wind(fallbacks, chain)

  function execute(run: Run, options: RunOptions): { cancel: Cancellation; result: Promise<unknown> } {
    const { signal, deadlineMs = Number.POSITIVE_INFINITY } = options
    checkNumber(`run "${name}"`, 'deadlineMs', deadlineMs, { min: Number.NEGATIVE_INFINITY })
    const cancel = new Cancellation(world, world.monotonic() + deadlineMs)
    const scope = scopeOf(run, cancel, 1)
    if (!signal && deadlineMs === Number.POSITIVE_INFINITY) return { cancel, result: unbounded(scope) }
    const leave = bindCaller(name, world, cancel, signal, deadlineMs)
    return { cancel, result: bounded(scope).finally(leave) }
  }

  return {
    name,
    run(work, options = {}) {
      // Layers hand on what `work` gives or an Alt; the chain itself does not know the types.
      return start(() => execute(runOf(work, options), options).result) as Promise<never>
    },
    async outcome(work, options = {}) {
      const run = runOf(work, options)
      let cancel: Cancellation | undefined
      try {
        const running = execute(run, options)
        cancel = running.cancel
        return { ok: true, value: (await running.result) as never, attempts: run.attempts }
      } catch (error) {
        const rejected = rejectionOf(name, error, cancel)
        return { ok: false, error, attempts: run.attempts, ...(rejected && { rejected }) }
      }
    },
    wrap(work) {
      return (...args) =>
        start(
          () =>
            execute(
              runOf(() => work(...args), {}),
              {},
            ).result,
        ) as Promise<never>
    },
    explain: () => explain(layers.map((layer) => layer.facts)),
  }
}

function runOf(work: Protected<unknown>, { idempotent, key }: RunOptions): Run {
  return { work, idempotent, key, attempts: 0 }
}

/** The innermost of all: calls the function. */
function invoke(scope: Scope): Promise<unknown> {
  const { cancel, run } = scope
  if (cancel.aborted) return Promise.reject(cancel.reason)
  return start(() => {
    run.attempts += 1
    return run.work(scope)
  })
}

/** The promise of what `work` returns; a throw becomes a rejection. */
function start(work: () => unknown): Promise<unknown> {
  try {
    return Promise.resolve(work())
  } catch (error) {
    return Promise.reject(error)
  }
}

/** Ends the call when the caller aborts or its time is up. Gives back a function that lets go of both. */
function bindCaller(name: string, world: World, cancel: Cancellation, signal: AbortSignal | undefined, deadlineMs: number): () => void {
  if (signal?.aborted) {
    cancel.abort(signal.reason)
    return () => {}
  }
  if (deadlineMs <= 0) {
    cancel.abort(timedOut(name, 0))
    return () => {}
  }
  const onAbort = () => cancel.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  // A timer cannot wait longer than some 24 days; a caller with more time than that has no deadline.
  const timer = deadlineMs <= MAX_TIMER_MS ? world.after(deadlineMs, () => cancel.abort(timedOut(name, deadlineMs))) : undefined
  return () => {
    signal?.removeEventListener('abort', onAbort)
    timer?.cancel()
  }
}

function rejectionOf(name: string, error: unknown, cancel: Cancellation | undefined): Rejected | undefined {
  if (error instanceof ResilienceError) {
    const { code, policy: by, retryAfterMs } = error
    return { rejectedBy: rejectedBy[code], policy: by, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }
  return cancel?.aborted && error === cancel.reason ? { rejectedBy: 'cancelled', policy: name } : undefined
}

/** The clock that the layers have in common. */
function worldOf(name: string, layers: readonly Layer<unknown>[]): World {
  const worlds = new Set(layers.flatMap((layer) => layer.world ?? []))
  if (worlds.size > 1) throw new TypeError(`cannot create policy "${name}": its layers run on different worlds; give all the same "world"`)
  return worlds.values().next().value ?? systemWorld
}
