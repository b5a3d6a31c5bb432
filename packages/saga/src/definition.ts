import type { EventType, Transaction } from '@banyan/core'
import type { SagaShape, StepShape } from './shape.ts'
import type { SagaState } from './state.ts'

export interface SagaOptions<Input> {
  /** The version of the definition, a whole number from 1. Sagas that run under another version are left to programs that know it. */
  version: number
  /** What the saga is about, an order's id: the same key starts once. At most 200 characters. Stored as it is, also with a codec. */
  key: (input: Input) => string
  /**
   * How long all of it may take, milliseconds from 1, at most 1,000 years: before the pivot it is undone then with `ERR_SAGA_DEADLINE`, past it an alert is
   * raised. Default: no end.
   */
  deadlineMs?: number
  /**
   * How many of these sagas make a step at the same time in one worker, 1 to 10,000: those of all its versions together, by what the newest
   * says. Default: the worker's `concurrency`.
   */
  concurrency?: number
  /**
   * How input, results, output and signals are stored, for personal data. All versions of a saga share it: `decode` also reads what was
   * stored before, under a key that has been replaced, or as plain JSON where there was no codec yet. Default: as JSON.
   */
  codec?: SagaCodec
  /** By older version: what a saga of that version is in this one. Workers take such sagas over, and go on with this version. */
  migrate?: Readonly<Record<number, (old: StoredSaga) => MigratedSaga>>
}

/** Makes stored texts unreadable for others, and back; `decode(encode(text))` is `text`. What cannot be decoded stops its saga. */
export interface SagaCodec {
  encode(text: string): string
  decode(text: string): string
}

/** A saga of an older version, as it was stored. */
export interface StoredSaga {
  readonly id: string
  readonly key: string
  readonly version: number
  readonly state: SagaState
  readonly input: unknown
  /** By step name. */
  readonly results: Readonly<Record<string, unknown>>
}

/**
 * What it is in the new version. Steps the new one does not have stop it, and so does a state that the new one cannot go on with (no step
 * to run, steps side by side that do not start together): it is what it was then, and is migrated anew when somebody retries it.
 */
export interface MigratedSaga {
  /**
   * See `renameSteps` for the usual case. Steps that start together with those it is at, and have not been begun, are begun, too; with
   * nothing left to be done it is past the step, or at its end. The record of first names, left out, is what it was.
   */
  readonly state: SagaState
  /** Left out: as it was. */
  readonly input?: unknown
  /** Left out: as they were. */
  readonly results?: Readonly<Record<string, unknown>>
}

/** A complete definition. */
export interface Saga<Input, Output = unknown> extends SagaShape {
  readonly steps: readonly SagaStep[]
  readonly concurrency: number | undefined
  readonly codec: SagaCodec | undefined
  readonly migrate: Readonly<Record<number, (old: StoredSaga) => MigratedSaga>>
  keyOf(input: Input): string
  outputOf(c: never): Output
}

/** Any definition, whatever its types. */
export type AnySaga = Saga<never>

/** One step of a definition: what it is and what it does. */
export type SagaStep = StepShape & StepBody

/** The functions of a step; `undo` is missing where there is nothing to undo. Their contexts were typed by the builder. */
export type StepBody =
  | {
      readonly kind: 'remote'
      readonly do: RemoteBody
      readonly undo: RemoteBody | undefined
      /** Of a step that runs once for each. */
      readonly items?: (c: never) => readonly unknown[]
    }
  | { readonly kind: 'local'; readonly do: LocalBody; readonly undo: LocalBody | undefined }
  | { readonly kind: 'wait'; readonly event: EventType; readonly where: (c: never) => string }
  | { readonly kind: 'approve' }
  | { readonly kind: 'sleep'; readonly durationMs: (c: never) => number }
  | { readonly kind: 'when'; readonly predicate: (c: never) => boolean }
  | { readonly kind: 'child'; readonly saga: AnySaga; readonly input: (c: never) => unknown; readonly undo: RemoteBody | undefined }

type RemoteBody = (c: never, item: never, index: number) => unknown
type LocalBody = (tx: Transaction, c: never) => unknown
