import type { Transaction } from '@banyan/core'
import { RESERVED_NAMES, type SagaContext } from './context.ts'
import { checkName, checkWhole } from './options.ts'
import type { SagaShape, StepShape } from './shape.ts'
import type { FinalLocalStep, FinalRemoteStep, FreshName, LocalStep, Nothing, PivotStep, RemoteStep, ResultOf, StepRetry } from './steps.ts'

export interface SagaOptions<Input> {
  /** The version of the definition, a whole number from 1. Sagas that run under another version are left to programs that know it. */
  version: number
  /** What the saga is about, an order's id: the same key starts once. At most 200 characters. */
  key: (input: Input) => string
}

/** A saga before its pivot: every step says how it is undone. */
export interface SagaBuilder<Input, Results> {
  /** Adds a call to another system: at least once, under a stable key. */
  step<Name extends string, T>(
    name: FreshName<Name, Results>,
    step: RemoteStep<Name, Input, Results, T>,
  ): SagaBuilder<Input, Results & Record<Name, ResultOf<T>>>
  /** Adds a step in the service's own database: exactly once, in the transaction that records it. */
  local<Name extends string, T>(
    name: FreshName<Name, Results>,
    step: LocalStep<Name, Input, Results, T>,
  ): SagaBuilder<Input, Results & Record<Name, ResultOf<T>>>
  /** Adds the point of no return: what comes after it is repeated until it works, and nothing is undone. */
  pivot<Name extends string, T>(
    name: FreshName<Name, Results>,
    step: PivotStep<Name, Input, Results, T>,
  ): SagaPastPivot<Name, Input, Results & Record<Name, ResultOf<T>>>
  /** Ends the definition. The output is stored with the saga. */
  done<Output = undefined>(output?: (c: SagaContext<Input, Results>) => Output): Saga<Input, Output>
}

/** A saga past its pivot. */
export interface SagaPastPivot<Pivot extends string, Input, Results> {
  step<Name extends string, T>(
    name: FreshName<Name, Results>,
    step: FinalRemoteStep<Name, Input, Results, T>,
  ): SagaPastPivot<Pivot, Input, Results & Record<Name, ResultOf<T>>>
  local<Name extends string, T>(
    name: FreshName<Name, Results>,
    step: FinalLocalStep<Name, Input, Results, T>,
  ): SagaPastPivot<Pivot, Input, Results & Record<Name, ResultOf<T>>>
  /** A saga has one pivot: this does not compile, and says which one it has. */
  pivot<Name extends string>(name: SecondPivot<Name, Pivot>, step: unknown): never
  /** Ends the definition. The output is stored with the saga. */
  done<Output = undefined>(output?: (c: SagaContext<Input, Results>) => Output): Saga<Input, Output>
}

type SecondPivot<Name extends string, Pivot extends string> = Name extends never ? Name : `'${Name}' cannot be the pivot: '${Pivot}' is`

/** A complete definition. */
export interface Saga<Input, Output = unknown> extends SagaShape {
  readonly steps: readonly SagaStep[]
  keyOf(input: Input): string
  outputOf(c: never): Output
}

/** Any definition, whatever its types. */
export type AnySaga = Saga<never>

/** One step of a definition: what it is and what it does. */
export type SagaStep = StepShape & StepBody

/** The functions of a step; `undo` is missing where there is nothing to undo. Their contexts were typed by the builder. */
export type StepBody =
  | { readonly kind: 'remote'; readonly do: (c: never) => unknown; readonly undo: ((c: never) => unknown) | undefined }
  | { readonly kind: 'local'; readonly do: LocalBody; readonly undo: LocalBody | undefined }

type LocalBody = (tx: Transaction, c: never) => unknown

/**
 * Defines a saga: a list of steps, each with the way back, and a point of no return.
 *
 * @throws {TypeError} {RangeError} for names and options that are not allowed; the types refuse most of them before
 * @see Garcia-Molina and Salem, "Sagas", 1987; Richardson, Microservices Patterns, chapter 4
 */
export function saga<Input>(name: string, options: SagaOptions<Input>): SagaBuilder<Input, Record<never, never>> {
  checkName('define saga', '"name"', name)
  checkWhole(`define saga "${name}"`, 'version', options.version, 1)
  // The builder below collects what the typed interface lets through; what it has collected is checked again as it comes.
  return chain({ name, version: options.version, keyOf: options.key as (input: never) => string, steps: [] }) as unknown as SagaBuilder<
    Input,
    Record<never, never>
  >
}

/** What the builder is given, whichever of the typed steps it was. */
interface LooseStep {
  do?: (...args: never[]) => unknown
  local?: (...args: never[]) => unknown
  undo?: Nothing | ((...args: never[]) => unknown)
  withinMs?: number
  retry?: StepRetry
  undoRetry?: StepRetry
}

interface Collected {
  readonly name: string
  readonly version: number
  readonly keyOf: (input: never) => string
  readonly steps: readonly SagaStep[]
}

function chain(saga: Collected) {
  const hasPivot = saga.steps.some(({ place }) => place !== 'before')
  const add = (kind: 'local' | 'remote', place: StepShape['place'], name: string, step: LooseStep) =>
    chain({ ...saga, steps: [...saga.steps, stepOf(saga, kind, place, name, step)] })
  return {
    step: (name: string, step: LooseStep) => add('remote', hasPivot ? 'after' : 'before', name, step),
    local: (name: string, step: LooseStep) => add('local', hasPivot ? 'after' : 'before', name, step),
    pivot(name: string, { local, ...step }: LooseStep) {
      if (hasPivot) throw new TypeError(`cannot define saga "${saga.name}": "${name}" would be a second pivot`)
      return local ? add('local', 'pivot', name, { ...step, do: local }) : add('remote', 'pivot', name, step)
    },
    done(outputOf: (c: never) => unknown = () => undefined): AnySaga {
      if (saga.steps.length === 0) throw new TypeError(`cannot define saga "${saga.name}": it has no steps`)
      return { ...saga, outputOf }
    },
  }
}

function stepOf(saga: Collected, kind: 'local' | 'remote', place: StepShape['place'], name: string, step: LooseStep): SagaStep {
  const action = `define saga "${saga.name}", step "${name}"`
  checkName(action, 'its name', name)
  const fail = (what: string) => new TypeError(`cannot ${action}: ${what}`)
  if (RESERVED_NAMES.includes(name)) throw fail('the context has something of this name')
  if (saga.steps.some((other) => other.name === name)) throw fail('another step has this name')
  const { do: body, undo, withinMs = 30_000, retry = {}, undoRetry = {} } = step
  if (!body) throw fail('"do" is missing')
  if (place === 'before' && undo === undefined) throw fail(`"undo" is missing; a step without effect has undo: nothing('why')`)
  if (place !== 'before' && undo !== undefined) throw fail('it stands at or past the pivot and is never undone')
  checkWhole(action, 'withinMs', withinMs, 1)
  const shape = {
    name,
    place,
    withinMs,
    undoable: typeof undo === 'function',
    noUndo: typeof undo === 'object' ? undo.nothing : undefined,
    retry: retryOf(action, 'retry', retry, { attempts: 8, baseMs: 100, capMs: place === 'before' ? 5_000 : 10_000 }),
    undoRetry: retryOf(action, 'undoRetry', undoRetry, { attempts: 30, baseMs: 100, capMs: 10_000 }),
  }
  // The typed methods above saw to it that the functions fit the kind of step.
  return { ...shape, kind, do: body, undo: typeof undo === 'function' ? undo : undefined } as SagaStep
}

function retryOf(action: string, option: string, retry: StepRetry, defaults: Required<StepRetry>): Required<StepRetry> {
  const { attempts = defaults.attempts, baseMs = defaults.baseMs } = retry
  const { capMs = Math.max(baseMs, defaults.capMs) } = retry
  checkWhole(action, `${option}.attempts`, attempts, 1)
  checkWhole(action, `${option}.baseMs`, baseMs, 1)
  checkWhole(action, `${option}.capMs`, capMs, baseMs)
  return { attempts, baseMs, capMs }
}
