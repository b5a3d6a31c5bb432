import { type Bus, codeOf, type Envelope, silentLogger } from '@banyan/core'
import { type PostgresServer, startPostgres } from '@banyan/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { postgresBus } from './bus.ts'
import { postgres } from './database.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import type { PostgresOptions } from './settings.ts'

const TABLES = { id: 'test', sql: 'create table debits (id integer primary key); create table credits (id integer primary key)' }

const WAIT = { timeout: 20_000, interval: 5 }

let server: PostgresServer
let url: string

beforeAll(async () => {
  // A server of its own, since it is ended, frozen and filled up.
  server = await startPostgres({ settings: { max_connections: '12', superuser_reserved_connections: '0', reserved_connections: '0' } })
})
afterAll(() => server.stop())
beforeEach(async () => {
  url = await server.database()
})

/** A database for one test; closed at its end, also when it fails. */
async function using(options: PostgresOptions, test: (database: PostgresDatabase) => Promise<void>): Promise<void> {
  const database = postgres(url, { log: silentLogger, ...options })
  try {
    await database.migrate([TABLES])
    await test(database)
  } finally {
    await database.close()
  }
}

function pair(database: PostgresDatabase, id: number): Promise<unknown> {
  return database.transaction(async (tx) => {
    await tx.sql`insert into debits values (${id})`
    await tx.sql`insert into credits values (${id})`
  })
}

async function ids(database: PostgresDatabase, table: string): Promise<number[]> {
  return (await database.run<{ id: number }>(`select id from ${table} order by id`)).map(({ id }) => id)
}

function taken(id: string): Envelope {
  const rest = { source: 'test', type: 'taken', subject: 'A1', time: '2026-01-01T00:00:00Z', dataschema: 'taken/1', data: {} } as const
  return { specversion: '1.0', id, datacontenttype: 'application/json', ...rest }
}

describe('a server that is away for a while', () => {
  it('is reported at once, with when to try again, and used again when it is back', () =>
    using({}, async (database) => {
      await pair(database, 1)
      await server.halt()
      const away = { code: 'ERR_DATABASE_UNREACHABLE', retryAfterMs: 1_000, message: expect.stringContaining('127.0.0.1') }
      for (let n = 0; n < 3; n += 1) await expect(pair(database, 2)).rejects.toMatchObject(away)
      await expect(database.read((tx) => tx.sql`select 1`)).rejects.toMatchObject(away)
      await server.start()
      await pair(database, 2)
      expect(await ids(database, 'credits')).toEqual([1, 2])
    }))

  it('does not stop a database from opening later: its tables are made when it is there', async () => {
    await server.halt()
    const database = postgres(url, { log: silentLogger })
    await expect(database.migrate([TABLES])).rejects.toMatchObject({ code: 'ERR_DATABASE_UNREACHABLE' })
    await server.start()
    await database.migrate([TABLES])
    await pair(database, 1)
    await database.close()
  })

  it('lets a member of a group stop, and the next one go on', async () => {
    const warnings: string[] = []
    const bus = postgresBus(url, { log: { ...silentLogger, warn: (_fields, message) => void warnings.push(message) } })
    const came: string[] = []
    const join = (at: Bus) =>
      at.subscribe({
        group: 'g',
        types: ['taken'],
        handle: async (batch) => void came.push(...batch.map(({ envelope }) => String(envelope?.id))),
      })
    const member = await join(bus)
    await bus.publish([taken('1')])
    await vi.waitFor(() => expect(came).toEqual(['1']), WAIT)
    await server.halt()
    await member.stop()
    await bus.close()
    expect(warnings).toContainEqual(expect.stringContaining('others have it when its lease is over'))
    await server.start()
    const next = postgresBus(url, { log: silentLogger })
    await join(next)
    await next.publish([taken('2')])
    await vi.waitFor(() => expect(came.at(-1)).toBe('2'), WAIT)
    await next.close()
  })
})

describe('a server that crashes in mid-commit', () => {
  it('has every transaction that was acknowledged and no half of one', () =>
    using({}, async (database) => {
      const acknowledged: number[] = []
      const codes = new Set<string | undefined>()
      let next = 0
      let stopped = false
      async function produce(): Promise<void> {
        while (!stopped) {
          const id = next++
          try {
            await pair(database, id)
            acknowledged.push(id)
          } catch (error) {
            codes.add(codeOf(error))
            await vi.waitFor(() => database.run('select 1'), { timeout: 20_000 })
          }
        }
      }
      const producers = Array.from({ length: 8 }, produce)
      for (let round = 1; round <= 3; round += 1) {
        const before = acknowledged.length
        await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + 100), { timeout: 20_000, interval: 1 })
        await server.restart({ immediate: true })
      }
      stopped = true
      await Promise.all(producers)
      const debits = await ids(database, 'debits')
      expect(await ids(database, 'credits')).toEqual(debits)
      expect(acknowledged.filter((id) => !debits.includes(id))).toEqual([])
      expect([...codes].filter((code) => code !== 'ERR_DATABASE_UNREACHABLE' && code !== 'ERR_COMMIT_UNKNOWN')).toEqual([])
    }))
})

describe('a server that answers nothing', () => {
  it('is given up on in time, and nothing half is there when it wakes', () =>
    using({ transactionTimeoutMs: 150, connectTimeoutMs: 150, queueTimeoutMs: 5_000 }, async (database) => {
      await pair(database, 1)
      server.pause()
      try {
        const giveUp = database.transaction(async (tx) => {
          tx.sql`select 1`.catch(() => 'never answered')
          throw Object.assign(new Error('changed my mind'), { code: 'ERR_TRANSACTION_TIMEOUT' })
        })
        const outcomes = await Promise.allSettled([
          pair(database, 2),
          database.run('insert into debits values (3)'),
          pair(database, 4),
          giveUp,
        ])
        const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? codeOf(outcome.reason) : 'done'))
        expect(
          codes.filter((code) => !['ERR_TRANSACTION_TIMEOUT', 'ERR_COMMIT_UNKNOWN', 'ERR_DATABASE_UNREACHABLE'].includes(code ?? '')),
        ).toEqual([])
      } finally {
        server.resume()
      }
      await vi.waitFor(() => pair(database, 5), { timeout: 10_000 })
      expect((await ids(database, 'debits')).filter((id) => id !== 3)).toEqual([1, 5])
      expect(await ids(database, 'credits')).toEqual([1, 5])
    }))
})

describe('a server without a free connection', () => {
  it('is reported with a code of its own, and used when there is one again', async () => {
    const hogs = Array.from({ length: 2 }, () => postgres(url, { log: silentLogger, maxConnections: 8 }))
    let free: (() => void) | undefined
    const held = new Promise<void>((resolve) => {
      free = resolve
    })
    const taken = vi.fn()
    const holding = Promise.allSettled(
      hogs.flatMap((hog) =>
        Array.from({ length: 8 }, () =>
          hog.read(async (tx) => {
            await tx.sql`select 1`
            taken()
            await held
          }),
        ),
      ),
    )
    await vi.waitFor(() => expect(taken).toHaveBeenCalledTimes(12), { timeout: 10_000 })
    const database = postgres(url, { log: silentLogger })
    await expect(database.run('select 1')).rejects.toMatchObject({ code: 'ERR_CONNECTIONS_EXHAUSTED', retryAfterMs: 1_000 })
    free?.()
    const outcomes = await holding
    expect(outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [codeOf(outcome.reason)] : []))).toEqual(
      Array(4).fill('ERR_CONNECTIONS_EXHAUSTED'),
    )
    await Promise.all(hogs.map((hog) => hog.close()))
    await vi.waitFor(() => database.run('select 1'), { timeout: 10_000 })
    await database.close()
  })
})
