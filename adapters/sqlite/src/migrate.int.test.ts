import type { Database } from '@banyan/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { open } from './test/site.ts'

let database: Database

beforeEach(() => {
  database = open(':memory:')
})
afterEach(() => database.close())

async function tables(): Promise<string[]> {
  const rows = await database.read(
    (tx) =>
      tx.sql<{
        name: string
      }>`select name from sqlite_schema where type = 'table' and name not like 'banyan%' and name not like 'sqlite%' order by name`,
  )
  return rows.map(({ name }) => name)
}

describe('a migration', () => {
  it.each(['commit', 'END transaction', 'rollback', 'commit; begin', 'savepoint a', 'release banyan_member', "attach ':memory:' as other"])(
    'is refused before any of it has run, and does no harm to those that share its commit: %s',
    async (control) => {
      await database.migrate([{ id: '1', sql: 'create table one (n integer)' }])
      const beside = (n: number) => database.transaction((tx) => tx.sql`insert into one values (${n})`)
      const refused = database.migrate([{ id: '2', sql: `create table two (n integer); ${control}; create table three (n integer)` }])
      const others: Promise<unknown>[] = []
      // It takes its turn when the look at what has run before has been committed: then there are others before and behind it.
      for (let n = 0; n < 60; n += 1) {
        others.push(beside(n))
        if (n % 3 === 0) await undefined
      }
      const word = /^\w+/.exec(control)?.[0].toUpperCase()
      await expect(refused).rejects.toMatchObject({ code: 'ERR_MIGRATION_FAILED', message: expect.stringContaining(`"2": ${word} is not`) })
      await Promise.all(others)
      expect(await tables()).toEqual(['one'])
      expect(await database.read((tx) => tx.sql`select count(*) as n from one`)).toEqual([{ n: 60 }])
    },
  )

  it('may make triggers, and say the words in quotes and comments', async () => {
    const sql = `create table one (n integer, t text default '; commit;');
      -- ; commit
      create trigger both after insert on one begin update one set n = 2; update one set n = n + 1; end;
      /* ; rollback; */ insert into one (n) values (1); select 1`
    await database.migrate([{ id: '1', sql }])
    expect(await database.read((tx) => tx.sql`select n, t from one`)).toEqual([{ n: 3, t: '; commit;' }])
  })

  it('loses no row to a PRAGMA that does nothing inside a transaction: it is refused', async () => {
    await database.migrate([{ id: '1', sql: ORDERS_AND_LINES }])
    const sql = `PRAGMA foreign_keys=OFF; ${REBUILT}; PRAGMA foreign_keys=ON`
    const refused = database.migrate([{ id: '2', sql }])
    await expect(refused).rejects.toMatchObject({ code: 'ERR_MIGRATION_FAILED', message: expect.stringContaining('foreign_keys=OFF') })
    expect(await database.read((tx) => tx.sql`select o from lines`)).toEqual([{ o: 1 }])
  })

  it('rebuilds a table that others refer to in the way that the refusal says', async () => {
    await database.migrate([{ id: '1', sql: ORDERS_AND_LINES }])
    const sql = `create table aside as select * from lines; delete from lines; ${REBUILT}; insert into lines select * from aside; drop table aside`
    await database.migrate([{ id: '2', sql }])
    expect(await database.read((tx) => tx.sql`select o, total from lines join orders on orders.id = o`)).toEqual([{ o: 1, total: 0 }])
    const dangling = database.transaction((tx) => tx.sql`insert into lines values (9)`)
    await expect(dangling).rejects.toMatchObject({ constraint: { kind: 'foreign-key' } })
  })

  it('takes the settings that are kept in the file or end with the transaction, and no others', async () => {
    const setting = (sql: string) => database.migrate([{ id: sql, sql }])
    for (const sql of ['pragma user_version = 7', 'PRAGMA main.application_id = 8', 'pragma/**/defer_foreign_keys(on)']) await setting(sql)
    const [row] = await database.read((tx) => tx.sql`select user_version, application_id from pragma_user_version, pragma_application_id`)
    expect(row).toEqual({ user_version: 7, application_id: 8 })
    for (const sql of ['pragma ignore_check_constraints = on', 'pragma "main".query_only = on', 'pragma user_versions'])
      await expect(setting(sql)).rejects.toThrow('is not for a migration')
  })
})

const ORDERS_AND_LINES = `
  create table orders (id integer primary key); create table lines (o integer references orders on delete cascade);
  insert into orders values (1); insert into lines values (1)`

/** SQLite's own recipe. @see https://www.sqlite.org/lang_altertable.html */
const REBUILT = `create table new_orders (id integer primary key, total integer default 0); insert into new_orders (id) select id from orders;
  drop table orders; alter table new_orders rename to orders`
