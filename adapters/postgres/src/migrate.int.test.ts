import { connect, createServer, type Server, type Socket } from 'node:net'
import { manualWorld, silentLogger } from '@banyan/core'
import pg from 'pg'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { postgres } from './database.ts'
import { postgresTest, TABLES } from './test/postgres-test.ts'

const { url, open, prepared } = postgresTest()

const WAIT = { timeout: 15_000 }

describe('what a migration sets in its session', () => {
  const SETTINGS = 'set session_replication_role = replica; set synchronous_commit = off'
  const settings = "select current_setting('session_replication_role') as role, current_setting('synchronous_commit') as commit"

  it('is not there for what comes after it, also when it failed', async () => {
    const database = await prepared({ maxConnections: 1 })
    await database.migrate([{ id: 'sets', sql: `create table lines (item integer references items); ${SETTINGS}` }])
    expect(await database.run(settings)).toEqual([{ role: 'origin', commit: 'on' }])
    await expect(database.transaction((tx) => tx.sql`insert into lines values (99)`)).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT' })
    await expect(database.migrate([{ id: 'fails', sql: `${SETTINGS}; commit` }])).rejects.toMatchObject({ code: 'ERR_MIGRATION_FAILED' })
    expect(await database.run(settings)).toEqual([{ role: 'origin', commit: 'on' }])
  })

  it('costs those nothing who find nothing to do', async () => {
    const database = await prepared({ maxConnections: 1 })
    const session = () => database.run('select pg_backend_pid() as pid')
    const before = await session()
    await database.migrate([TABLES])
    expect(await session()).toEqual(before)
  })
})

it('a database of another encoding than UTF8 is refused before anything is made in it', async () => {
  const admin = await open({ maxConnections: 1 })
  const name = `latin_${process.pid}`
  await admin.run(`create database ${name} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0`)
  const latin = postgres(Object.assign(new URL(url()), { pathname: `/${name}` }).href, { log: silentLogger })
  const wanted = expect.stringMatching(new RegExp(`/${name}": the database has the encoding LATIN1, wanted UTF8`))
  await expect(latin.transaction((tx) => tx.sql`select 1`)).rejects.toMatchObject({ code: 'ERR_DATABASE_OPEN', message: wanted })
  const client = new pg.Client(Object.assign(new URL(url()), { pathname: `/${name}` }).href)
  await client.connect()
  expect((await client.query("select to_regclass('banyan_migrations') as name")).rows).toEqual([{ name: null }])
  await client.end()
  await latin.close()
  await admin.run(`drop database ${name} with (force)`)
})

describe('a server that falls silent behind the login', () => {
  // What the server says when a connection is ready for its first statement.
  const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])
  const sockets: Socket[] = []
  let door: Server | undefined
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
    door?.close()
  })

  /** The URL by a way on which nothing gets through once a connection is ready, as long as `isSilent`. */
  async function silencedUrl(isSilent: () => boolean, silenced: () => void): Promise<string> {
    door = createServer((near) => {
      const far = connect(Number(new URL(url()).port), '127.0.0.1')
      let deaf = false
      sockets.push(near, far)
      for (const socket of [near, far]) socket.on('error', () => {})
      near.on('data', (data) => deaf || far.write(data))
      far.on('data', (data) => {
        near.write(data)
        if (!isSilent() || typeof data === 'string' || !data.includes(READY)) return
        deaf = true
        silenced()
      })
    })
    await new Promise<void>((resolve) => door?.listen(0, '127.0.0.1', resolve))
    const address = door.address()
    return Object.assign(new URL(url()), { port: String(typeof address === 'object' && address ? address.port : 0) }).href
  }

  it('is given up on in the first use; the next tries afresh, and closing does not wait for it', async () => {
    const world = manualWorld()
    let isSilent = true
    const silenced = vi.fn()
    const database = postgres(await silencedUrl(() => isSilent, silenced), { log: silentLogger, world, transactionTimeoutMs: 1_000 })
    const givenUp = vi.fn()
    const uses = Promise.allSettled([database.transaction((tx) => tx.sql`select 1`), database.migrate([TABLES])])
    await vi.waitFor(() => expect(silenced).toHaveBeenCalled(), WAIT)
    isSilent = false
    void uses.then(givenUp)
    await vi.waitFor(() => world.advance(200).then(() => expect(givenUp).toHaveBeenCalled()), WAIT)
    const unreachable = { reason: { code: 'ERR_DATABASE_UNREACHABLE' } }
    expect(await uses).toMatchObject([unreachable, unreachable])
    expect(await database.run('select 1 as n')).toEqual([{ n: 1 }])
    await database.close()
  })
})

describe('a migration', () => {
  it('may take longer than a transaction, and be waited for as long by another process', async () => {
    const slow = { id: 'slow', sql: "select pg_sleep(1.5); insert into items values (1, 'slow')" }
    await prepared()
    const [one, two] = [open({ transactionTimeoutMs: 300 }), open({ transactionTimeoutMs: 300 })]
    await Promise.all([one.migrate([slow]), two.migrate([slow])])
    expect(await one.run('select name from items')).toEqual([{ name: 'slow' }])
  })

  it('may take and be waited for as long, whatever limits the database has; its own locks are had in their time', async () => {
    const before = await prepared()
    const name = new URL(url()).pathname.slice(1)
    await before.run(`alter database "${name}" set lock_timeout = 300`)
    await before.run(`alter database "${name}" set transaction_timeout = 800`)
    const slow = { id: 'slow', sql: "select pg_sleep(1.5); insert into items select 1, current_setting('lock_timeout')" }
    const [one, two] = [open(), open()]
    await Promise.all([one.migrate([slow]), two.migrate([slow])])
    expect(await one.run('select name from items')).toEqual([{ name: '300ms' }])
  })
})
