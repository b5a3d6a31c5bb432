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
    (tx) => tx.sql<{ name: string }>`select name from sqlite_schema where type = 'table' and name not like 'banyan%' and name not like 'sqlite%' order by name`,
  )
  return rows.map(({ name }) => name)
}

describe('a migration', () => {
  it.each([
    'commit',
    'END transaction',
    'rollback',
    'commit; begin',
    'savepoint a',
    'release banyan_member',
    "attach ':memory:' as other",
  ])('is refused before any of it has run, and does no harm to those that share its commit: %s', async (control) => {
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
  })

  it('may make triggers, and say the words in quotes and comments', async () => {
    const sql = `create table one (n integer, t text default '; commit;');
      -- ; commit
      create trigger both after insert on one begin update one set n = 2; update one set n = n + 1; end;
      /* ; rollback; */ insert into one (n) values (1); select 1`
    await database.migrate([{ id: '1', sql }])
    expect(await database.read((tx) => tx.sql`select n, t from one`)).toEqual([{ n: 3, t: '; commit;' }])
  })
})
