import type { Database } from '@banyan/core'
import { afterEach, beforeEach } from 'vitest'

/** What {@link databaseSuite} needs of an adapter. */
export interface DatabaseFixture {
  /** Makes a place for one empty database. */
  create(): Promise<DatabaseSite>
  /** Makes a place whose disk is full after 1 MB or so; where this machine has none, why that test is left out. */
  createSmall: (() => Promise<SmallSite>) | string
  /**
   * The URL of a module with `open(place: string): Database`, for other processes. `undefined`: a database ends with the handle it was
   * opened by, as one in memory does, and what takes a second handle or process is not asked of it.
   */
  module: string | undefined
}

/** A place for one database. */
export interface DatabaseSite {
  /** What the fixture's module opens it by. */
  readonly place: string
  open(options?: { transactionTimeoutMs?: number }): Database
  /** Frees it, once all handles are closed. */
  remove(): Promise<void>
}

/** A place on a small disk. */
export interface SmallSite extends DatabaseSite {
  /** Frees a good part of the disk, as an operator would. */
  makeRoom(): Promise<void>
}

/** One test's database. */
export interface DatabaseTest {
  /** Opens another handle; it is closed when the test ends. */
  open(options?: { transactionTimeoutMs?: number }): Database
  /** A database with the tables `items (id, name)`, `counter (id, n)` with one row, `debits (id)`, `credits (id)`, and `links (item)`, checked at COMMIT. */
  prepared(options?: { transactionTimeoutMs?: number }): Promise<Database>
  readonly fixture: DatabaseFixture
  /** Whether a database is there for other handles, also after one is closed. */
  readonly lasts: boolean
  readonly site: () => DatabaseSite
}

/** Gives each test of a suite a database of its own. */
export function databaseTest(fixture: DatabaseFixture): DatabaseTest {
  const lasts = fixture.module !== undefined
  const opened: Database[] = []
  let site: DatabaseSite | undefined

  function current(): DatabaseSite {
    if (!site) throw new Error('cannot use the database outside a test')
    return site
  }
  function open(options?: { transactionTimeoutMs?: number }): Database {
    const database = current().open(options)
    opened.push(database)
    return database
  }

  beforeEach(async () => {
    site = await fixture.create()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()))
    await site?.remove()
  })

  return {
    open,
    async prepared(options) {
      const database = open(options)
      // By a handle of its own: a short limit is for what the test runs, and a busy machine may be slower at making the tables.
      const maker = options && lasts ? open() : database
      await maker.migrate([{ id: 'suite', sql: TABLES }])
      return database
    },
    fixture,
    lasts,
    site: current,
  }
}

/** The tables of the tests. */
export const TABLES: string = `
  create table items (id integer primary key, name text not null);
  create table counter (id integer primary key, n integer not null);
  insert into counter (id, n) values (1, 0);
  create table debits (id integer primary key);
  create table credits (id integer primary key);
  create table links (item integer not null references items (id) deferrable initially deferred);
`

/** The names in `items`, sorted. */
export async function namesIn(database: Database): Promise<string[]> {
  const rows = await database.read((tx) => tx.sql<{ name: string }>`select name from items order by name`)
  return rows.map(({ name }) => name)
}
