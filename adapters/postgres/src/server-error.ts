import { messageOf } from '@banyan/core'
import pg from 'pg'
import { type BrokenConstraint, PostgresError, type PostgresErrorCode, ServerError } from './postgres-error.ts'

/** What SQLSTATEs mean here; a whole class by its first two characters. The first that fits counts. */
const MEANING: readonly (readonly [prefix: string, code: PostgresErrorCode, retryAfterMs?: number])[] = [
  ['23', 'ERR_SQL_CONSTRAINT'],
  ['40001', 'ERR_SERIALIZATION', 50],
  ['40P01', 'ERR_SERIALIZATION', 50],
  ['25006', 'ERR_READ_ONLY'],
  ['25P03', 'ERR_TRANSACTION_TIMEOUT'],
  ['25P04', 'ERR_TRANSACTION_TIMEOUT'],
  ['57014', 'ERR_TRANSACTION_TIMEOUT'],
  ['53100', 'ERR_DISK_FULL', 1_000],
  ['53300', 'ERR_CONNECTIONS_EXHAUSTED', 1_000],
  ['57P', 'ERR_DATABASE_UNREACHABLE', 1_000],
  // A statement that does not fit its values, though its class is that of connections.
  ['08P01', 'ERR_SQL'],
  ['08', 'ERR_DATABASE_UNREACHABLE', 1_000],
  ['28', 'ERR_DATABASE_OPEN'],
  ['3D000', 'ERR_DATABASE_OPEN'],
]

/** Errors that end the connection. The driver gives the severity as the server's language has it, and not the word that is always the same. */
const ENDS_CONNECTION = /^(57P0[1-5]|25P0[34])$/

const UNKNOWN_STATEMENT = '26000'

/** How the driver says that it has no password, or an empty one, to answer the server with. */
const NO_PASSWORD = /client password must be a (non-empty )?string/
const WANTED = 'wanted one in the URL, "postgres://user:password@host:5432/database", in PGPASSWORD or in a password file'

/** How PgBouncer says that it takes no settings from who connects. */
const NO_SETTINGS = /unsupported startup parameter/
const UNPREPARED = 'behind a pooler such as PgBouncer say "prepare: false", which makes no settings of a session'

const KINDS: Readonly<Record<string, BrokenConstraint['kind']>> = {
  '23001': 'foreign-key',
  '23502': 'not-null',
  '23503': 'foreign-key',
  '23505': 'unique',
  '23514': 'check',
}

/** Turns what the driver threw into a {@link PostgresError}; `action` says what was tried. Our own errors pass. */
export function toPostgresError(error: unknown, action: string): PostgresError {
  if (error instanceof PostgresError) return error
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) {
    if (NO_PASSWORD.test(messageOf(error)))
      return new PostgresError('ERR_DATABASE_OPEN', `cannot ${action}: the server wants a password and there is none; ${WANTED}`, {
        cause: error,
      })
    // Whatever is not the server's answer is about the way to it.
    const said = `cannot ${action}: the connection to PostgreSQL failed: ${reasonOf(error)}`
    return new PostgresError('ERR_DATABASE_UNREACHABLE', said, { cause: error, retryAfterMs: 1_000 })
  }
  const cause = new ServerError(withoutValues(error.message, error.code), {
    sqlState: error.code,
    fatal: error.severity === 'FATAL' || error.severity === 'PANIC' || ENDS_CONNECTION.test(error.code),
    stale: error.code === UNKNOWN_STATEMENT || error.routine === 'RevalidateCachedQuery',
  })
  if (error.code === '08P01' && NO_SETTINGS.test(error.message))
    return new PostgresError('ERR_DATABASE_OPEN', `cannot ${action}: ${cause.message}; ${UNPREPARED}`, { cause })
  const [, code = 'ERR_SQL', retryAfterMs] = MEANING.find(([prefix]) => cause.sqlState.startsWith(prefix)) ?? []
  const said = `cannot ${action}: ${cause.message}${code === 'ERR_DISK_FULL' ? '; free some space on the disk of the database' : ''}`
  return new PostgresError(code, said, {
    cause,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(code === 'ERR_SQL_CONSTRAINT' && { constraint: constraintOf(error, cause.sqlState) }),
  })
}

/** The SQLSTATE behind an error of ours. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof PostgresError && error.cause instanceof ServerError ? error.cause.sqlState : undefined
}

/** Whether only the statement's preparation is out of date. */
export function isStale(error: unknown): boolean {
  return error instanceof PostgresError && error.cause instanceof ServerError && error.cause.stale
}

/** Whether the connection is gone, and with it the answer; else the server has answered that it did not do it. */
export function isDisconnect(error: unknown): boolean {
  if (!(error instanceof PostgresError)) return false
  return error.cause instanceof ServerError ? error.cause.fatal : error.code === 'ERR_DATABASE_UNREACHABLE'
}

/** From the first quotation mark of any language to the last; what is not closed, to the end. */
const QUOTED = /["«»‹›„“”「」『』](?:.*["«»‹›„“”「」『』]|.*$)/s

/** Errors about data (class 22) quote the data, each in its language, or its bytes: `invalid input syntax for type integer: "..."`. */
function withoutValues(message: string, sqlState: string): string {
  return sqlState.startsWith('22') ? message.replace(QUOTED, '"..."').replace(/0x[0-9a-f]{2}(?: 0x[0-9a-f]{2})*/g, '0x...') : message
}

function constraintOf(error: pg.DatabaseError, sqlState: string): BrokenConstraint {
  const kind = KINDS[sqlState] ?? 'other'
  return { kind, on: kind === 'not-null' ? `${error.table ?? ''}.${error.column ?? ''}` : (error.constraint ?? '') }
}

/** Node gives no message when each of several addresses failed. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && !error.message) return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}
