import { type Logger, messageOf, systemWorld, type World } from '@banyan/core'
import { defaultLog } from './default-log.ts'
import { PostgresError } from './postgres-error.ts'

export interface PostgresOptions {
  /** The service's name, the `source` of its events. Default: the database's name in the URL. */
  name?: string
  world?: World
  /** Default: warnings and errors to stderr. */
  log?: Logger
  /**
   * How isolated transactions are. `serializable` (the default): each runs as if alone, as with the embedded database, so bodies need no
   * locks; PostgreSQL refuses those that would not, and they run again. `read committed`: bodies lock what they read and then write
   * (`select ... for update`); fewer run again.
   */
  isolation?: 'serializable' | 'read committed'
  /** How often a transaction is run in all when PostgreSQL refuses it for its isolation or a deadlock, 1 to 100. Default 10. */
  attempts?: number
  /** How many connections, 1 to 1,000, besides one for notifications; more transactions wait. Default 10. */
  maxConnections?: number
  /** How long to wait for one of them, milliseconds, from 1. Default 10,000. */
  queueTimeoutMs?: number
  /** How long connecting may take, milliseconds, from 1. Default 5,000. */
  connectTimeoutMs?: number
  /** How long one body may take, milliseconds, from 1. The server ends a statement, or a transaction left idle, after the same time. Default 10,000. */
  transactionTimeoutMs?: number
  /** How many prepared statements each connection keeps, from 1. Default 500. */
  maxStatements?: number
  /** Whether statements are prepared once and kept. Turn it off behind PgBouncer, in transaction mode always. Default true. */
  prepare?: boolean
  /** Whether to make the database when the server has none of that name: for development and tests. Default false. */
  create?: boolean
}

/** {@link PostgresOptions} with nothing left out. */
export interface Settings extends Required<PostgresOptions> {
  readonly url: string
}

/**
 * @throws {PostgresError} `ERR_DATABASE_OPEN` when the URL is none
 * @throws {RangeError} for an option out of its range
 */
export function settingsOf(url: string, options: PostgresOptions): Settings {
  const { world = systemWorld, log = defaultLog, isolation = 'serializable', attempts = 10, maxConnections = 10 } = options
  const {
    queueTimeoutMs = 10_000,
    connectTimeoutMs = 5_000,
    transactionTimeoutMs = 10_000,
    maxStatements = 500,
    prepare = true,
    create = false,
  } = options
  const name = options.name ?? databaseName(url)
  if (isolation !== 'serializable' && isolation !== 'read committed')
    throw new RangeError(`cannot open a database: "isolation" is "${String(isolation)}", wanted "serializable" or "read committed"`)
  assertWhole('attempts', attempts, 1, 100)
  assertWhole('maxConnections', maxConnections, 1, 1_000)
  assertWhole('queueTimeoutMs', queueTimeoutMs, 1)
  assertWhole('connectTimeoutMs', connectTimeoutMs, 1)
  assertWhole('transactionTimeoutMs', transactionTimeoutMs, 1)
  assertWhole('maxStatements', maxStatements, 1)
  const limits = { attempts, maxConnections, queueTimeoutMs, connectTimeoutMs, transactionTimeoutMs, maxStatements }
  return { url, name, world, log, isolation, prepare, create, ...limits }
}

/** The statements that begin a transaction; what they set ends with it, so that a pooler which shares sessions keeps nothing of it. */
export function beginTexts({ isolation, prepare, transactionTimeoutMs }: Settings, kind: 'write' | 'read'): readonly string[] {
  const begin = kind === 'read' ? 'begin isolation level repeatable read read only' : `begin isolation level ${isolation}`
  // Else the limits were set once, when the connection was made.
  return prepare
    ? [begin]
    : [
        begin,
        `set local statement_timeout = ${transactionTimeoutMs}`,
        `set local idle_in_transaction_session_timeout = ${transactionTimeoutMs}`,
      ]
}

/** The URL as it may be shown: host, port and database. */
export function placeOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

function databaseName(url: string): string {
  let protocol: string
  let name: string
  try {
    const parsed = new URL(url)
    protocol = parsed.protocol
    name = decodeURIComponent(parsed.pathname.slice(1))
  } catch (cause) {
    // Not the text itself: it may hold a password.
    throw new PostgresError(
      'ERR_DATABASE_OPEN',
      `cannot open a database: its URL is none (${messageOf(cause)}), wanted "postgres://user:password@host:5432/database"`,
    )
  }
  if (protocol === 'postgres:' || protocol === 'postgresql:') return name || 'postgres'
  throw new PostgresError(
    'ERR_DATABASE_OPEN',
    `cannot open a database: its URL begins with "${protocol}//", wanted "postgres://user:password@host:5432/database"`,
  )
}

function assertWhole(name: string, value: number, min: number, max: number = 2 ** 31 - 1): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new RangeError(`cannot open a database: "${name}" is ${value}, wanted a whole number from ${min} to ${max}`)
}
