import { CodedError } from '@banyan/core'

/** The codes of {@link SagaError}. */
export type SagaErrorCode =
  /** The input of a saga cannot be stored as JSON. */
  | 'ERR_INPUT_NOT_JSON'
  /** What a step gave back cannot be stored as JSON. */
  | 'ERR_RESULT_NOT_JSON'
  /** What a `when`, a `sleep` or an `each` was decided by is none: a promise for a yes or no, a set for a list, a pause of no number. */
  | 'ERR_DECISION_INVALID'
  /** An attempt took longer than the step's `withinMs`; whether it had an effect is unknown, but for a local step: it had none. */
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
  /** Nothing came for a step in time. */
  | 'ERR_WAIT_EXPIRED'
  /** The saga's time was over before its pivot. */
  | 'ERR_SAGA_DEADLINE'
  /** Somebody cancelled the saga. */
  | 'ERR_SAGA_CANCELLED'
  /** The saga is at or past its pivot, or at its end: it cannot be cancelled. Status 409. */
  | 'ERR_SAGA_PAST_PIVOT'
  /** What is stored cannot be decoded, or read. */
  | 'ERR_SAGA_UNREADABLE'
  /** A saga of an older version could not be taken over. */
  | 'ERR_SAGA_MIGRATION'
  /** What is stored can be read and written with the saga's codec alone. Status 409. */
  | 'ERR_SAGA_ENCODED'
  /** The child saga was undone. */
  | 'ERR_CHILD_COMPENSATED'
  /** The child saga has not come to its end yet. */
  | 'ERR_CHILD_RUNNING'
  /** No flow of this name and correlation id is watched. Status 404. */
  | 'ERR_FLOW_UNKNOWN'
  /** Another saga holds the semantic lock. Status 409, and `retryAfterMs`: a step is tried again. */
  | 'ERR_LOCKED'
  /** The flow has no such flag to acknowledge. Status 409. */
  | 'ERR_FLOW_STATE'

/** What goes wrong in defining, running and repairing sagas, and in the participant guard. */
export class SagaError extends CodedError<SagaErrorCode> {}
