import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { SqlValue } from '@banyan/core'
import { controlOf, shorten, statementsOf } from './sql-text.ts'
import { SqliteError, toSqliteError } from './sqlite-error.ts'
import { type Statement, statementCache } from './statement-cache.ts'

export interface ConnectionOptions {
  /** Refuse every write. Default false. */
  readOnly?: boolean
  /** How many prepared statements to keep, 1 or more. Default 500. */
  maxStatements?: number
  /** How long SQLite itself waits for a lock, blocking the thread, milliseconds. Default 0. */
  busyTimeoutMs?: number
}

/** Runs statements at once, on this thread. */
export interface Statements {
  /** Runs a tagged template. Rows are plain objects; a write without RETURNING gives none. */
  sql<Row extends object = Record<string, unknown>>(text: TemplateStringsArray, ...values: SqlValue[]): Row[]
  /** Runs a tagged template that writes and gives nothing back; how many rows it changed. */
  change(text: TemplateStringsArray, ...values: SqlValue[]): number
}

/** One open handle of a file. */
export interface Connection extends Statements {
  /** Runs one or more statements without values. */
  exec(sql: string): void
  /** Prepares a statement without values to be run often; it stays prepared. */
  prepare(sql: string): StatementSync
  /** Whether a transaction is open. SQLite closes it by itself when the disk is full. */
  inTransaction(): boolean
  close(): void
}

/**
 * Opens a connection.
 *
 * @throws what node:sqlite throws when the file cannot be opened
 */
export function openConnection(file: string, options: ConnectionOptions = {}): Connection {
  const { readOnly = false, maxStatements = 500, busyTimeoutMs = 0 } = options
  const handle = new DatabaseSync(file, { readOnly, timeout: busyTimeoutMs, enableForeignKeyConstraints: true })
  const cached = statementCache(maxStatements, (strings) => prepareStatement(handle, strings))

  function run<T>(text: TemplateStringsArray, values: readonly SqlValue[], how: (statement: Statement, bound: SQLInputValue[]) => T): T {
    const statement = cached(text)
    const bound = values.map((value, index) => toInput(value, index, statement.text))
    try {
      return how(statement, bound)
    } catch (error) {
      throw toSqliteError(error, `run "${shorten(statement.text)}"`)
    }
  }

  return {
    sql: <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]) => run(text, values, toRows<Row>),
    change: (text, ...values) => run(text, values, toChanges),
    exec: (sql) => handle.exec(sql),
    prepare: (sql) => handle.prepare(sql),
    inTransaction: () => handle.isTransaction,
    close: () => handle.close(),
  }
}

function prepareStatement(handle: DatabaseSync, strings: TemplateStringsArray): Statement {
  const text = strings.join('?')
  const [first = ''] = statementsOf(text)
  const control = controlOf(first)
  if (control) {
    throw new SqliteError(
      'ERR_TRANSACTION_CONTROL',
      `cannot run "${shorten(text)}": ${control} is not for a transaction's body; it would break the transactions beside it`,
    )
  }
  let statement: StatementSync
  try {
    statement = handle.prepare(text)
  } catch (error) {
    throw toSqliteError(error, `prepare "${shorten(text)}"`)
  }
  // SQLite compiles up to the first semicolon and would leave out the rest without a word.
  const rest = text.slice(statement.sourceSQL.length)
  if (statementsOf(rest).length > 0)
    throw new SqliteError('ERR_SQL', `cannot run "${shorten(text)}": wanted one statement, found another after it`)
  assertPlaces(statement, rest, strings, text)
  statement.setReadBigInts(true)
  statement.setReturnArrays(true)
  return { text, statement, columns: text.includes('*') ? undefined : columnsOf(statement) }
}

/**
 * Refuses a template with a parameter in its own text (`?`, `:name`, ...), which SQLite would take as null, and one with a value in quotes
 * or a comment. SQLite itself tells where the parameters are: before any has a value it writes NULL in place of each.
 */
function assertPlaces(statement: StatementSync, rest: string, strings: TemplateStringsArray, text: string): void {
  if (statement.expandedSQL + rest === strings.join('NULL')) return
  throw new SqliteError(
    'ERR_SQL',
    `cannot run "${shorten(text)}": its own text has a parameter ("?", ":name", "@name" or "$name"), or a value stands in quotes or in a comment; wanted a value of the template at each parameter, and none elsewhere`,
  )
}

function toRows<Row extends object>(entry: Statement, values: readonly SQLInputValue[]): Row[] {
  // setReturnArrays and setReadBigInts make rows arrays with bigints; the typings only know of objects.
  const rows = entry.statement.all(...values) as unknown as unknown[][]
  // What `select *` means changes with the schema: SQLite prepares anew by itself.
  const columns = entry.columns ?? columnsOf(entry.statement)
  return rows.map((cells) => {
    const row: Record<string, unknown> = {}
    for (let index = 0; index < columns.length; index += 1) row[columns[index] ?? ''] = narrow(cells[index])
    // The caller names the shape of its rows; SQL cannot be checked against it here.
    return row as Row
  })
}

function toChanges({ statement }: Statement, values: readonly SQLInputValue[]): number {
  return Number(statement.run(...values).changes)
}

function columnsOf(statement: StatementSync): string[] {
  return statement.columns().map(({ name }) => name)
}

/** Whole numbers come as bigints, so that none loses digits; those that a number holds exactly become numbers. */
function narrow(value: unknown): unknown {
  if (typeof value !== 'bigint') return value
  return value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n ? Number(value) : value
}

/** Whole numbers are bound as INTEGER (node:sqlite binds every number as REAL, so 5 / 2 would be 2.5 and a text "5.0"). */
function toInput(value: SqlValue, index: number, text: string): SQLInputValue {
  if (Number.isNaN(value)) throw new TypeError(`cannot run "${shorten(text)}": value ${index + 1} is NaN, which SQLite would store as null`)
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (value === null || typeof value === 'string' || typeof value === 'bigint' || value instanceof Uint8Array) return value
  throw new TypeError(
    `cannot run "${shorten(text)}": value ${index + 1} is ${Array.isArray(value) ? 'an array' : `of type ${typeof value}`}, wanted a text, a number, a bigint, a boolean, null or bytes`,
  )
}
