import type { Transaction } from '@banyan/core'
import { describe, expect, it, vi } from 'vitest'
import { LANES } from './lanes.ts'
import { type PostgresDatabase, postgresTransaction } from './postgres-database.ts'
import type { PostgresOptions } from './settings.ts'
import { namesIn, postgresTest } from './test/postgres-test.ts'

const { url, open, prepared } = postgresTest()

describe('isolation', () => {
  it('is serializable by default: of two that read what the other writes, one runs again', async () => {
    const database = await prepared()
    await database.run("insert into items values (1, 'on call'), (2, 'on call')")
    const runs = vi.fn()
    let both: (() => void) | undefined
    const bothHaveRead = new Promise<void>((resolve) => {
      both = resolve
    })
    const leave = (id: number) =>
      database.transaction(async (tx) => {
        const [row] = await tx.sql<{ n: number }>`select count(*) as n from items where name = 'on call'`
        runs()
        if (runs.mock.calls.length >= 2) both?.()
        await bothHaveRead
        if (row?.n === 2) await tx.sql`update items set name = 'off' where id = ${id}`
      })
    await Promise.all([leave(1), leave(2)])
    expect(await namesIn(database)).toEqual(['off', 'on call'])
    // More than once, if it begins while the other's commit is being written.
    expect(runs.mock.calls.length).toBeGreaterThan(2)
  })

  it('is read committed on demand', async () => {
    const levelOf = (options: PostgresOptions) =>
      open(options).transaction((tx) => tx.sql`select current_setting('transaction_isolation') as level`)
    expect(await levelOf({})).toEqual([{ level: 'serializable' }])
    expect(await levelOf({ isolation: 'read committed' })).toEqual([{ level: 'read committed' }])
    expect(await open().read((tx) => tx.sql`select current_setting('transaction_isolation') as level`)).toEqual([
      { level: 'repeatable read' },
    ])
  })

  it('lets nobody starve on a row that all want', async () => {
    const databases = [await prepared({ attempts: 6 }), open({ attempts: 6 }), open({ attempts: 6 })]
    const raise = (database: PostgresDatabase) =>
      database.transaction(async (tx) => {
        const [row] = await tx.sql<{ n: number }>`select n from counter`
        await tx.sql`update counter set n = ${(row?.n ?? 0) + 1}`
      })
    async function loop(database: PostgresDatabase): Promise<void> {
      for (let turn = 0; turn < 40; turn += 1) await raise(database)
    }
    await Promise.all(databases.flatMap((database) => [loop(database), loop(database)]))
    expect(await databases[0]?.run('select n from counter')).toEqual([{ n: 240 }])
  })

  it('says why a turn was not had', async () => {
    const database = await prepared()
    await database.run(`alter database "${new URL(url()).pathname.slice(1)}" set lock_timeout = 100`)
    const other = open()
    let runs = 0
    let held: Promise<unknown> = Promise.resolve()
    let free: (() => void) | undefined
    const unlucky = other.transaction(async (tx) => {
      runs += 1
      await tx.sql`select n from counter`
      if (runs === 2) {
        // All turns are another's when this body comes for one.
        await new Promise<void>((taken) => {
          held = database.transaction(async (holding) => {
            await postgresTransaction(holding).run(`lock table ${LANES.join()} in share row exclusive mode`)
            taken()
            await new Promise<void>((resolve) => (free = resolve))
          })
        })
      }
      await database.run('update counter set n = n + 1')
      await tx.sql`update counter set n = n + 1`
    })
    await expect(unlucky).rejects.toMatchObject({ code: 'ERR_SQL', message: expect.stringContaining('lock timeout') })
    expect(runs).toBe(3)
    free?.()
    await held
  })

  it('gives up after so many attempts, and says so', async () => {
    const database = await prepared({ attempts: 3 })
    const runs = vi.fn()
    const hopeless = database.transaction(async (tx) => {
      runs()
      await tx.sql`select n from counter`
      await database.run('update counter set n = n + 1')
      await tx.sql`update counter set n = n + 1`
    })
    await expect(hopeless).rejects.toMatchObject({
      code: 'ERR_SERIALIZATION',
      message: expect.stringContaining('3 times'),
      retryAfterMs: 100,
    })
    expect(runs).toHaveBeenCalledTimes(3)
  })

  it('runs a body again whatever it made of the refusal', async () => {
    const database = await prepared()
    let disturbed = 0
    await database.transaction(async (tx) => {
      await tx.sql`select n from counter`
      if (disturbed++ === 0) await database.run('update counter set n = n + 1')
      await tx.sql`update counter set n = n + 1`.catch(() => 'swallowed')
    })
    expect(await database.run('select n from counter')).toEqual([{ n: 2 }])
  })
})

describe('values', () => {
  it('come back as what was put in', async () => {
    const database = await prepared()
    await database.migrate([
      { id: 'values', sql: 'create table v (i integer, b bigint, n numeric, t text, o boolean, y bytea, f double precision)' },
    ])
    const bytes = new Uint8Array([0, 1, 255])
    await database.transaction((tx) => tx.sql`insert into v values (${-7}, ${2n ** 62n}, ${'1.50'}, ${"it's"}, ${true}, ${bytes}, ${0.1})`)
    const [row] = await database.read((tx) => tx.sql`select * from v`)
    expect({ ...row, y: row?.y instanceof Uint8Array && [...row.y] }).toEqual({
      i: -7,
      b: 2n ** 62n,
      n: '1.50',
      t: "it's",
      o: true,
      y: [0, 1, 255],
      f: 0.1,
    })
    expect(await database.read((tx) => tx.sql`select count(*) as c, sum(i) as s, sum(b - 4611686018427387904) as big from v`)).toEqual([
      { c: 1, s: -7, big: 0 },
    ])
  })

  it('of stores may be arrays, those of users may not', async () => {
    const database = await prepared()
    await database.transaction(async (tx) => {
      await postgresTransaction(tx).run('insert into items select * from unnest($1::int[], $2::text[])', [
        [1, 2],
        ['a', 'b "c"'],
      ])
    })
    expect(await namesIn(database)).toEqual(['a', 'b "c"'])
    const users = database.read((tx) => tx.sql`select ${[1] as unknown as number}`)
    await expect(users).rejects.toThrow('value 1 is an array')
  })

  it('stand in no message and in no cause', async () => {
    const database = await prepared()
    await database.run("insert into items values (1, 'x')")
    const failures = await Promise.allSettled([
      database.transaction((tx) => tx.sql`insert into items values (1, ${'a secret'})`),
      database.transaction((tx) => tx.sql`insert into items values (${'a secret'}, 'x')`),
      database.transaction((tx) => tx.sql`insert into items values (2, ${null})`),
    ])
    const said = failures.map((failure) => (failure.status === 'rejected' ? failure.reason : undefined))
    expect(said).toMatchObject([
      { code: 'ERR_SQL_CONSTRAINT', constraint: { kind: 'unique', on: 'items_pkey' } },
      { code: 'ERR_SQL', message: expect.stringContaining('invalid input syntax for type integer') },
      { code: 'ERR_SQL_CONSTRAINT', constraint: { kind: 'not-null', on: 'items.name' } },
    ])
    for (const error of said)
      expect([error.message, error.stack, String(error.cause), JSON.stringify(error.cause)].join()).not.toContain('a secret')
  })
})

describe('statements', () => {
  it('that would begin or end transactions are refused, and those of which there are two', async () => {
    const database = await prepared()
    const refused = { code: 'ERR_TRANSACTION_CONTROL' }
    await expect(database.transaction((tx) => tx.sql`commit`)).rejects.toMatchObject(refused)
    await expect(database.transaction((tx) => tx.sql`/* really */ rollback`)).rejects.toMatchObject(refused)
    await expect(database.transaction((tx) => tx.sql`set search_path = x`)).rejects.toMatchObject(refused)
    await expect(database.transaction((tx) => tx.sql`select 1; commit`)).rejects.toMatchObject({ code: 'ERR_SQL' })
    await expect(database.transaction((tx) => tx.sql`select 1 /* ${7} */`)).rejects.toMatchObject({ code: 'ERR_SQL' })
    await expect(database.transaction((tx) => tx.sql`; commit`)).rejects.toMatchObject(refused)
    await database.transaction((tx) => tx.sql`set local lock_timeout = 1000`)
  })

  it('that fail end the transaction, and COMMIT says which it was when the body went on', async () => {
    const database = await prepared()
    const going = database.transaction(async (tx) => {
      await tx.sql`insert into items values (1, 'one')`
      await tx.sql`insert into items values (1, 'again')`.catch(() => 'swallowed')
    })
    await expect(going).rejects.toMatchObject({ code: 'ERR_COMMIT_FAILED', message: expect.stringContaining("'again'") })
    expect(await namesIn(database)).toEqual([])
  })

  it('that the body does not wait for are in the transaction, and taken back with it', async () => {
    const database = await prepared()
    const hasty = (id: number) => async (tx: Transaction) => {
      for (const n of [id, id + 1]) void tx.sql`insert into items values (${n}, ${`item ${n}`})`
    }
    await database.transaction(hasty(1))
    expect(await database.run('select count(distinct xmin::text) as transactions from items')).toEqual([{ transactions: 1 }])
    const failing = database.transaction(async (tx) => {
      await hasty(3)(tx)
      throw new Error('taken back')
    })
    await expect(failing).rejects.toThrow('taken back')
    expect(await namesIn(database)).toEqual(['item 1', 'item 2'])
  })

  it('that were refused as the first of a transaction can be run again, and BEGIN with them', async () => {
    const database = await prepared({ maxConnections: 1 })
    const runs = vi.fn()
    const add = (prepare: boolean) =>
      (prepare ? database : open({ prepare: false })).transaction(async (tx) => {
        runs()
        await tx.sql`insert into later values (1)`
      })
    for (const prepare of [true, false]) await expect(add(prepare)).rejects.toMatchObject({ code: 'ERR_SQL' })
    await database.run('create table later (id integer)')
    for (const prepare of [true, false]) await add(prepare)
    expect(runs).toHaveBeenCalledTimes(4)
    expect(await database.run("select 1 from pg_prepared_statements where statement like 'begin%'")).toHaveLength(1)
  })

  it('are kept prepared up to a number, or not at all', async () => {
    const preparedIn = async (options: PostgresOptions) => {
      const database = open({ ...options, maxConnections: 1 })
      for (let n = 0; n < 20; n += 1) await database.run(`select ${n}`)
      const [row] = await database.run<{ n: number }>('select count(*) as n from pg_prepared_statements')
      return row?.n
    }
    expect(await preparedIn({ maxStatements: 5 })).toBeLessThanOrEqual(6)
    expect(await preparedIn({})).toBeGreaterThan(20)
    expect(await preparedIn({ prepare: false })).toBe(0)
  })

  it('have their limits in the server, also where sessions are shared', async () => {
    const limits = (prepare: boolean) =>
      open({ prepare, transactionTimeoutMs: 7_000 }).transaction(
        (tx) => tx.sql`select current_setting('statement_timeout') as a, current_setting('idle_in_transaction_session_timeout') as b`,
      )
    expect([await limits(true), await limits(false)]).toEqual([[{ a: '7s', b: '7s' }], [{ a: '7s', b: '7s' }]])
    expect(await open({ prepare: false, maxConnections: 1 }).run("select current_setting('statement_timeout') as a")).toEqual([{ a: '0' }])
  })

  it('that were prepared for a table as it was work after it has changed', async () => {
    const database = await prepared({ maxConnections: 1 })
    const all = () => database.transaction((tx) => tx.sql`select * from items`)
    await database.run("insert into items values (1, 'x')")
    await all()
    await database.run('alter table items add column more integer')
    expect(await all()).toEqual([{ id: 1, name: 'x', more: null }])
  })

  it('that the server has lost are prepared again, and so is the COMMIT that goes with them', async () => {
    const database = await prepared({ maxConnections: 1 })
    const add = (id: number) =>
      database.transaction(async (tx) => {
        await tx.sql`select n from counter`
        postgresTransaction(tx).withCommit('insert into items values ($1, $2)', [id, `item ${id}`])
      })
    await add(1)
    // As some poolers do between two clients of a session.
    await database.run('discard all')
    await add(2)
    await database.run('deallocate all')
    await database.transaction(async (tx) => {
      await tx.sql`insert into items values (3, (select max(name) from items))`
      postgresTransaction(tx).withCommit('update items set name = upper(name)')
    })
    expect(await namesIn(database)).toEqual(['ITEM 1', 'ITEM 2', 'ITEM 2'])
  })
})

describe('what comes as the body ends', () => {
  it('is stored or refused, never taken and lost', async () => {
    const database = await prepared()
    const written: number[] = []
    const taken: number[] = []
    for (let turns = 0; turns < 12; turns += 1) {
      await database.transaction(async (tx) => {
        await tx.sql`select 1`
        tx.beforeCommit(async () => {})
        void (async () => {
          for (let n = 0; n < turns; n += 1) await null
          tx.beforeCommit(async () => void written.push(turns))
          taken.push(turns)
        })().catch(() => 'refused')
      })
    }
    expect(written).toEqual(taken)
    expect(taken.length).toBeLessThan(12)
  })
})

describe('statements that go with COMMIT', () => {
  it('come last, and are all or nothing with the rest', async () => {
    const database = await prepared()
    await database.transaction(async (tx) => {
      const { withCommit } = postgresTransaction(tx)
      tx.beforeCommit(async () => withCommit("update items set name = name || ' ' || $1", ['last']))
      await tx.sql`insert into items values (1, 'one')`
    })
    expect(await namesIn(database)).toEqual(['one last'])
    const failing = database.transaction(async (tx) => {
      postgresTransaction(tx).withCommit("insert into items values (2, 'two')")
      postgresTransaction(tx).withCommit("insert into items values (1, 'one')")
      postgresTransaction(tx).withCommit("insert into items values (3, 'three')")
    })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT' })
    expect(await namesIn(database)).toEqual(['one last'])
  })

  it('may be refused for the sake of others: then all of it runs again', async () => {
    const database = await prepared()
    let runs = 0
    await database.transaction(async (tx) => {
      await tx.sql`select n from counter`
      if (runs++ === 0) await database.run('update counter set n = 10')
      postgresTransaction(tx).withCommit('update counter set n = n + 1')
    })
    expect(await database.run('select n from counter')).toEqual([{ n: 11 }])
  })

  it('are committed with, or nothing is: refused, refused by COMMIT itself, or not to be sent at all', async () => {
    const database = await prepared()
    await database.run('alter table items add constraint named unique (name) deferrable initially deferred')
    const adding = (text: string, values: readonly never[] = []) =>
      database.transaction(async (tx) => {
        await tx.sql`insert into items values (1, 'one')`
        postgresTransaction(tx).withCommit(text, values)
      })
    const refused = { code: 'ERR_SQL_CONSTRAINT' }
    await expect(adding("insert into items values (1, 'again')")).rejects.toMatchObject(refused)
    await expect(adding("insert into items values (2, 'one')")).rejects.toMatchObject(refused)
    await expect(adding('insert into nowhere values (1)')).rejects.toMatchObject({ code: 'ERR_SQL' })
    const unsendable = {
      toPostgres() {
        throw new Error('there is no text for this')
      },
    }
    await expect(adding('insert into items values (2, $1)', [unsendable as never])).rejects.toThrow()
    const open = "select pid from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'"
    await vi.waitFor(async () => expect(await database.run(open)).toEqual([]))
    expect(await namesIn(database)).toEqual([])
    // None of them has left the connection, or the statement, in a state that others would suffer from.
    await adding('insert into items values (2, $1)', ['two' as never])
    expect(await namesIn(database)).toEqual(['one', 'two'])
  })

  it('have COMMIT prepared once, and parsed each time where nothing may be prepared', async () => {
    const commitsPrepared = async (options: PostgresOptions) => {
      const database = await prepared({ ...options, maxConnections: 1 })
      for (let n = 0; n < 6; n += 1) {
        await database.transaction(async (tx) => {
          await postgresTransaction(tx).run(`select ${n}`)
          postgresTransaction(tx).withCommit(`insert into items values (${n}, '${n}')`)
        })
      }
      expect(await database.run('with gone as (delete from items returning 1) select count(*) as n from gone')).toEqual([{ n: 6 }])
      return await database.run("select generic_plans + custom_plans as runs from pg_prepared_statements where statement = 'commit'")
    }
    expect(await commitsPrepared({})).toHaveLength(1)
    expect(await commitsPrepared({ maxStatements: 1 })).toEqual([])
    expect(await commitsPrepared({ prepare: false })).toEqual([])
  })
})
