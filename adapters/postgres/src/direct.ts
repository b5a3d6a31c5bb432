import { bounded } from './bounded.ts'
import { type Connection, openConnection, type Statement } from './connection.ts'
import type { Pool } from './pool.ts'
import type { Listener, PostgresDatabase } from './postgres-database.ts'
import { PostgresError } from './postgres-error.ts'
import { isDisconnect } from './server-error.ts'
import type { Settings } from './settings.ts'
import { shorten } from './statement.ts'

/** What stores do outside the transactions of users: short statements that commit by themselves, and listening. */
export type Direct = Pick<PostgresDatabase, 'run' | 'runAll' | 'listener'> & { close(): Promise<void> }

/** Creates the {@link Direct} side of a database. */
export function direct(pool: Pool, settings: Settings): Direct {
  const listeners = new Set<Connection>()
  return {
    run: (text, values) =>
      pool.use((connection) => bounded(connection, settings, () => runOne(connection, { text, values: values ?? [] }))),
    runAll: (statements, { atomic }) =>
      pool.use((connection) => bounded(connection, settings, () => (atomic ? runTogether : runEach)(connection, statements))),
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
  try {
    return (await connection.query<Row>(statement)).rows
  } catch (error) {
    throw isDisconnect(error) ? unknownOutcome(statement.text, error) : error
  }
}

async function runEach(connection: Connection, statements: readonly Statement[]): Promise<object[][]> {
  return allOf(connection.inOnePacket(() => statements.map((statement) => runOne<object>(connection, statement))))
}

async function runTogether(connection: Connection, statements: readonly Statement[]): Promise<object[][]> {
  // All are sent before the first answer comes. After a failed one the server refuses the others and makes COMMIT a rollback.
  const sent = connection.inOnePacket(() => [
    connection.exec('begin isolation level read committed').then(({ rows }) => rows),
    ...statements.map((statement) => runOne<object>(connection, statement)),
    connection.exec('commit').then(({ rows }) => rows),
  ])
  return (await allOf(sent)).slice(1, -1)
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
