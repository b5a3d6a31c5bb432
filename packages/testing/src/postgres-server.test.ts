import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type PostgresServer, startPostgres } from './postgres-server.ts'
import { signalTo } from './process-tree.ts'

const DEBIAN = '/usr/lib/postgresql/15/bin'

async function ask(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // A connection that breaks in a query rejects the query; this hears those that break between.
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

describe('a PostgreSQL server for tests', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())

  it('is as careful with commits as every server', async () => {
    for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes'])
      expect(await ask(server.url, `show ${setting}`)).toEqual([{ [setting]: 'on' }])
    // The server takes these names, too.
    for (const name of ['fsync', 'FSYNC', 'synchronous-commit', 'Full_Page-Writes'])
      await expect(startPostgres({ settings: { [name]: 'off' } })).rejects.toThrow(`"${name}" set to "off"`)
  })

  it('gives databases that know nothing of each other, and takes them back', async () => {
    const [one, two] = await Promise.all([server.database(), server.database('named')])
    await ask(one, 'create table t (id int)')
    await expect(ask(two, 'select * from t')).rejects.toThrow('does not exist')
    await server.drop(one)
    await expect(ask(one, 'select 1')).rejects.toThrow('does not exist')
    await expect(server.database('x; drop')).rejects.toThrow(RangeError)
  })

  it('lets in only who knows the password', async () => {
    await expect(ask(server.url.replace(/:[0-9a-f]{32}@/, ':wrong@'), 'select 1')).rejects.toThrow('password')
  })

  it('keeps its data over a crash, and its port', async () => {
    const url = await server.database()
    await ask(url, 'create table t as select 7 as n')
    await server.restart({ immediate: true })
    expect(await ask(url, 'select n from t')).toEqual([{ n: 7 }])
    await server.halt()
    await expect(ask(url, 'select 1')).rejects.toThrow('ECONNREFUSED')
    await server.start()
    expect(await ask(url, 'select n from t')).toEqual([{ n: 7 }])
  })

  it('answers nothing while it is paused', async () => {
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    server.pause()
    const answered = vi.fn()
    const asking = client.query('select 1').then(answered)
    await new Promise((resolve) => setImmediate(resolve))
    expect(answered).not.toHaveBeenCalled()
    server.resume()
    await asking
    await client.end()
  })

  it('ends and starts again while it is paused', async () => {
    for (const immediate of [false, true]) {
      server.pause()
      await server.restart({ immediate })
      expect(await ask(server.url, 'select 1 as n')).toEqual([{ n: 1 }])
    }
  })

  it('says what to give when there is no such folder', async () => {
    await expect(startPostgres({ binDir: '/no/such/folder' })).rejects.toThrow('/no/such/folder')
  })
})

describe('a PostgreSQL server whose starter is killed', () => {
  it('is gone with its folder, paused or not', async () => {
    const program = `
      const { startPostgres } = await import(${JSON.stringify(new URL('./postgres-server.ts', import.meta.url).href)})
      const server = await startPostgres()
      const { default: pg } = await import('pg')
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      const { rows } = await client.query("select pg_backend_pid() as backend, current_setting('data_directory') as folder")
      server.pause()
      console.log(JSON.stringify(rows[0]))
      setInterval(() => {}, 1000)`
    const starter = spawn(process.execPath, ['--conditions=@banyan/source', '--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(createInterface({ input: starter.stdout }), 'line')
    const { backend, folder } = JSON.parse(line)
    expect(existsSync(folder)).toBe(true)
    starter.kill('SIGKILL')
    await vi.waitFor(() => expect([existsSync(folder), signalTo(backend, 0)]).toEqual([false, false]), { timeout: 10_000 })
  })
})

describe.skipIf(!existsSync(DEBIAN))("Debian's PostgreSQL 15", () => {
  it('serves as well', async () => {
    const server = await startPostgres({ binDir: DEBIAN })
    try {
      const [row] = await ask(await server.database(), 'show server_version')
      expect(row?.server_version).toMatch(/^15\./)
    } finally {
      await server.stop()
    }
  })
})
