import { silentLogger, systemWorld } from '@banyan/core'
import { postgres } from '@banyan/postgres'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runProgram } from './program.ts'
import { databaseOpener, serviceDatabaseUrl } from './service-database.ts'

let place: TestDatabase
beforeEach(async () => {
  place = await testPostgres()
})
afterEach(() => place.drop())

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const said = { out: '', err: '' }
  const status = await runProgram(args, {
    write: (text) => {
      said.out += text
    },
    writeError: (text) => {
      said.err += text
    },
  })
  return { status, ...said }
}

describe('services on a PostgreSQL server', () => {
  it('have each a database of its own, made when it is not there', async () => {
    const open = await databaseOpener({ dataDir: 'unused', databaseUrl: place.url, world: systemWorld })
    const databases = ['orders', 'stock'].map((service) => open(service, silentLogger))
    const names = await Promise.all(
      databases.map((database) => database.read((tx) => tx.sql<{ name: string }>`select current_database() as name`)),
    )
    const base = new URL(place.url).pathname.slice(1)
    expect(names.flat()).toEqual([{ name: `${base}_orders` }, { name: `${base}_stock` }])
    await Promise.all(databases.map((database) => database.close()))
    const admin = postgres(place.url, { log: silentLogger })
    for (const [row] of names) await admin.run(`drop database "${row?.name}"`)
    await admin.close()
  })

  it('take their names from the URL', () => {
    expect(serviceDatabaseUrl('postgres://u:p@host:5433/shop?sslmode=require', 'orders')).toBe(
      'postgres://u:p@host:5433/shop_orders?sslmode=require',
    )
    expect(serviceDatabaseUrl('postgres://host', 'orders')).toBe('postgres://host/orders')
  })
})

describe('banyan with --db and a URL', () => {
  it('looks after sagas and dead letters there', async () => {
    const service = postgres(place.url, { log: silentLogger })
    await service.migrate([])
    await service.close()
    expect(await run('saga', 'list', '--db', place.url)).toMatchObject({ status: 0, err: '' })
    expect(await run('dead-letters', 'list', '--db', place.url)).toMatchObject({ status: 0, err: '' })
  })

  it.each([
    ['saga', 'list'],
    ['saga', 'retry', 'some-id', '--why', 'x'],
    ['dead-letters', 'stats'],
    ['flow', 'list'],
  ])('does not touch a database that is none of a service: %s %s', async (...words) => {
    const admin = new pg.Client({ connectionString: place.url })
    await admin.connect()
    try {
      await admin.query('create table users (id int)')
      const { status, out, err } = await run(...words, '--db', place.url)
      expect({ status, out }).toEqual({ status: 1, out: '' })
      expect(err).toContain('is no database of a Banyan service')
      expect(err).not.toContain(new URL(place.url).password)
      const { rows } = await admin.query("select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
      expect(rows).toEqual([{ relname: 'users' }])
    } finally {
      await admin.end()
    }
  })

  it('says in one line what is wrong with the database, without its password', async () => {
    const { status, err } = await run('saga', 'list', '--db', `${place.url}_missing`)
    expect(status).toBe(1)
    expect(err).toContain('does not exist')
    expect(err).not.toContain(new URL(place.url).password)
    expect(err.trim().split('\n')).toHaveLength(1)
  })
})
