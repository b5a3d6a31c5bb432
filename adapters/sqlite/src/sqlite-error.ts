import { CodedError, type CodedErrorOptions, messageOf } from '@banyan/core'

/** The codes of {@link SqliteError}. */
export type SqliteErrorCode =
  | 'ERR_DATABASE_OPEN'
  | 'ERR_DATABASE_CLOSED'
  | 'ERR_DATABASE_BUSY'
  | 'ERR_COMMIT_FAILED'
  | 'ERR_DISK_FULL'
  | 'ERR_TRANSACTION_TIMEOUT'
  | 'ERR_TRANSACTION_OVER'
  | 'ERR_TRANSACTION_CONTROL'
  | 'ERR_NESTED_TRANSACTION'
  | 'ERR_MIGRATION_CHANGED'
  | 'ERR_MIGRATION_FAILED'
  | 'ERR_READ_ONLY'
  | 'ERR_SQL'
  | 'ERR_SQL_CONSTRAINT'
  | 'ERR_BUS_GROUP_TYPES'
  | 'ERR_BUS_CLOSED'

/** What a statement broke. */
export interface BrokenConstraint {
  readonly kind: 'unique' | 'primary-key' | 'foreign-key' | 'not-null' | 'check' | 'other'
  /** The columns or the name, as SQLite says it: `orders.id`. Empty for foreign keys: SQLite does not say which. */
  readonly on: string
}

/** What the SQLite adapter throws. Messages name statements, never values. */
export class SqliteError extends CodedError<SqliteErrorCode> {
  /** Set with `ERR_SQL_CONSTRAINT`. */
  readonly constraint: BrokenConstraint | undefined

  constructor(code: SqliteErrorCode, message: string, options: CodedErrorOptions & { constraint?: BrokenConstraint } = {}) {
    super(code, message, options)
    this.constraint = options.constraint
  }
}

/** SQLite's primary result codes that have a meaning of their own here. @see https://www.sqlite.org/rescode.html */
const BUSY = 5
const LOCKED = 6
const READ_ONLY = 8
const FULL = 13
const CONSTRAINT = 19

const CONSTRAINT_KINDS: Readonly<Record<number, BrokenConstraint['kind']>> = {
  275: 'check',
  787: 'foreign-key',
  1299: 'not-null',
  1555: 'primary-key',
  2067: 'unique',
  2579: 'unique',
}

/** Whether another connection holds the lock that was wanted: trying again will help. */
export function isBusy(error: unknown): boolean {
  const code = primaryCodeOf(error)
  return code === BUSY || code === LOCKED
}

/** Turns what node:sqlite threw into a {@link SqliteError}; `action` says what was tried. Our own errors pass. */
export function toSqliteError(error: unknown, action: string): SqliteError {
  if (error instanceof SqliteError) return error
  const said = `cannot ${action}: ${messageOf(error)}`
  switch (primaryCodeOf(error)) {
    case BUSY:
    case LOCKED:
      return new SqliteError('ERR_DATABASE_BUSY', said, { cause: error, retryAfterMs: 100 })
    case READ_ONLY:
      return new SqliteError('ERR_READ_ONLY', said, { cause: error })
    case FULL:
      return new SqliteError('ERR_DISK_FULL', `${said}; free some space on the disk of the database`, { cause: error, retryAfterMs: 1_000 })
    case CONSTRAINT:
      return new SqliteError('ERR_SQL_CONSTRAINT', said, { cause: error, constraint: constraintOf(error) })
    default:
      return new SqliteError('ERR_SQL', said, { cause: error })
  }
}

function primaryCodeOf(error: unknown): number | undefined {
  const extended = extendedCodeOf(error)
  return extended === undefined ? undefined : extended & 0xff
}

function extendedCodeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}

function constraintOf(error: unknown): BrokenConstraint {
  const kind = CONSTRAINT_KINDS[extendedCodeOf(error) ?? 0] ?? 'other'
  const [, on = ''] = messageOf(error).split('constraint failed: ')
  return { kind, on }
}
