import { type Migration, silentLogger } from '@banyan/core'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import { afterEach, beforeEach } from 'vitest'
import { postgres } from '../database.ts'
import type { PostgresDatabase } from '../postgres-database.ts'
import type { PostgresOptions } from '../settings.ts'

// A database for each test of a file. Not published.

/** The tables of the tests. */
export const TABLES: Migration = {
  id: 'test',
  sql: 'create table items (id integer primary key, name text not null); create table counter as select 0 as n',
}

/** What a test has. */
export interface PostgresTest {
  /** The URL of its own empty database. */
  url(): string
  /** Opens a handle; it is closed when the test ends. */
  open(options?: PostgresOptions): PostgresDatabase
  /** One with {@link TABLES}. */
  prepared(options?: PostgresOptions): Promise<PostgresDatabase>
}

/** Gives each test of a file a database of its own. */
export function postgresTest(): PostgresTest {
  const opened: PostgresDatabase[] = []
  let place: TestDatabase
  beforeEach(async () => {
    place = await testPostgres()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()))
    await place.drop()
  })

  function open(options: PostgresOptions = {}): PostgresDatabase {
    const database = postgres(place.url, { log: silentLogger, ...options })
    opened.push(database)
    return database
  }
  return {
    url: () => place.url,
    open,
    async prepared(options) {
      const database = open(options)
      await database.migrate([TABLES])
      return database
    },
  }
}

/** The names in `items`, sorted. */
export async function namesIn(database: PostgresDatabase): Promise<string[]> {
  const rows = await database.run<{ name: string }>('select name from items order by name')
  return rows.map(({ name }) => name)
}
