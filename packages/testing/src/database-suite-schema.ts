import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, it } from 'vitest'
import { type DatabaseTest, namesIn } from './database-fixture.ts'

/** One consistent picture, and no way to change it. */
export function readTests({ prepared, lasts }: DatabaseTest): void {
  it('reads one snapshot, whatever is committed meanwhile', async () => {
    const database = await prepared()
    const outside = AsyncLocalStorage.snapshot()
    let writing: Promise<unknown> | undefined
    const [before, after] = await database.read(async (tx) => {
      const first = await tx.sql<{ n: number }>`select n from counter`
      // As another request would, not from inside the read.
      writing = outside(() => database.transaction((write) => write.sql`update counter set n = 7 where id = 1`))
      // One that has a single handle, in memory, lets reads and writes take turns.
      if (lasts) await writing
      return [first, await tx.sql<{ n: number }>`select n from counter`]
    })
    expect([before, after]).toEqual([[{ n: 0 }], [{ n: 0 }]])
    await writing
    expect(await database.read((tx) => tx.sql`select n from counter`)).toEqual([{ n: 7 }])
  })

  it('refuses to write in a read', async () => {
    const database = await prepared()
    const writing = database.read((tx) => tx.sql`insert into items (id, name) values (1, 'no')`)
    await expect(writing).rejects.toMatchObject({ code: 'ERR_READ_ONLY' })
    expect(await namesIn(database)).toEqual([])
  })

  it('lets more reads wait than it has connections', async () => {
    const database = await prepared()
    const counts = await Promise.all(Array.from({ length: 40 }, () => database.read((tx) => tx.sql<{ n: number }>`select n from counter`)))
    expect(counts.every(([row]) => row?.n === 0)).toBe(true)
  })

  it('frees its connection when a read fails', async () => {
    const database = await prepared()
    const failures = await Promise.allSettled(Array.from({ length: 40 }, () => database.read((tx) => tx.sql`select * from no_such_table`)))
    expect(failures.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(failures.map(() => 'ERR_SQL'))
    expect(await namesIn(database)).toEqual([])
  })
}

/** The schema's history. */
export function migrationTests({ open, lasts }: DatabaseTest): void {
  const first = { id: '001', sql: 'create table one (id integer primary key); insert into one (id) values (1)' }
  const second = { id: '002', sql: 'create table two as select id from one' }

  it('runs each migration once, in order, also after opening again', async () => {
    const database = open()
    await Promise.all([database.migrate([first, second]), database.migrate([first, second])])
    const again = lasts ? open() : database
    await again.migrate([first, second, { id: '003', sql: 'insert into two (id) values (2)' }])
    expect(await again.read((tx) => tx.sql`select id from two order by id`)).toEqual([{ id: 1 }, { id: 2 }])
  })

  it('refuses a migration that was edited after it had run', async () => {
    const database = open()
    await database.migrate([first])
    const edited = database.migrate([{ ...first, sql: `${first.sql}; insert into one (id) values (2)` }])
    await expect(edited).rejects.toMatchObject({ code: 'ERR_MIGRATION_CHANGED', message: expect.stringContaining('"001"') })
  })

  it('leaves nothing of a migration that fails, and runs it when it is mended', async () => {
    const database = open()
    const broken = database.migrate([first, { id: '002', sql: 'create table two (id integer); insert into nowhere values (1)' }])
    await expect(broken).rejects.toMatchObject({ code: 'ERR_MIGRATION_FAILED', message: expect.stringContaining('"002"') })
    await database.migrate([first, second])
    expect(await database.read((tx) => tx.sql`select id from two`)).toEqual([{ id: 1 }])
  })

  it('refuses a migration that ends the transaction it runs in, and does not say that nothing of it is stored', async () => {
    const database = open()
    const ending = database.migrate([{ id: '001', sql: 'create table one (id integer); commit; create table two (id integer)' }])
    await expect(ending).rejects.toMatchObject({ code: 'ERR_MIGRATION_FAILED', message: expect.stringContaining('"001"') })
    await expect(ending).rejects.not.toThrow('nothing')
    await database.migrate([{ id: '002', sql: 'create table three (id integer)' }])
  })
}
