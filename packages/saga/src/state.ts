import type { UndoCause } from './context.ts'

/**
 * Where a saga stands. Steps are named, never numbered: a step put in between, or taken out, does not move it. What a migration makes of
 * it is checked against the new version, and completed, so that no step is skipped (see `fitted`).
 */
export type SagaState = Running | Undoing | Stuck | Completed | Compensated

/** By the names that steps have now: those under which they began. See `renameSteps`. */
export type FirstNames = Readonly<Record<string, string>>

/** On its way, there or back. */
interface OnItsWay {
  /**
   * Of the steps that a migration has renamed. Other systems know a step by its first name for the saga's life: keys and channels are
   * made of it. Everything else in a state has the names of now. Left out: none has another name.
   */
  readonly firstNames?: FirstNames
}

/** On its way forward. */
export interface Running extends OnItsWay {
  readonly status: 'running'
  /** The step it is at; several of an `all`, in the order they were started. */
  readonly lanes: readonly Lane[]
  /** The steps before them that may have had an effect, in the order they were started. Empty past the pivot. */
  readonly touched: readonly string[]
}

/** A step that is on. */
export interface Lane {
  /** The step; `seats[2]` is that step for the third item. */
  readonly at: string
  /** How many attempts of it have failed. */
  readonly failures: number
  /** Whether an attempt of it may have had its effect without anyone here knowing. */
  readonly doubt: boolean
  /** It is done; others of its `all` are not. */
  readonly ended?: true
  /** How many items there are. */
  readonly items?: number
  /** When what it waits for is over, milliseconds since 1970. */
  readonly until?: number
  /** Nothing is attempted before it is over. */
  readonly pause?: Pause
}

/** Before the next attempt, or until what is waited for has come. */
export interface Pause {
  /** Milliseconds since 1970; `undefined`: until a signal comes. */
  readonly wakeAt: number | undefined
  /** Why the last attempt failed; `undefined`: it did not. */
  readonly failure: Failure | undefined
}

/** On its way back. */
export interface Undoing extends OnItsWay {
  readonly status: 'undoing'
  /** The steps still to be undone, the next one first. */
  readonly left: readonly string[]
  /** Those among them whose `do` may still be on its way: nothing is undone before that has ended. */
  readonly open: readonly Pick<Lane, 'at' | 'doubt'>[]
  /** How many attempts of the next undo have failed. */
  readonly failures: number
  readonly cause: UndoCause
  readonly pause?: Pause
}

/** A person has to decide. Nothing runs until then. */
export interface Stuck {
  readonly status: 'stuck'
  readonly resume: Running | Undoing
  readonly failure: Failure
}

/** The end of the way forward. */
export interface Completed {
  readonly status: 'completed'
}

/** The end of the way back: everything that may have had an effect is undone. */
export interface Compensated {
  readonly status: 'compensated'
  readonly cause: UndoCause
}

/** What went wrong, as it is stored. */
export interface Failure {
  readonly code: string
  readonly message: string
}

/** The step a state is about, the first of several; `undefined` at the end. */
export function stepOfState(state: SagaState): string | undefined {
  if (state.status === 'running') return (state.lanes.find(({ ended }) => !ended) ?? state.lanes[0])?.at
  if (state.status === 'undoing') return state.left[0]
  return state.status === 'stuck' ? stepOfState(state.resume) : undefined
}

/** The pauses that keep a saga from going on; none when something can be attempted now. */
export function pausesOf(state: SagaState): readonly Pause[] {
  if (state.status === 'undoing') return state.pause && state.open.length === 0 ? [state.pause] : []
  if (state.status !== 'running') return []
  const open = state.lanes.filter(({ ended }) => !ended)
  return open.every(({ pause }) => pause) ? open.flatMap(({ pause }) => (pause ? [pause] : [])) : []
}
