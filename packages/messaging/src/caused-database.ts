import type { Database } from '@banyan/core'
import { type Cause, causedBy } from './publish.ts'

/** The same database, for code that handles a message in transactions of its own: {@link causedBy} is said of each of them. */
export function causedDatabase(database: Database, cause: Cause): Database {
  return {
    ...database,
    transaction: (body) =>
      // Inside: a transaction that is run again is another one.
      database.transaction((tx) => {
        causedBy(tx, cause)
        return body(tx)
      }),
  }
}
