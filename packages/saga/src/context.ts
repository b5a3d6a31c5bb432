/** What every step of a saga is given beside the results of the steps before it. */
export interface SagaCall<Input> {
  readonly input: Input
  /** The saga's id, a UUIDv7. */
  readonly id: string
  /**
   * The idempotency key of this step, `<saga id>:<step>`. Its `do`, its `undo` and every repetition of both share it: hand it on
   * with each call, so that the receiver can tell a repetition (see `participant`). It stays when `renameSteps` gives the step
   * another name. At most 255 characters.
   */
  readonly key: string
  /** 1 for the first attempt of this `do` or `undo`. One that a crash cut off is not counted: its number comes again. */
  readonly attempt: number
  /** Aborts when the attempt's time is over, and when the worker loses the saga. */
  readonly signal: AbortSignal
  /** What is left of the attempt's time, milliseconds. */
  readonly remainingMs: number
}

/** Why a saga is being undone. */
export interface UndoCause {
  /** The step that was refused or failed. */
  readonly step: string
  /** Whether it was refused; else it failed, or a person decided. */
  readonly refused: boolean
  /** The refusal's word (`out-of-stock`), or the error's code. */
  readonly code: string
  /** A sentence for people. */
  readonly message: string
}

/** What an `undo` is given beside. */
export interface UndoCall {
  /** Why the saga is being undone: the refusal's word (`out-of-stock`), or the error's code. */
  readonly reason: string
  /** The same with the step and a sentence. */
  readonly cause: UndoCause
}

/** What `do` is given: the call, and the result of each earlier step under its name. */
export type SagaContext<Input, Results> = SagaCall<Input> & Readonly<Results>

/**
 * What `undo` is given. The step's own result may be missing: the call may have had its effect without its answer ever
 * getting here.
 */
export type UndoContext<Name extends string, Input, Results, Own> = SagaCall<Input> &
  UndoCall &
  Readonly<Results> & { readonly [N in Name]?: Own }

/** Names that a step cannot have, as the context uses them, or every object does. */
export type ReservedName = keyof SagaCall<unknown> | keyof UndoCall | '__proto__'
export const RESERVED_NAMES: readonly string[] = [
  'input',
  'id',
  'key',
  'attempt',
  'signal',
  'remainingMs',
  'reason',
  'cause',
  '__proto__',
] satisfies ReservedName[]
