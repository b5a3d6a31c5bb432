import { CodedError } from '@banyan/core'

/** The codes of {@link ExploreError}. */
export type ExploreErrorCode =
  /** A step or an operation waits for something that is not simulated: a timer, a socket, a file. */
  | 'ERR_OUTSIDE_SIMULATION'
  /** A step calls an operation that its service does not have, or a service is called outside a step. */
  | 'ERR_OPERATION_UNKNOWN'
  /** A stored schedule does not fit the saga any more. */
  | 'ERR_SCHEDULE'
  /** What a saga, an operation or an invariant was given or gave back cannot be kept as JSON. */
  | 'ERR_NOT_JSON'

/** What goes wrong in exploring itself. What is wrong with the saga is the result, not an error. */
export class ExploreError extends CodedError<ExploreErrorCode> {}
