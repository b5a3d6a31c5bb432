import { AsyncLocalStorage } from 'node:async_hooks'
import { type Migration, manualWorld, silentLogger } from '@banyan/core'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { postgres } from './database.ts'
import { type PostgresDatabase, postgresTransaction } from './postgres-database.ts'
import type { PostgresOptions } from './settings.ts'

const TABLES: Migration = {
  id: 'test',
  sql: 'create table items (id integer primary key, name text not null); create table counter as select 0 as n',
}

let place: TestDatabase
const opened: PostgresDatabase[] = []

function open(options: PostgresOptions = {}): PostgresDatabase {
  const database = postgres(place.url, { log: silentLogger, ...options })
  opened.push(database)
  return database
}

async function prepared(options: PostgresOptions = {}): Promise<PostgresDatabase> {
  const database = open(options)
  await database.migrate([TABLES])
  return database
}

const names = (database: PostgresDatabase) =>
  database.run<{ name: string }>('select name from items order by name').then((rows) => rows.map(({ name }) => name))

beforeEach(async () => {
  place = await testPostgres()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()))
  await place.drop()
})

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
    expect(await names(database)).toEqual(['off', 'on call'])
    expect(runs).toHaveBeenCalledTimes(3)
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
    expect(await names(database)).toEqual(['a', 'b "c"'])
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
    await database.transaction((tx) => tx.sql`set local lock_timeout = 1000`)
  })

  it('that fail end the transaction, and COMMIT says which it was when the body went on', async () => {
    const database = await prepared()
    const going = database.transaction(async (tx) => {
      await tx.sql`insert into items values (1, 'one')`
      await tx.sql`insert into items values (1, 'again')`.catch(() => 'swallowed')
    })
    await expect(going).rejects.toMatchObject({ code: 'ERR_COMMIT_FAILED', message: expect.stringContaining("'again'") })
    expect(await names(database)).toEqual([])
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
})

describe('statements that go with COMMIT', () => {
  it('come last, and are all or nothing with the rest', async () => {
    const database = await prepared()
    await database.transaction(async (tx) => {
      const { withCommit } = postgresTransaction(tx)
      tx.beforeCommit(async () => withCommit("update items set name = name || ' ' || $1", ['last']))
      await tx.sql`insert into items values (1, 'one')`
    })
    expect(await names(database)).toEqual(['one last'])
    const failing = database.transaction(async (tx) => {
      postgresTransaction(tx).withCommit("insert into items values (2, 'two')")
      postgresTransaction(tx).withCommit("insert into items values (1, 'one')")
      postgresTransaction(tx).withCommit("insert into items values (3, 'three')")
    })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT' })
    expect(await names(database)).toEqual(['one last'])
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
})

describe('connections', () => {
  it('that broke while nobody used them, or before COMMIT was sent, are replaced without a word', async () => {
    const database = await prepared()
    const kill = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
    await Promise.all(Array.from({ length: 5 }, () => database.run('select 1')))
    const other = open()
    await other.run(kill)
    await database.transaction((tx) => tx.sql`insert into items values (1, 'idle')`)
    let runs = 0
    await database.transaction(async (tx) => {
      await tx.sql`insert into items values (2, 'half')`
      if (runs++ === 0) await other.run(kill)
      await tx.sql`insert into items values (3, 'whole')`
    })
    expect(runs).toBe(2)
    expect(await names(database)).toEqual(['half', 'idle', 'whole'])
  })

  it('that break between COMMIT and its answer leave it unknown, and say so', async () => {
    const database = await prepared()
    const lost = database.transaction(async (tx) => {
      await tx.sql`insert into items values (1, 'x')`
      postgresTransaction(tx).withCommit('select pg_terminate_backend(pg_backend_pid())')
    })
    await expect(lost).rejects.toMatchObject({ code: 'ERR_COMMIT_UNKNOWN' })
    await expect(database.run('select pg_terminate_backend(pg_backend_pid())')).rejects.toMatchObject({ code: 'ERR_COMMIT_UNKNOWN' })
    expect(await names(database)).toEqual([])
  })

  it('are waited for so long, then the caller hears of it', async () => {
    const world = manualWorld()
    const database = postgres(place.url, { world, maxConnections: 1, queueTimeoutMs: 500 })
    opened.push(database)
    let free: (() => void) | undefined
    const held = new Promise<void>((resolve) => {
      free = resolve
    })
    const started = vi.fn()
    const holding = database.transaction(async (tx) => {
      await tx.sql`select 1`
      started()
      await held
    })
    await vi.waitFor(() => expect(started).toHaveBeenCalled())
    const outcome = Promise.allSettled([database.read(async () => 'never'), database.transaction((tx) => tx.sql`select 1 as n`)])
    await vi.waitFor(async () => {
      await world.advance(100)
      expect(world.monotonic()).toBeGreaterThan(500)
    })
    expect(await outcome).toMatchObject([
      { reason: { code: 'ERR_CONNECTIONS_EXHAUSTED', retryAfterMs: 1_000 } },
      { reason: { code: 'ERR_CONNECTIONS_EXHAUSTED' } },
    ])
    free?.()
    await holding
    expect(await database.run('select 1 as n')).toEqual([{ n: 1 }])
  })
})

describe('what stores do outside of transactions', () => {
  it('is one statement, or several in one round trip, each for itself or all together', async () => {
    const database = await prepared()
    const [rows, more] = await database.runAll(
      [{ text: "insert into items values (1, 'a') returning id" }, { text: 'select $1::int as n', values: [7] }],
      { atomic: true },
    )
    expect([rows, more]).toEqual([[{ id: 1 }], [{ n: 7 }]])
    const bad = [
      { text: "insert into items values (2, 'b')" },
      { text: "insert into items values (1, 'a')" },
      { text: "insert into items values (3, 'c')" },
    ]
    await expect(database.runAll(bad, { atomic: true })).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT' })
    expect(await names(database)).toEqual(['a'])
    await expect(database.runAll(bad, { atomic: false })).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT' })
    expect(await names(database)).toEqual(['a', 'b', 'c'])
  })

  it('is heard outside of whatever was under way when it began to listen', async () => {
    const database = await prepared()
    const request = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const listener = await request.run('the first request', () => database.listener())
    await request.run('the first request', () => listener.listen('wake-up', () => seen.push(request.getStore())))
    await database.run("select pg_notify('wake-up', '')")
    await vi.waitFor(() => expect(seen).toEqual([undefined]))
  })

  it('is listening, on a connection of its own', async () => {
    const database = await prepared({ maxConnections: 1 })
    const listener = await database.listener()
    const heard: string[] = []
    const gone = vi.fn()
    listener.onGone(gone)
    await listener.listen('wake-up', (payload) => heard.push(payload))
    await database.run("select pg_notify('wake-up', 'now'), pg_notify('other', 'no')")
    await vi.waitFor(() => expect(heard).toEqual(['now']))
    await listener.run('select pg_terminate_backend(pg_backend_pid())').catch(() => 'as wanted')
    await vi.waitFor(() => expect(gone).toHaveBeenCalledOnce())
  })
})

describe('opening', () => {
  it('says what is wrong with a URL and an option, and never the password', async () => {
    expect(() => postgres('postgres://u:hunter2@[')).toThrow(
      expect.objectContaining({ code: 'ERR_DATABASE_OPEN', message: expect.not.stringContaining('hunter2') }),
    )
    expect(() => postgres('mysql://u:hunter2@localhost/x')).toThrow('"mysql://"')
    expect(() => postgres(place.url, { attempts: 0 })).toThrow('"attempts" is 0')
    const wrong = postgres(place.url.replace(/:[0-9a-f]{32}@/, ':hunter2@'), { log: silentLogger })
    const error = await wrong.transaction((tx) => tx.sql`select 1`).catch((caught) => caught)
    expect(error).toMatchObject({ code: 'ERR_DATABASE_OPEN', message: expect.stringContaining('connect to "127.0.0.1') })
    expect(`${error.message}${error.stack}${JSON.stringify(error.cause)}`).not.toContain('hunter2')
    await wrong.close()
  })

  it('makes nothing twice when many use a new database at once, and names it after itself', async () => {
    const database = open()
    await Promise.all(Array.from({ length: 20 }, () => database.run('select 1')))
    expect(database.name).toBe(new URL(place.url).pathname.slice(1))
  })

  it('makes the database on demand, once, however many ask for it', async () => {
    const url = `${place.url}_made`
    const missing = postgres(url, { log: silentLogger })
    await expect(missing.run('select 1')).rejects.toMatchObject({ code: 'ERR_DATABASE_OPEN' })
    const [one, two] = [postgres(url, { log: silentLogger, create: true }), postgres(url, { log: silentLogger, create: true })]
    await Promise.all([one.run('select 1'), two.run('select 1')])
    expect(await missing.run('select 1 as n')).toEqual([{ n: 1 }])
    await Promise.all([missing.close(), one.close(), two.close()])
    await open().run(`drop database "${new URL(url).pathname.slice(1)}"`)
  })

  it('needs no rights but to make tables in its own schema', async () => {
    // Not by ours, which would make its tables as the administrator.
    const admin = new pg.Client({ connectionString: place.url })
    await admin.connect()
    const role = `role_${new URL(place.url).pathname.slice(1)}`
    await admin.query(`create role ${role} login password 'plain' nosuperuser nocreatedb nocreaterole`)
    await admin.query(`grant create on schema public to ${role}`)
    const plain = postgres(Object.assign(new URL(place.url), { username: role, password: 'plain' }).href, { log: silentLogger })
    await plain.migrate([TABLES])
    await plain.transaction((tx) => tx.sql`insert into items values (1, 'x')`)
    expect(await names(plain)).toEqual(['x'])
    const listener = await plain.listener()
    await listener.listen('anything', () => {})
    await plain.close()
    await admin.query(`drop owned by ${role}`)
    await admin.query(`drop role ${role}`)
    await admin.end()
  })
})
