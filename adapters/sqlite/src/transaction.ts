import { AsyncResource } from 'node:async_hooks'
import type { ReadTransaction, SqlValue, StorePort } from '@banyan/core'
import type { Connection } from './connection.ts'
import type { Member } from './group-member.ts'
import type { SqliteTransaction } from './sqlite-database.ts'
import { SqliteError } from './sqlite-error.ts'

/** The {@link Transaction} of a member of a group. */
export function memberTransaction(connection: Connection, member: Member, store: <T>(port: StorePort<T>) => T): SqliteTransaction {
  return {
    dialect: 'sqlite',
    sql: sqlOf(connection, member.assertOpen),
    atOnce(work) {
      assertRunning(connection, member.assertOpen)
      return work(connection)
    },
    // Bound to where they were registered: a hook belongs to its transaction and its trace, not to whoever runs the group.
    beforeCommit: (write) => member.beforeCommit(bound(write)),
    afterCommit: (notify) => member.afterCommit(bound(notify)),
    withCommit: (write, committed) => member.withCommit({ write: () => write(connection.sql), committed }),
    store,
  }
}

/** As `AsyncResource.bind` does, which takes ten times as long: it dresses the function up as well. */
function bound<T>(hook: () => T): () => T {
  const place = new AsyncResource('banyan.hook')
  return () => place.runInAsyncScope(hook)
}

/**
 * The `sql` of a transaction on `connection`.
 *
 * @param assertOpen throws once the transaction is over
 */
export function sqlOf(connection: Connection, assertOpen: (action: string) => void): ReadTransaction['sql'] {
  return <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]> => {
    try {
      assertRunning(connection, assertOpen)
      return Promise.resolve(connection.sql<Row>(text, ...values))
    } catch (error) {
      return Promise.reject(error)
    }
  }
}

function assertRunning(connection: Connection, assertOpen: (action: string) => void): void {
  assertOpen('run a statement')
  // Without this, statements after a disk-full error that the body swallowed would each commit by themselves.
  if (!connection.inTransaction())
    throw new SqliteError('ERR_TRANSACTION_OVER', 'cannot run a statement: SQLite rolled back the transaction')
}
