import { AsyncLocalStorage } from 'node:async_hooks'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Database, silentLogger } from '@banyan/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SqliteOptions, sqlite } from './index.ts'
import { type SqliteDatabase, type SqliteTransaction, sqliteTransaction } from './sqlite-database.ts'
import { createSite } from './test/site.ts'

let site: Awaited<ReturnType<typeof createSite>>
let opened: Database[] = []

beforeEach(async () => {
  site = await createSite()
})
afterEach(async () => {
  await Promise.all(opened.map((database) => database.close()))
  opened = []
  await site.remove()
})

function open(options: SqliteOptions & { file?: string } = {}): SqliteDatabase {
  const { file = site.place, ...rest } = options
  const database = sqlite(file, { log: silentLogger, ...rest })
  opened.push(database)
  return database
}

describe('sqlite()', () => {
  it('makes the folder, and takes its name from the file', () => {
    const database = sqlite(join(site.place, '..', 'deep', 'down', 'orders.db'))
    opened.push(database)
    expect(database.name).toBe('orders')
    expect(sqlite(':memory:', { name: 'given' }).name).toBe('given')
  })

  it('says what is wrong with a place it cannot open', () => {
    const folder = join(site.place, '..')
    writeFileSync(join(folder, 'file'), 'no folder')
    writeFileSync(join(folder, 'text.db'), 'this is a text and no database, however long one looks at it, page by page')
    mkdirSync(join(folder, 'folder.db'))
    for (const place of ['file/orders.db', 'text.db', 'folder.db']) {
      const wanted = { code: 'ERR_DATABASE_OPEN', message: expect.stringMatching(new RegExp(`${place}": .*; wanted an SQLite file`)) }
      expect(() => sqlite(join(folder, place))).toThrow(expect.objectContaining(wanted))
    }
  })

  it('refuses options out of range', () => {
    expect(() => sqlite(site.place, { maxGroup: 0 })).toThrow('"maxGroup" is 0, wanted a whole number from 1 to 10000')
    expect(() => sqlite(site.place, { maxReaders: 1.5 })).toThrow(RangeError)
  })

  it('writes with WAL, synchronous=FULL and foreign keys on', async () => {
    const database = open()
    const [row] = await database.transaction(
      (tx) => tx.sql`select journal_mode, synchronous, foreign_keys from pragma_journal_mode, pragma_synchronous, pragma_foreign_keys`,
    )
    expect(row).toEqual({ journal_mode: 'wal', synchronous: 2, foreign_keys: 1 })
  })

  it('leaves one file behind when it is closed', async () => {
    const database = open()
    await database.migrate([{ id: 't', sql: 'create table t (n integer)' }])
    await database.transaction((tx) => tx.sql`insert into t values (1)`)
    await database.close()
    expect(() => statSync(`${site.place}-wal`)).toThrow('ENOENT')
    const file = new DatabaseSync(site.place, { readOnly: true })
    expect(file.prepare('select n from t').get()?.n).toBe(1)
    file.close()
  })

  it('keeps a database in memory, where reads see commits and cannot write', async () => {
    const database = open({ file: ':memory:' })
    await database.migrate([{ id: 't', sql: 'create table t (n integer)' }])
    await database.transaction((tx) => tx.sql`insert into t values (1)`)
    const [rows] = await Promise.all([
      database.read((tx) => tx.sql`select n from t`),
      database.transaction((tx) => tx.sql`insert into t values (2)`),
    ])
    expect(rows).toEqual([{ n: 1 }])
    await expect(database.read((tx) => tx.sql`delete from t`)).rejects.toMatchObject({ code: 'ERR_READ_ONLY' })
    await database.transaction((tx) => tx.sql`insert into t values (3)`)
    expect(await database.read((tx) => tx.sql`select n from t order by n`)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  })
})

describe('sql', () => {
  it('stores whole numbers whole, booleans as 0 and 1, and gives bigint where a number would lose digits', async () => {
    const database = open()
    const big = 2n ** 60n + 1n
    const [row] = await database.read(
      (tx) => tx.sql`
        select ${5} as whole, typeof(${5}) as kind, ${1.5} as fraction, ${true} as yes, ${false} as no, ${null} as none,
          ${big} as big, ${9_007_199_254_740_991n} as safe, ${'ünï'} as text, ${new Uint8Array([1, 2])} as bytes`,
    )
    const bytes = new Uint8Array([1, 2])
    expect(row).toStrictEqual({
      whole: 5,
      kind: 'integer',
      fraction: 1.5,
      yes: 1,
      no: 0,
      none: null,
      big,
      safe: 9_007_199_254_740_991,
      text: 'ünï',
      bytes,
    })
  })

  it('refuses values that SQLite would change or cannot hold, without telling them', async () => {
    const database = open()
    const reading = (value: unknown) => database.read((tx) => tx.sql`select ${value as string} as a`)
    await expect(reading(Number.NaN)).rejects.toThrow('value 1 is NaN')
    await expect(reading(undefined)).rejects.toThrow('value 1 is of type undefined')
    await expect(reading({ secret: 1 })).rejects.toThrow(TypeError)
    await expect(reading(['secret'])).rejects.toThrow('an array')
  })

  it('names the statement and the constraint when one is broken', async () => {
    const database = open()
    await database.migrate([
      {
        id: 't',
        sql: 'create table a (id integer primary key, name text unique not null check (length(name) < 9)); create table b (a integer references a)',
      },
    ])
    const failing = (run: Parameters<typeof database.transaction>[0]) => database.transaction(run).catch((error) => error.constraint)
    await database.transaction((tx) => tx.sql`insert into a values (1, 'one')`)
    expect(await failing((tx) => tx.sql`insert into a values (1, 'two')`)).toEqual({ kind: 'primary-key', on: 'a.id' })
    expect(await failing((tx) => tx.sql`insert into a values (2, ${'one'})`)).toEqual({ kind: 'unique', on: 'a.name' })
    expect(await failing((tx) => tx.sql`insert into a values (2, ${null})`)).toEqual({ kind: 'not-null', on: 'a.name' })
    expect(await failing((tx) => tx.sql`insert into a values (2, ${'123456789'})`)).toEqual({ kind: 'check', on: 'length(name) < 9' })
    expect(await failing((tx) => tx.sql`insert into b values (9)`)).toEqual({ kind: 'foreign-key', on: '' })
  })

  it('lets a body catch a broken constraint and go on', async () => {
    const database = open()
    await database.migrate([{ id: 't', sql: 'create table t (n integer primary key)' }])
    await database.transaction(async (tx) => {
      await tx.sql`insert into t values (1)`
      await tx.sql`insert into t values (1)`.catch(() => tx.sql`insert into t values (2)`)
    })
    expect(await database.read((tx) => tx.sql`select n from t`)).toEqual([{ n: 1 }, { n: 2 }])
  })

  it('refuses transaction control and second statements', async () => {
    const database = open()
    await expect(
      database.transaction(
        (tx) => tx.sql` /* now */ -- really
      COMMIT`,
      ),
    ).rejects.toMatchObject({ code: 'ERR_TRANSACTION_CONTROL' })
    await expect(database.transaction((tx) => tx.sql`select 1; select 2`)).rejects.toMatchObject({
      code: 'ERR_SQL',
      message: expect.stringContaining('another after it'),
    })
    expect(await database.transaction((tx) => tx.sql`select 'a;b' as x; `)).toEqual([{ x: 'a;b' }])
  })

  it('sees a column that was added after a "select *" was prepared', async () => {
    const database = open()
    await database.migrate([{ id: '1', sql: 'create table t (a integer); insert into t values (1)' }])
    const all = () => database.transaction((tx) => tx.sql`select * from t`)
    expect(await all()).toEqual([{ a: 1 }])
    await database.migrate([{ id: '2', sql: 'alter table t rename column a to b' }])
    expect(await all()).toEqual([{ b: 1 }])
  })

  it('runs more statements than it keeps', async () => {
    const database = open({ maxStatements: 2 })
    const run = () =>
      database.transaction(async (tx) => [await tx.sql`select 1 as n`, await tx.sql`select 2 as n`, await tx.sql`select 3 as n`])
    expect(await run()).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]])
    expect(await run()).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]])
  })
})

describe('groups', () => {
  it('blames a deferred foreign key on the transaction that broke it', async () => {
    const database = open()
    await database.migrate([
      { id: 't', sql: 'create table a (id integer primary key); create table b (a integer references a deferrable initially deferred)' },
    ])
    const outcomes = await Promise.allSettled([
      database.transaction((tx) => tx.sql`insert into a values (1)`),
      database.transaction((tx) => tx.sql`insert into b values (9)`),
      database.transaction((tx) => tx.sql`insert into b values (1)`),
    ])
    expect(outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'stored'))).toEqual([
      'stored',
      'ERR_SQL_CONSTRAINT',
      'stored',
    ])
    expect(await database.read((tx) => tx.sql`select a from b`)).toEqual([{ a: 1 }])
  })

  it('runs each body in the async context of its caller', async () => {
    const database = open()
    const context = new AsyncLocalStorage<number>()
    const seen = await Promise.all(
      [1, 2, 3].map((n) =>
        context.run(n, () =>
          database.transaction(async (tx) => {
            await tx.sql`select 1`
            const inHook = new Promise((resolve) => tx.beforeCommit(async () => resolve(context.getStore())))
            const after = new Promise((resolve) => tx.afterCommit(() => resolve(context.getStore())))
            return { body: context.getStore(), inHook, after }
          }),
        ),
      ),
    )
    const all = await Promise.all(seen.map(async ({ body, inHook, after }) => [body, await inHook, await after]))
    expect(all).toEqual([
      [1, 1, 1],
      [2, 2, 2],
      [3, 3, 3],
    ])
  })

  it('lets timers fire under a load that never ends by itself', async () => {
    const database = open()
    await database.migrate([{ id: 't', sql: 'create table t (n integer)' }])
    let stop = false
    const timer = setTimeout(() => {
      stop = true
    }, 30)
    let commits = 0
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        while (!stop && commits < 1_000_000) {
          await database.transaction((tx) => tx.sql`insert into t values (1)`)
          commits += 1
        }
      }),
    )
    clearTimeout(timer)
    expect(stop).toBe(true)
  })

  it('rejects the group that SQLite has rolled back, and lets no statement after that commit by itself', async () => {
    const database = open()
    await database.migrate([{ id: 't', sql: 'create table t (n integer primary key); insert into t values (1)' }])
    const run = (body: () => Promise<unknown>) =>
      body().then(
        () => 'stored',
        (error) => error.code,
      )
    let after = ''
    const outcomes = await Promise.all([
      run(() => database.transaction((tx) => tx.sql`insert into t values (2)`)),
      run(() =>
        database.transaction(async (tx) => {
          await tx.sql`insert or rollback into t values (1)`.catch(() => {})
          after = await run(() => tx.sql`insert into t values (3)`)
        }),
      ),
      run(() => database.transaction((tx) => tx.sql`insert into t values (4)`)),
    ])
    expect(after).toBe('ERR_TRANSACTION_OVER')
    expect(outcomes).toEqual(['ERR_COMMIT_FAILED', 'ERR_COMMIT_FAILED', 'stored'])
    expect(await database.read((tx) => tx.sql`select n from t`)).toEqual([{ n: 1 }, { n: 4 }])
  })

  it('does at once what waits for nothing, as all or nothing, and neither inside another one nor after its end', async () => {
    const database = open()
    await database.migrate([{ id: 't', sql: 'create table t (n integer primary key)' }])
    const add = (...numbers: number[]) =>
      database.atOnce(({ change, sql }) => {
        for (const n of numbers) expect(change`insert into t values (${n})`).toBe(1)
        expect(change`update t set n = n where n > 1000`).toBe(0)
        return sql<{ n: number }>`select count(*) as n from t`[0]?.n
      })
    expect(await Promise.all([add(1, 2), add(3)])).toEqual([2, 3])
    await expect(add(4, 1)).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT' })
    await expect(database.transaction(() => add(5))).rejects.toMatchObject({ code: 'ERR_NESTED_TRANSACTION' })
    let kept: SqliteTransaction | undefined
    await database.transaction(async (tx) => {
      kept = sqliteTransaction(tx)
      kept.atOnce(({ change }) => change`insert into t values (6)`)
    })
    expect(() => kept?.atOnce(({ change }) => change`insert into t values (7)`)).toThrow(
      expect.objectContaining({ code: 'ERR_TRANSACTION_OVER' }),
    )
    expect(await database.read((tx) => tx.sql`select n from t`)).toEqual([1, 2, 3, 6].map((n) => ({ n })))
  })
})

describe('other processes', () => {
  it('waits for another writer without stopping the event loop, and gives up in time', async () => {
    const database = open({ busyTimeoutMs: 300 })
    await database.migrate([{ id: 't', sql: 'create table t (n integer)' }])
    const other = new DatabaseSync(site.place)
    other.exec('begin immediate')
    let ticks = 0
    const ticking = setInterval(() => {
      ticks += 1
    }, 5)
    await expect(database.transaction((tx) => tx.sql`insert into t values (1)`)).rejects.toMatchObject({ code: 'ERR_DATABASE_BUSY' })
    clearInterval(ticking)
    expect(ticks).toBeGreaterThan(10)
    const waiting = database.transaction((tx) => tx.sql`insert into t values (2)`)
    other.exec('commit')
    other.close()
    await waiting
    expect(await database.read((tx) => tx.sql`select n from t`)).toEqual([{ n: 2 }])
  })

  it('opens a database that is up to date while another process writes', () => {
    open()
    const other = new DatabaseSync(site.place)
    other.exec('begin immediate')
    expect(() => open()).not.toThrow()
    other.exec('rollback')
    other.close()
  })
})
