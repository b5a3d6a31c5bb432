import { bounded } from './bounded.ts'
import { type Connection, openConnection, type Result, type Statement } from './connection.ts'
import type { Pool } from './pool.ts'
import type { Listener, PostgresDatabase } from './postgres-database.ts'
import { PostgresError } from './postgres-error.ts'
import { isDisconnect } from './server-error.ts'
import type { Settings } from './settings.ts'
import { shorten } from './statement.ts'
import type { PostgresValue } from './values.ts'

/** What stores do outside the transactions of users: short statements that commit by themselves, and listening. */
export type Direct = Pick<PostgresDatabase, 'run' | 'runAll' | 'listener'> & { close(): Promise<void> }

/** Creates the {@link Direct} side of a database. */
export function direct(pool: Pool, settings: Settings): Direct {
  const listeners = new Set<Connection>()
  // Where sessions are shared nothing is set in them: the statement must say itself that it is READ COMMITTED.
  const runAlone = settings.prepare ? runOne : runBetween
  return {
    run: <Row extends object>(text: string, values: readonly PostgresValue[] = []) =>
      pool.use((connection) => bounded(connection, settings, () => runAlone<Row>(connection, { text, values }))),
    runAll: (statements, { atomic }) =>
      pool.use((connection) =>
        bounded(connection, settings, () =>
          atomic
            ? runTogether(connection, statements)
            : allOf(connection.inOnePacket(() => statements.map((statement) => runAlone<object>(connection, statement)))),
        ),
      ),
    async listener() {
      const connection = await openConnection(settings)
      listeners.add(connection)
      connection.onGone(() => listeners.delete(connection))
      return listenerOf(connection)
    },
    async close() {
      await Promise.all([...listeners].map((connection) => connection.end()))
    },
  }
}

async function runOne<Row extends object>(connection: Connection, statement: Statement): Promise<Row[]> {
  return answered(statement.text, rowsOf(connection.query<Row>(statement)))
}

/** One between BEGIN and COMMIT. */
async function runBetween<Row extends object>(connection: Connection, statement: Statement): Promise<Row[]> {
  const [rows = []] = await runTogether(connection, [statement])
  // Those of the one statement: the caller names their shape.
  return rows as Row[]
}

async function runTogether(connection: Connection, statements: readonly Statement[]): Promise<object[][]> {
  // All are sent before the first answer comes. After a failed one the server refuses the others and makes COMMIT a rollback.
  const sent = connection.inOnePacket(() => [
    rowsOf(connection.exec('begin isolation level read committed')),
    ...statements.map((statement) => rowsOf<object>(connection.query(statement))),
    rowsOf(connection.exec('commit')),
  ])
  return (await answered(statements.at(-1)?.text ?? '', allOf(sent))).slice(1, -1)
}

async function rowsOf<Row extends object>(sent: Promise<Result<Row>>): Promise<Row[]> {
  return (await sent).rows
}

/** @throws {PostgresError} `ERR_COMMIT_UNKNOWN` when the connection broke before the answer came */
async function answered<T>(text: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw isDisconnect(error) ? unknownOutcome(text, error) : error
  }
}

/** Waits for every answer, so that the connection is free for others, then throws what failed first. */
async function allOf(sent: readonly Promise<object[]>[]): Promise<object[][]> {
  const outcomes = await Promise.allSettled(sent)
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}

function listenerOf(connection: Connection): Listener {
  return {
    async listen(channel, heard) {
      connection.onNotification((name, payload) => {
        if (name === channel) heard(payload)
      })
      await connection.exec(`listen "${channel.replaceAll('"', '""')}"`)
    },
    run: (text, values = []) => runOne(connection, { text, values }),
    onGone: connection.onGone,
    close: connection.end,
  }
}

function unknownOutcome(text: string, cause: unknown): PostgresError {
  return new PostgresError(
    'ERR_COMMIT_UNKNOWN',
    `cannot tell whether "${shorten(text)}" was done: the connection broke before the answer came; look before doing it again`,
    { cause },
  )
}
