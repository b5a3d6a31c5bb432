import { type Database, silentLogger } from '@banyan/core'
import { type DatabaseSite, testPostgres } from '@banyan/testing'
import { postgres } from '../index.ts'

// Places for the tests' databases. Not published.

/** The other processes of a test open their databases by this module. */
export const siteModule: string = import.meta.url

/** Opens a test's database. */
export function open(place: string, options: { transactionTimeoutMs?: number } = {}): Database {
  return postgres(place, { log: silentLogger, ...options })
}

/** An empty database on the run's server. */
export async function createSite(): Promise<DatabaseSite> {
  const { url, drop } = await testPostgres()
  return { place: url, open: (options) => open(url, options), remove: drop }
}
