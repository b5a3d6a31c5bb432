import { shown, systemWorld, type World } from '@banyan/core'
import { type Protected, Run, type RunOptions, Scope } from './call.ts'
import { Bound, Heard } from './caller.ts'
import { Cancellation } from './cancellation.ts'
import { type End, Race, whenSettled } from './end.ts'
import { isHeard } from './events.ts'
import { type Explanation, explain } from './explain.ts'
import { begin, invoke } from './invoke.ts'
import type { Layer, Next } from './layer.ts'
import { checkNumber } from './option-checks.ts'
import { type Outcome, Told } from './outcome.ts'
import { type PolicySnapshot, restoreLayers, snapshotLayers } from './policy-snapshot.ts'

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
  checkParts(name, layers)
  const world = worldOf(name, layers)
  const execute = chainOf(name, world, layers)
  const watcher = layers.length === 1 ? layers[0]?.watcher : undefined

  // Layers hand on what `work` gives or an Alt; the chain itself does not know the types.
  function run(work: Protected<unknown>, options?: RunOptions): Promise<never> {
    const watch = watcher?.watch
    if (watch !== undefined && options === undefined && typeof work === 'function' && !isHeard('call'))
      return whenSettled(begin(work), watch.ok, watch.bad) as Promise<never>
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
    checkWork(name, run.work)
    const end = isHeard('call') ? new Heard(name, run, caller) : caller
    const { signal, cancellation: outer, deadlineMs = Number.POSITIVE_INFINITY } = options ?? {}
    checkNumber(`run "${name}"`, 'deadlineMs', deadlineMs, { min: Number.NEGATIVE_INFINITY })
    if (signal) checkSignal(name, signal)
    if (!signal && deadlineMs === Number.POSITIVE_INFINITY) {
      if (!outer) return unbounded(new Scope(run, undefined, 1), end)
      run.cancel = outer
      return bounded(new Scope(run, outer, 1), end)
    }
    const at = world.monotonic() + deadlineMs
    const cancel = new Cancellation(world, Math.min(at, outer?.deadline ?? at))
    run.cancel = cancel
    bounded(new Scope(run, cancel, 1), new Bound(name, run, cancel, { signal, outer, deadlineMs, at }, end))
  }
}

function checkParts(name: unknown, layers: readonly unknown[]): void {
  if (typeof name !== 'string') throw new TypeError(`cannot create policy: the name is ${shown(name)}, wanted a text`)
  if (name === '') throw new TypeError('cannot create policy: the name is empty')
  const place = layers.findIndex((layer) => typeof (layer as Partial<Layer> | undefined)?.around !== 'function')
  if (place >= 0)
    throw new TypeError(`cannot create policy "${name}": layer ${place + 1} is of type ${typeof layers[place]}, wanted a layer`)
}

/** A promise, say: what is under way already cannot be protected any more. */
function checkWork(name: string, work: unknown): void {
  if (typeof work !== 'function')
    throw new TypeError(`cannot run "${name}": the work is of type ${typeof work}, wanted a function that makes the call`)
}

/** The controller itself, say. */
function checkSignal(name: string, signal: Partial<AbortSignal>): void {
  if (typeof signal.addEventListener !== 'function')
    throw new TypeError(`cannot run "${name}": "signal" is of type ${typeof signal}, wanted an AbortSignal`)
}

/** The clock that the layers have in common. */
function worldOf(name: string, layers: readonly Layer<unknown>[]): World {
  const worlds = new Set(layers.flatMap((layer) => layer.world ?? []))
  if (worlds.size > 1) throw new TypeError(`cannot create policy "${name}": its layers run on different worlds; give all the same "world"`)
  return worlds.values().next().value ?? systemWorld
}
