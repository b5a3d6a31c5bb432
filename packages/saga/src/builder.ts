import type { EventType } from '@banyan/core'
import type { SagaContext } from './context.ts'
import type { Saga } from './definition.ts'
import type {
  AllSteps,
  Approval,
  ApproveOptions,
  Branch,
  ChildOptions,
  EachStep,
  FinalAllSteps,
  FinalChildOptions,
  FinalEachStep,
  FinalLocalStep,
  FinalRemoteStep,
  FreshName,
  LocalStep,
  Otherwise,
  PivotStep,
  RemoteStep,
  ResultOf,
  WaitOptions,
  WaitResult,
} from './steps.ts'

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
  /**
   * Adds calls to other systems that are made at the same time; it goes on when all have worked. Undone in reverse order of start.
   * Where an `undo` reads its own result and the `do` its context, TypeScript infers more from {@link SagaBuilder.together}.
   */
  all<Steps extends Record<string, unknown>>(
    steps: AllSteps<Input, Results, Steps>,
  ): SagaBuilder<Input, Results & { [Name in keyof Steps]: ResultOf<Steps[Name]> }>
  /** The same, step by step: `.together((group) => group.step('hotel', { ... }).step('flight', { ... }))`. */
  together<Added>(
    build: (group: SagaGroup<Input, Results, Record<never, never>>) => SagaGroup<Input, Results, Added>,
  ): SagaBuilder<Input, Results & Added>
  /**
   * Adds steps that run if `predicate` says so when it is their turn; the decision is recorded, and is the result `name`. What they
   * gave may be missing to later steps.
   */
  when<Name extends string, Inner extends Results & Record<Name, boolean>>(
    name: FreshName<Name, Results>,
    predicate: (c: SagaContext<Input, Results>) => boolean,
    build: (branch: SagaBuilder<Input, Results & Record<Name, boolean>>) => SagaBuilder<Input, Inner>,
  ): SagaBuilder<Input, Branch<Name, Results, Inner>>
  /** Adds a call to another system for each of some items, one after another. The items are recorded; the result is a list. */
  each<Name extends string, Item, T>(
    name: FreshName<Name, Results>,
    items: (c: SagaContext<Input, Results>) => readonly Item[],
    step: EachStep<Name, Input, Results, Item, T>,
  ): SagaBuilder<Input, Results & Record<Name, readonly ResultOf<T>[]>>
  /** Adds a wait for an event whose key is `where`; its data is the result. Events that came before are kept and found. */
  wait<Name extends string, E extends EventType, O extends Otherwise>(
    name: FreshName<Name, Results>,
    options: WaitOptions<Input, Results, E, O>,
  ): SagaBuilder<Input, Results & Record<Name, WaitResult<E, O>>>
  /** Adds a pause, milliseconds from 0, at most 1,000 years. It survives restarts. */
  sleep<Name extends string>(
    name: FreshName<Name, Results>,
    duration: number | ((c: SagaContext<Input, Results>) => number),
  ): SagaBuilder<Input, Results & Record<Name, undefined>>
  /** Adds a wait for a person, who says yes or no by `sagas(database)` or `banyan saga`; a no is a refusal. */
  approve<Name extends string, O extends Otherwise>(
    name: FreshName<Name, Results>,
    options: ApproveOptions<O>,
  ): SagaBuilder<Input, Results & Record<Name, O extends 'undo' ? Approval : Approval | undefined>>
  /** Adds another saga: it is started in this database under a stable key, and its end is awaited. One that was undone is a refusal. */
  child<Name extends string, ChildInput, Output>(
    name: FreshName<Name, Results>,
    saga: Saga<ChildInput, Output>,
    options: ChildOptions<Name, Input, Results, ChildInput, Output>,
  ): SagaBuilder<Input, Results & Record<Name, Output>>
  /** Adds the point of no return: what comes after it is repeated until it works, and nothing is undone. */
  pivot<Name extends string, T>(
    name: FreshName<Name, Results>,
    step: PivotStep<Name, Input, Results, T>,
  ): SagaPastPivot<Name, Input, Results & Record<Name, ResultOf<T>>>
  /** Ends the definition. The output is stored with the saga. */
  done<Output = undefined>(output?: ((c: SagaContext<Input, Results>) => Output) & AtOnce<Output>): Saga<Input, Output>
}

/** A saga past its pivot: nothing in it can fail for good. */
export interface SagaPastPivot<Pivot extends string, Input, Results> {
  step<Name extends string, T>(
    name: FreshName<Name, Results>,
    step: FinalRemoteStep<Name, Input, Results, T>,
  ): SagaPastPivot<Pivot, Input, Results & Record<Name, ResultOf<T>>>
  local<Name extends string, T>(
    name: FreshName<Name, Results>,
    step: FinalLocalStep<Name, Input, Results, T>,
  ): SagaPastPivot<Pivot, Input, Results & Record<Name, ResultOf<T>>>
  all<Steps extends Record<string, unknown>>(
    steps: FinalAllSteps<Input, Results, Steps>,
  ): SagaPastPivot<Pivot, Input, Results & { [Name in keyof Steps]: ResultOf<Steps[Name]> }>
  together<Added>(
    build: (group: FinalSagaGroup<Input, Results, Record<never, never>>) => FinalSagaGroup<Input, Results, Added>,
  ): SagaPastPivot<Pivot, Input, Results & Added>
  when<Name extends string, Inner extends Results & Record<Name, boolean>>(
    name: FreshName<Name, Results>,
    predicate: (c: SagaContext<Input, Results>) => boolean,
    build: (branch: SagaPastPivot<Pivot, Input, Results & Record<Name, boolean>>) => SagaPastPivot<Pivot, Input, Inner>,
  ): SagaPastPivot<Pivot, Input, Branch<Name, Results, Inner>>
  each<Name extends string, Item, T>(
    name: FreshName<Name, Results>,
    items: (c: SagaContext<Input, Results>) => readonly Item[],
    step: FinalEachStep<Name, Input, Results, Item, T>,
  ): SagaPastPivot<Pivot, Input, Results & Record<Name, readonly ResultOf<T>[]>>
  wait<Name extends string, E extends EventType>(
    name: FreshName<Name, Results>,
    options: WaitOptions<Input, Results, E, 'continue'>,
  ): SagaPastPivot<Pivot, Input, Results & Record<Name, WaitResult<E, 'continue'>>>
  sleep<Name extends string>(
    name: FreshName<Name, Results>,
    duration: number | ((c: SagaContext<Input, Results>) => number),
  ): SagaPastPivot<Pivot, Input, Results & Record<Name, undefined>>
  /** A person may say no: this does not compile, and says so. */
  approve<Name extends string>(name: NobodySaysNo<Name, Pivot>, options: unknown): never
  /** One that is undone stops the saga: a person has to decide. */
  child<Name extends string, ChildInput, Output>(
    name: FreshName<Name, Results>,
    saga: Saga<ChildInput, Output>,
    options: FinalChildOptions<Name, Input, Results, ChildInput>,
  ): SagaPastPivot<Pivot, Input, Results & Record<Name, Output>>
  /** A saga has one pivot: this does not compile, and says which one it has. */
  pivot<Name extends string>(name: SecondPivot<Name, Pivot>, step: unknown): never
  /** Ends the definition. The output is stored with the saga. */
  done<Output = undefined>(output?: ((c: SagaContext<Input, Results>) => Output) & AtOnce<Output>): Saga<Input, Output>
}

/** An output is a value: of a promise nothing would be stored. */
type AtOnce<Output> =
  Extract<Output, PromiseLike<unknown>> extends never ? unknown : "what 'done' gives is stored as it is: wanted no promise"

type SecondPivot<Name extends string, Pivot extends string> = Name extends never ? Name : `'${Name}' cannot be the pivot: '${Pivot}' is`

/** Calls that are made at the same time: none reads the result of another. */
export interface SagaGroup<Input, Results, Added> {
  step<Name extends string, T>(
    name: FreshName<Name, Results & Added>,
    step: RemoteStep<Name, Input, Results, T>,
  ): SagaGroup<Input, Results, Added & Record<Name, ResultOf<T>>>
}

/** The same past the pivot. */
export interface FinalSagaGroup<Input, Results, Added> {
  step<Name extends string, T>(
    name: FreshName<Name, Results & Added>,
    step: FinalRemoteStep<Name, Input, Results, T>,
  ): FinalSagaGroup<Input, Results, Added & Record<Name, ResultOf<T>>>
}

// Both ask something of `Name`, so that it is the name that was written and not any text.
type NobodySaysNo<Name extends string, Pivot extends string> = Name extends never
  ? Name
  : `'${Name}' stands past the pivot '${Pivot}': nobody can say no there`
