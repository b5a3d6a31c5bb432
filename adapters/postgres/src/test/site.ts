import { type Database, silentLogger } from '@banyan/core'
import { type DatabaseSite, type TestDatabase, testPostgres } from '@banyan/testing'
import { postgres } from '../index.ts'

// Places for the tests' databases. Not published.

/** The other processes of a test open their databases by this module. */
export const siteModule: string = import.meta.url

/** Opens a test's database. */
export function open(place: string, options: { transactionTimeoutMs?: number } = {}): Database {
  // Three processes on one row: on a machine that is too busy the slowest of them may lose often.
  return postgres(place, { log: silentLogger, attempts: 50, ...options })
}

/** Makes sites in databases that `create` gives: of the run's server, if nothing else is said. */
export function siteMaker(create: () => Promise<TestDatabase> = testPostgres): () => Promise<DatabaseSite> {
  return async () => {
    const { url, drop } = await create()
    return { place: url, open: (options) => open(url, options), remove: drop }
  }
}
