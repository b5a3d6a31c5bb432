import { CodedError } from '@banyan/core'

/** The codes of {@link SagaError}. */
export type SagaErrorCode =
  /** The input of a saga cannot be stored as JSON. */
  | 'ERR_INPUT_NOT_JSON'
  /** What a step gave back cannot be stored as JSON. */
  | 'ERR_RESULT_NOT_JSON'
  /** An attempt took longer than the step's `withinMs`; whether it had an effect is unknown. */
  | 'ERR_STEP_TIMEOUT'
  /** A stored saga stands at a step that its definition does not have. */
  | 'ERR_STEP_UNKNOWN'
  /** A step that cannot be refused any more (past the pivot, or an undo) was refused. */
  | 'ERR_REFUSED_LATE'
  /** A pivot was refused after an attempt whose outcome is unknown: nobody can say whether it happened. */
  | 'ERR_PIVOT_IN_DOUBT'
  /** The same participant key came with another operation or another content. Status 422. */
  | 'ERR_KEY_REUSED'
  /** There is no saga with this id. */
  | 'ERR_SAGA_UNKNOWN'
  /** The decision does not fit the saga's state. */
  | 'ERR_SAGA_STATE'
  /** Another worker has taken the saga over; what this one did is rolled back. */
  | 'ERR_SAGA_TAKEN'
  /** The worker stopped, or lost its sagas, while an attempt ran. */
  | 'ERR_WORKER_STOPPED'
  /** No flow of this name and correlation id is watched. Status 404. */
  | 'ERR_FLOW_UNKNOWN'
  /** Another saga holds the semantic lock. Status 409. */
  | 'ERR_LOCKED'
  /** The flow has no such flag to acknowledge. Status 409. */
  | 'ERR_FLOW_STATE'

/** What goes wrong in defining, running and repairing sagas, and in the participant guard. */
export class SagaError extends CodedError<SagaErrorCode> {}
