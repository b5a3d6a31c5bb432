import { AsyncLocalStorage } from 'node:async_hooks'
import { type AddressInfo, connect, createServer } from 'node:net'
import { manualWorld, silentLogger, type Transaction } from '@banyan/core'
import pg from 'pg'
import { describe, expect, it, vi } from 'vitest'
import { postgres } from './database.ts'
import { postgresTransaction } from './postgres-database.ts'
import { isServiceUrl } from './service-url.ts'
import { namesIn, postgresTest, TABLES } from './test/postgres-test.ts'

const { url, open, prepared } = postgresTest()

const WAIT = { timeout: 8_000 }

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
    expect(await namesIn(database)).toEqual(['half', 'idle', 'whole'])
  })

  it('that break behind the last statement, before COMMIT is sent, are replaced too', async () => {
    const database = await prepared({ maxConnections: 1 })
    const other = open()
    let runs = 0
    await database.transaction(async (tx) => {
      const [row] = await tx.sql<{ pid: number }>`insert into items values (${++runs}, 'kept') returning pg_backend_pid() as pid`
      if (runs > 1) return
      await other.run('select pg_terminate_backend($1)', [row?.pid ?? 0])
      // The connection knows of it as soon as the server has said goodbye on it, and no statement asks for it.
      await vi.waitFor(
        async () => expect(await other.run('select 1 from pg_stat_activity where pid = $1', [row?.pid ?? 0])).toEqual([]),
        WAIT,
      )
    })
    expect(await other.run('select id from items')).toEqual([{ id: 2 }])
  })

  it('that the server ends since a body does nothing for too long are not replaced: the reason is told', async () => {
    const database = await prepared({ maxConnections: 1 })
    const other = open()
    let runs = 0
    const idling = (meanwhile: (tx: Transaction) => Promise<unknown>) =>
      database.transaction(async (tx) => {
        runs += 1
        // As `transaction_timeout` of PostgreSQL 17 does, set for the whole database.
        const [row] = await tx.sql<{
          pid: number
        }>`select pg_backend_pid() as pid, set_config('idle_in_transaction_session_timeout', '10', true)`
        await vi.waitFor(
          async () => expect(await other.run('select 1 from pg_stat_activity where pid = $1', [row?.pid ?? 0])).toEqual([]),
          WAIT,
        )
        await meanwhile(tx)
      })
    const told = { code: 'ERR_TRANSACTION_TIMEOUT', message: expect.stringContaining('idle-in-transaction timeout') }
    await expect(idling((tx) => tx.sql`select 2`)).rejects.toMatchObject(told)
    await expect(idling(async () => {})).rejects.toMatchObject(told)
    const ownWords = (tx: Transaction) => tx.sql`select 2`.catch(() => Promise.reject(new Error('too late')))
    await expect(idling(ownWords)).rejects.toThrow('too late')
    expect(runs).toBe(3)
    await database.transaction((tx) => tx.sql`insert into items values (1, 'after it')`)
    expect(await namesIn(database)).toEqual(['after it'])
  })

  it('that break between COMMIT and its answer leave it unknown, and say so', async () => {
    const database = await prepared()
    const lost = database.transaction(async (tx) => {
      await tx.sql`insert into items values (1, 'x')`
      postgresTransaction(tx).withCommit('select pg_terminate_backend(pg_backend_pid())')
    })
    await expect(lost).rejects.toMatchObject({ code: 'ERR_COMMIT_UNKNOWN' })
    for (const prepare of [true, false]) {
      const message = expect.stringContaining('whether "select pg_terminate_backend')
      const cut = open({ prepare }).run('select pg_terminate_backend(pg_backend_pid())')
      await expect(cut).rejects.toMatchObject({ code: 'ERR_COMMIT_UNKNOWN', message })
    }
    expect(await namesIn(database)).toEqual([])
  })

  it('are waited for so long, then the caller hears of it', async () => {
    const world = manualWorld()
    const database = open({ world, maxConnections: 1, queueTimeoutMs: 500 })
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
    await vi.waitFor(() => expect(started).toHaveBeenCalled(), WAIT)
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
  it.each([true, false])('is read committed, whatever the database has for those that do not say (prepared: %s)', async (prepare) => {
    const before = open()
    await before.run(`alter database "${new URL(url()).pathname.slice(1)}" set default_transaction_isolation = 'serializable'`)
    const database = open({ prepare })
    const statement = { text: "select current_setting('transaction_isolation') as now" }
    const all = [[{ now: 'read committed' }], [{ now: 'read committed' }]]
    expect(await database.run(statement.text)).toEqual(all[0])
    for (const atomic of [true, false]) expect(await database.runAll([statement, statement], { atomic })).toEqual(all)
  })

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
    expect(await namesIn(database)).toEqual(['a'])
    await expect(database.runAll(bad, { atomic: false })).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT' })
    expect(await namesIn(database)).toEqual(['a', 'b', 'c'])
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
  it('takes the longest limit that it allows', async () => {
    const database = open({ transactionTimeoutMs: 2 ** 31 - 1 })
    expect(await database.run("select 'there' as is from pg_sleep(0.1)")).toEqual([{ is: 'there' }])
  })

  it('says what is wrong with a URL and an option, and never the password', async () => {
    expect(() => postgres('postgres://u:hunter2@[')).toThrow(
      expect.objectContaining({ code: 'ERR_DATABASE_OPEN', message: expect.not.stringContaining('hunter2') }),
    )
    expect(() => postgres('mysql://u:hunter2@localhost/x')).toThrow('"mysql://"')
    expect(() => postgres('postgres://u:hunter2@localhost/%zz')).toThrow(
      expect.objectContaining({ code: 'ERR_DATABASE_OPEN', message: expect.not.stringContaining('hunter2') }),
    )
    expect(() => postgres(url(), { attempts: 0 })).toThrow('"attempts" is 0')
    const wrong = postgres(url().replace(/:[0-9a-f]{32}@/, ':hunter2@'), { log: silentLogger })
    const error = await wrong.transaction((tx) => tx.sql`select 1`).catch((caught) => caught)
    expect(error).toMatchObject({ code: 'ERR_DATABASE_OPEN', message: expect.stringContaining('connect to "127.0.0.1') })
    expect(`${error.message}${error.stack}${JSON.stringify(error.cause)}`).not.toContain('hunter2')
    await wrong.close()
  })

  it('says which part of a URL cannot be had', async () => {
    const certified = postgres(`${url()}?sslrootcert=/nowhere.pem`, { log: silentLogger })
    const refused = { code: 'ERR_DATABASE_OPEN', message: expect.stringMatching(/^cannot connect to "127\.0\.0\.1.*\/nowhere\.pem/) }
    await expect(certified.run('select 1')).rejects.toMatchObject(refused)
    await certified.close()
  })

  it('says where a password is wanted when there is none', async () => {
    const bare = postgres(url().replace(/:[0-9a-f]{32}@/, '@'), { log: silentLogger })
    const error = await bare.transaction((tx) => tx.sql`select 1`).catch((caught) => caught)
    expect(error).toMatchObject({ code: 'ERR_DATABASE_OPEN', retryAfterMs: undefined })
    expect(error.message).toMatch(
      /^cannot connect to "127\.0\.0\.1.*": the server wants a password and there is none; wanted one in the URL/,
    )
    await bare.close()
  })

  it('says what is wanted behind a pooler that takes no settings from who connects; to be looked at, a database needs none', async () => {
    const refusal = Buffer.from('SFATAL\0C08P01\0Munsupported startup parameter: statement_timeout\0\0')
    const length = Buffer.alloc(4)
    length.writeUInt32BE(refusal.length + 4)
    // As PgBouncer does, in each of its modes.
    const pooler = createServer((near) => {
      near.on('error', () => {})
      near.once('data', (startup) => {
        if (startup.includes('statement_timeout')) return near.end(Buffer.concat([Buffer.from('E'), length, refusal]))
        const far = connect(Number(new URL(url()).port), '127.0.0.1')
        far.on('error', () => near.destroy())
        far.write(startup)
        near.pipe(far).pipe(near)
      })
    })
    await new Promise<void>((resolve) => pooler.listen(0, '127.0.0.1', resolve))
    const { port } = pooler.address() as AddressInfo
    const pooled = Object.assign(new URL(url()), { port: String(port) }).href
    const [prepared, unprepared] = [true, false].map((prepare) => postgres(pooled, { log: silentLogger, prepare }))
    const wanted = { code: 'ERR_DATABASE_OPEN', message: expect.stringContaining('"prepare: false"') }
    await expect(prepared?.run('select 1')).rejects.toMatchObject(wanted)
    expect(await isServiceUrl(pooled)).toBe(false)
    expect(await unprepared?.run('select 1 as n')).toEqual([{ n: 1 }])
    expect(await isServiceUrl(pooled)).toBe(true)
    await Promise.all([prepared?.close(), unprepared?.close()])
    pooler.close()
  })

  it('makes nothing twice when many use a new database at once, and names it after itself', async () => {
    const database = open()
    await Promise.all(Array.from({ length: 20 }, () => database.run('select 1')))
    expect(database.name).toBe(new URL(url()).pathname.slice(1))
  })

  it('makes the database on demand, once, however many ask for it', async () => {
    const made = `${url()}_made`
    const missing = postgres(made, { log: silentLogger })
    await expect(missing.run('select 1')).rejects.toMatchObject({ code: 'ERR_DATABASE_OPEN' })
    const [one, two] = [postgres(made, { log: silentLogger, create: true }), postgres(made, { log: silentLogger, create: true })]
    await Promise.all([one.run('select 1'), two.run('select 1')])
    expect(await missing.run('select 1 as n')).toEqual([{ n: 1 }])
    await Promise.all([missing.close(), one.close(), two.close()])
    await open().run(`drop database "${new URL(made).pathname.slice(1)}"`)
  })

  it('needs no rights but to make tables in its own schema', async () => {
    // Not by ours, which would make its tables as the administrator.
    const admin = new pg.Client({ connectionString: url() })
    await admin.connect()
    const role = `role_${new URL(url()).pathname.slice(1)}`
    await admin.query(`create role ${role} login password 'plain' nosuperuser nocreatedb nocreaterole`)
    await admin.query(`grant create on schema public to ${role}`)
    const plain = postgres(Object.assign(new URL(url()), { username: role, password: 'plain' }).href, { log: silentLogger })
    await plain.migrate([TABLES])
    await plain.transaction((tx) => tx.sql`insert into items values (1, 'x')`)
    expect(await namesIn(plain)).toEqual(['x'])
    const listener = await plain.listener()
    await listener.listen('anything', () => {})
    await plain.close()
    await admin.query(`drop owned by ${role}`)
    await admin.query(`drop role ${role}`)
    await admin.end()
  })
})
