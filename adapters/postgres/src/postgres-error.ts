import { CodedError, type CodedErrorOptions } from '@banyan/core'

/** The codes of {@link PostgresError}. */
export type PostgresErrorCode =
  | 'ERR_DATABASE_OPEN'
  | 'ERR_DATABASE_CLOSED'
  | 'ERR_DATABASE_UNREACHABLE'
  | 'ERR_CONNECTIONS_EXHAUSTED'
  | 'ERR_SERIALIZATION'
  | 'ERR_COMMIT_FAILED'
  | 'ERR_COMMIT_UNKNOWN'
  | 'ERR_DISK_FULL'
  | 'ERR_TRANSACTION_TIMEOUT'
  | 'ERR_TRANSACTION_OVER'
  | 'ERR_TRANSACTION_CONTROL'
  | 'ERR_NESTED_TRANSACTION'
  | 'ERR_NOT_FLUSHED'
  | 'ERR_MIGRATION_CHANGED'
  | 'ERR_MIGRATION_FAILED'
  | 'ERR_READ_ONLY'
  | 'ERR_SQL'
  | 'ERR_SQL_CONSTRAINT'
  | 'ERR_BUS_GROUP_TYPES'
  | 'ERR_BUS_CLOSED'

/** What a statement broke. */
export interface BrokenConstraint {
  readonly kind: 'unique' | 'foreign-key' | 'not-null' | 'check' | 'other'
  /** The constraint's name; for `not-null` the column: `orders.id`. */
  readonly on: string
}

/** What the PostgreSQL adapter throws. Messages and causes name statements, never values, and never a password. */
export class PostgresError extends CodedError<PostgresErrorCode> {
  /** Set with `ERR_SQL_CONSTRAINT`. */
  readonly constraint: BrokenConstraint | undefined

  constructor(code: PostgresErrorCode, message: string, options: CodedErrorOptions & { constraint?: BrokenConstraint } = {}) {
    super(code, message, options)
    this.constraint = options.constraint
  }
}

/** An error of the server, without the values that PostgreSQL puts in its details. */
export class ServerError extends Error {
  /** Five characters. @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
  readonly sqlState: string
  /** It ended the connection too. */
  readonly fatal: boolean
  /** A statement was prepared for a table that is another now, or the server has forgotten it. */
  readonly stale: boolean

  constructor(message: string, { sqlState, fatal, stale }: { sqlState: string; fatal: boolean; stale: boolean }) {
    super(message)
    this.name = 'ServerError'
    this.sqlState = sqlState
    this.fatal = fatal
    this.stale = stale
  }
}
