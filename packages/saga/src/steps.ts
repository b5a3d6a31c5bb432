import type { EventData, EventType, Refusal, Transaction } from '@banyan/core'
import type { ReservedName, SagaContext, UndoContext } from './context.ts'
import type { Touches } from './isolation.ts'

/** How often, and how soon, something is tried again: exponential backoff with full jitter. */
export interface StepRetry {
  /**
   * How many times it is tried in all, from 1. Before the pivot the saga is undone after that; an undo parks the saga as stuck;
   * past the pivot there is no end, and an alert is raised each time so many attempts have failed.
   * Default 8 for a `do`, 30 for an `undo`.
   */
  attempts?: number
  /** The longest pause before the second attempt, milliseconds from 1, at most 1,000 years; doubles from attempt to attempt. Default 100. */
  baseMs?: number
  /** No pause is longer, milliseconds, at least `baseMs`. Default 5,000 for a `do` before the pivot, else 10,000. */
  capMs?: number
}

/** Says that a step has no effect that could be undone. Made by {@link nothing}. */
export interface Nothing {
  readonly nothing: string
}

/** The `undo` of a step without effect: `undo: nothing('it only reads')`. */
export function nothing(reason: string): Nothing {
  return { nothing: reason }
}

interface StepOptions {
  /** The entities it shares with others, and what keeps each from misleading them: `{ order: 'semantic-lock' }`. `explainSaga` warns by it. */
  touches?: Touches
  /**
   * How long one attempt may take, milliseconds from 1 to 2^31 - 1, which a timer takes. Default 30,000. A local step's transaction has the
   * database's own limit besides (`transactionTimeoutMs`, 10,000): the shorter one ends it.
   */
  withinMs?: number
  /** How `do` is tried again. */
  retry?: StepRetry
}

interface UndoOptions {
  /** How `undo` is tried again; its attempts are counted from the start. */
  undoRetry?: StepRetry
}

type Answer<T> = T | Promise<T>

/** What later steps read of a step: its result. A refusal ends the way forward, so no later step sees one. */
export type ResultOf<T> = Exclude<Awaited<T>, Refusal>

/** A call to another system, before the pivot. At least once, always under the same key. */
export interface RemoteStep<Name extends string, Input, Results, T> extends StepOptions, UndoOptions {
  do(c: SagaContext<Input, Results>): Answer<T>
  /** Takes back what `do` may have done; a call that came to nothing too. Write it after `do`, so that its types are known. */
  undo: Nothing | ((c: UndoContext<Name, Input, Results, ResultOf<T>>) => unknown)
}

/** A step in the service's own database, in the transaction that records it: exactly once. Before the pivot. */
export interface LocalStep<Name extends string, Input, Results, T> extends StepOptions, UndoOptions {
  do(tx: Transaction, c: SagaContext<Input, Results>): Answer<T>
  undo: Nothing | ((tx: Transaction, c: UndoContext<Name, Input, Results, ResultOf<T>>) => unknown)
}

type NoUndo<Name extends string> = `step '${Name}' stands at or past the pivot: it is never undone`

/** A call to another system past the pivot: repeated until it works. */
export interface FinalRemoteStep<Name extends string, Input, Results, T> extends StepOptions {
  do(c: SagaContext<Input, Results>): Answer<T>
  undo?: NoUndo<Name>
}

/** A step in the service's own database past the pivot: repeated until it works, with effect exactly once. */
export interface FinalLocalStep<Name extends string, Input, Results, T> extends StepOptions {
  do(tx: Transaction, c: SagaContext<Input, Results>): Answer<T>
  undo?: NoUndo<Name>
}

/** The point of no return: `{ do }` calls another system, `{ local }` works in the service's own database. */
export type PivotStep<Name extends string, Input, Results, T> = StepOptions &
  (
    | { do(c: SagaContext<Input, Results>): Answer<T>; local?: never; undo?: NoUndo<Name> }
    | { local(tx: Transaction, c: SagaContext<Input, Results>): Answer<T>; do?: never; undo?: NoUndo<Name> }
  )

/** Calls to other systems that are made at the same time, before the pivot. */
export type AllSteps<Input, Results, Steps> = {
  [Name in keyof Steps]: RemoteStep<Name & string, Input, Results, Steps[Name]>
} & Clashes<keyof Steps, Results>

/** The same past the pivot. */
export type FinalAllSteps<Input, Results, Steps> = {
  [Name in keyof Steps]: FinalRemoteStep<Name & string, Input, Results, Steps[Name]>
} & Clashes<keyof Steps, Results>

type Clashes<Names, Results> = {
  [Name in Extract<Names, keyof Results | ReservedName>]: FreshName<Name & string, Results>
}

/** A call to another system for each item, before the pivot. Each has a key of its own, `c.key`. */
export interface EachStep<Name extends string, Input, Results, Item, T> extends StepOptions, UndoOptions {
  do(c: SagaContext<Input, Results>, item: Item, index: number): Answer<T>
  /** `c[name][index]` is the item's own result; it may be missing. */
  undo: Nothing | ((c: UndoContext<Name, Input, Results, readonly (ResultOf<T> | undefined)[]>, item: Item, index: number) => unknown)
}

/** The same past the pivot. */
export interface FinalEachStep<Name extends string, Input, Results, Item, T> extends StepOptions {
  do(c: SagaContext<Input, Results>, item: Item, index: number): Answer<T>
  undo?: NoUndo<Name>
}

/** What becomes of a saga when nothing comes in time: it is undone, or goes on without a result. */
export type Otherwise = 'undo' | 'continue'

export interface WaitOptions<Input, Results, E extends EventType, O extends Otherwise> {
  /** The event that is waited for. It comes by `signalSagas`, or `signal`. */
  for: E
  /** The key of the one that is meant. At most 200 characters. */
  where: (c: SagaContext<Input, Results>) => string
  /** How long is waited, milliseconds from 1, at most 1,000 years. */
  withinMs: number
  otherwise: O
}

export type WaitResult<E, O extends Otherwise> = O extends 'undo' ? EventData<E> : EventData<E> | undefined

export interface ApproveOptions<O extends Otherwise> {
  /** How long is waited, milliseconds from 1, at most 1,000 years. */
  withinMs: number
  otherwise: O
}

/** A person's yes. */
export interface Approval {
  readonly by: string
  readonly reason: string
  /** What they gave with it. */
  readonly value: unknown
}

export interface ChildOptions<Name extends string, Input, Results, ChildInput, Output> extends UndoOptions {
  input: (c: SagaContext<Input, Results>) => NoInfer<ChildInput>
  /** Takes back what a child did that came to its end. One that is on its way is cancelled before, and its end awaited. */
  undo: Nothing | ((c: UndoContext<Name, Input, Results, Output>) => unknown)
}

export interface FinalChildOptions<Name extends string, Input, Results, ChildInput> {
  input: (c: SagaContext<Input, Results>) => NoInfer<ChildInput>
  undo?: NoUndo<Name>
}

/** What later steps see of a `when`: its decision, and what its steps gave if they ran. */
export type Branch<Name extends string, Results, Inner> = Results &
  Record<Name, boolean> & { readonly [Step in Exclude<keyof Inner, keyof Results | Name>]?: Inner[Step] }

/** A name no other step has. Else a sentence, which the compiler then shows as the type it wants. */
export type FreshName<Name extends string, Results> = string extends Name
  ? 'write the name of the step out'
  : Name extends keyof Results
    ? `the saga has a step '${Name}' already`
    : Name extends ReservedName
      ? `'${Name}' cannot be a step: the context has something of this name`
      : Name
