import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '@banyan/core'
import { type PostgresServer, startPostgres } from '@banyan/testing'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { postgres } from './database.ts'
import { wakeUps } from './notify.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { namesIn, TABLES } from './test/postgres-test.ts'

let server: PostgresServer
let database: PostgresDatabase
let admin: pg.Client

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

beforeEach(async () => {
  const url = await server.database()
  database = postgres(url, { log: silentLogger })
  await database.migrate([TABLES])
  const folder = await client(url).then(async (one) => {
    const { rows } = await one.query<{ folder: string }>("select current_setting('data_directory') as folder")
    await one.end()
    return rows[0]?.folder ?? ''
  })
  await server.halt()
  // As after a failover to a copy that nobody has promoted yet.
  writeFileSync(join(folder, 'standby.signal'), '')
  await server.start()
  admin = await client(url)
})
afterEach(async () => {
  await promote()
  await admin.end()
  await database.close()
})

async function client(url: string): Promise<pg.Client> {
  const one = new pg.Client(url)
  await one.connect()
  return one
}

async function promote(): Promise<void> {
  await admin.query('select pg_promote() where pg_is_in_recovery()')
}

describe('on a hot standby', () => {
  it('a body that writes is refused, and told why', async () => {
    await expect(database.transaction((tx) => tx.sql`select n from counter`)).rejects.toMatchObject({
      code: 'ERR_SQL',
      message: expect.stringContaining('cannot use serializable mode in a hot standby'),
    })
  })

  it('nothing of a body runs outside of a transaction, also when the server is promoted meanwhile', async () => {
    const refused = vi.fn()
    const taken = database.transaction(async (tx) => {
      await tx.sql`select n from counter`.catch(() => 'swallowed')
      await promote()
      await tx.sql`insert into items values (1, 'one')`.catch(refused)
      throw new Error('taken back')
    })
    await expect(taken).rejects.toThrow('taken back')
    expect(refused).toHaveBeenCalledWith(
      expect.objectContaining({ code: 'ERR_SQL', message: expect.stringContaining('a statement failed before') }),
    )
    expect(await namesIn(database)).toEqual([])
    await database.transaction((tx) => tx.sql`insert into items values (2, 'after it')`)
    expect(await namesIn(database)).toEqual(['after it'])
  })

  it('what is sent along with the first statement does not run either', async () => {
    // Outside of a transaction, such a lock stays with the session.
    const taken = database.transaction((tx) => Promise.all([tx.sql`select n from counter`, tx.sql`select pg_advisory_lock(7)`]))
    await expect(taken).rejects.toMatchObject({ code: 'ERR_SQL' })
    const { rows } = await admin.query("select 1 from pg_locks where locktype = 'advisory' and objid = 7")
    expect(rows).toEqual([])
  })

  it('no connection is left of those that were not allowed to listen', async () => {
    const refused = vi.fn()
    const url = Object.assign(new URL(server.url), { pathname: `/${database.name}` }).href
    const deaf = postgres(url, { name: 'deaf', log: { ...silentLogger, debug: refused } })
    const forget = wakeUps(deaf, 'news').onTold(() => {})
    await vi.waitFor(() => expect(refused).toHaveBeenCalledTimes(3), { timeout: 20_000 })
    await vi.waitFor(
      async () => {
        const { rows } = await admin.query("select 1 from pg_stat_activity where application_name = 'banyan deaf' and query like 'listen%'")
        expect(rows).toEqual([])
      },
      { timeout: 15_000 },
    )
    forget()
    await deaf.close()
  })

  it('reads are served, however often one is cut', async () => {
    let runs = 0
    await database.read(async (tx) => {
      runs += 1
      await tx.sql`select 1 as a`
      if (runs <= 3) await tx.sql`select pg_terminate_backend(pg_backend_pid())`
    })
    expect(runs).toBe(4)
  })
})
