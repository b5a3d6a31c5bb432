import { CodedError } from '@banyan/core'

/** The codes of {@link CliError}. */
export type CliErrorCode =
  | 'ERR_PORT_TAKEN'
  | 'ERR_DATA_FOLDER'
  | 'ERR_SYSTEM_FILE'
  | 'ERR_PROCESS_FAILED'
  | 'ERR_PROCESS_UNKNOWN'
  | 'ERR_NOT_READY'
  | 'ERR_DATABASE_MISSING'
  | 'ERR_DATABASE_FOREIGN'
  | 'ERR_DEAD_LETTER_UNKNOWN'
  | 'ERR_SAGA_FINDINGS'
  | 'ERR_SAGA_BROKEN'
  | 'ERR_SAGA_UNFINISHED'
  | 'ERR_RELOAD_REFUSED'
  | 'ERR_ADMIN'
  | 'ERR_USAGE'

/** Something a person can put right; its message is one line for that person. */
export class CliError extends CodedError<CliErrorCode> {}
