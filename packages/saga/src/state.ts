import type { UndoCause } from './context.ts'

/** Where a saga stands. Steps are named, never numbered: a definition that changed cannot make it skip one. */
export type SagaState = Running | Undoing | Waiting | Stuck | Completed | Compensated

/** On its way forward. */
export interface Running {
  readonly status: 'running'
  /** The step that is to be done. */
  readonly at: string
  /** How many attempts of it have failed. */
  readonly failures: number
  /** Whether an attempt of it may have had its effect without anyone here knowing. */
  readonly doubt: boolean
  /** The steps that may have had an effect, in the order they were started. Empty past the pivot. */
  readonly touched: readonly string[]
}

/** On its way back. */
export interface Undoing {
  readonly status: 'undoing'
  /** The steps still to be undone, the next one first. */
  readonly left: readonly string[]
  /** How many attempts of the next undo have failed. */
  readonly failures: number
  readonly cause: UndoCause
}

/** Pausing before the next attempt. */
export interface Waiting {
  readonly status: 'waiting'
  /** Where it goes on. */
  readonly resume: Running | Undoing
  /** Milliseconds since 1970. */
  readonly wakeAt: number
  readonly failure: Failure
}

/** Parked: a person has to decide. Nothing runs until then. */
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

/** The step a state is about; `undefined` at the end. */
export function stepOfState(state: SagaState): string | undefined {
  if (state.status === 'running') return state.at
  if (state.status === 'undoing') return state.left[0]
  return state.status === 'waiting' || state.status === 'stuck' ? stepOfState(state.resume) : undefined
}
