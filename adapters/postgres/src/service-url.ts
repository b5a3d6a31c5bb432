import { bounded } from './bounded.ts'
import { openConnection } from './connection.ts'
import { messaging } from './migrations/001-messaging.ts'
import { settingsOf } from './settings.ts'

/** How long a server may take to answer, milliseconds. */
const ANSWER_MS = 5_000

/**
 * Whether a URL is that of a Banyan service's database. Writes nothing there: the first use of {@link postgres} would make all of Banyan's
 * tables.
 *
 * @throws {PostgresError} `ERR_DATABASE_UNREACHABLE`, `ERR_DATABASE_OPEN`, `ERR_CONNECTIONS_EXHAUSTED`
 */
export async function isServiceUrl(url: string): Promise<boolean> {
  // Nothing is prepared or set: the URL may be that of a pooler.
  const settings = settingsOf(url, { connectTimeoutMs: ANSWER_MS, transactionTimeoutMs: ANSWER_MS, prepare: false })
  const connection = await openConnection(settings)
  try {
    return await bounded(connection, settings, async () => {
      const { rows: tables } = await connection.query({ text: "select 1 from pg_class where oid = to_regclass('banyan_migrations')" })
      if (tables.length === 0) return false
      // It has run in each database of a service, and in no other: a bus has tables of its own.
      const { rows } = await connection.query({ text: 'select 1 from banyan_migrations where id = $1', values: [messaging.id] })
      return rows.length > 0
    })
  } finally {
    await connection.end()
  }
}
