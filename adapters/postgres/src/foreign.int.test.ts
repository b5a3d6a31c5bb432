import { event, type Migration, type Schema, silentLogger } from '@banyan/core'
import { publish } from '@banyan/messaging'
import { outboxPort } from '@banyan/messaging/internal'
import { participant, releaseLock, semanticLock, versionFile, waitingOperations } from '@banyan/saga'
import { sagaSignalsPort } from '@banyan/saga/internal'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { postgres } from './database.ts'
import type { ForeignTransaction } from './foreign.ts'
import { fromDrizzle } from './from-drizzle.ts'
import { fromKysely } from './from-kysely.ts'
import { fromPg } from './from-pg.ts'
import { fromPrisma } from './from-prisma.ts'
import type { PostgresDatabase } from './postgres-database.ts'

const TABLES: Migration = { id: 'test', sql: 'create table orders (id text primary key)' }
const schema: Schema<{ id: string }, { id: string }> = {
  // The test's own events need no checking.
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as { id: string } }) },
}
const orderPlaced = event('order.placed', { schema, key: ({ id }) => id })

/** The type of what a function gives that gives nothing: Prisma cannot read it. */
const VOID = 2278

let place: TestDatabase
let database: PostgresDatabase
let pool: pg.Pool

beforeAll(async () => {
  place = await testPostgres()
  database = postgres(place.url, { log: silentLogger })
  await database.migrate([TABLES])
})
beforeEach(() => {
  pool = new pg.Pool({ connectionString: place.url, max: 1 })
})
afterEach(async () => {
  await pool.end()
  await database.run('truncate orders, banyan_outbox')
})
afterAll(async () => {
  await database.close()
  await place.drop()
})

/** What a data layer does: begin, give `work` a transaction of its own kind as ours, commit; roll back when it throws. */
type InTransaction = (work: (tx: ForeignTransaction) => Promise<void>) => Promise<ForeignTransaction>

const layers: Record<string, () => { within: InTransaction; close?: () => Promise<void> }> = {
  pg: () => ({ within: (work) => withPg((client) => fromPg(client, { database }), work) }),
  Kysely() {
    const db = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }), plugins: [new CamelCasePlugin()] })
    return {
      within: (work) =>
        db.transaction().execute(async (trx) => {
          const tx = await fromKysely(trx, { database })
          await work(tx)
          return tx
        }),
    }
  },
  Drizzle() {
    const db = drizzle(pool)
    return {
      within: (work) =>
        db.transaction(async (drizzleTx) => {
          const tx = await fromDrizzle(drizzleTx, { database, sql })
          await work(tx)
          return tx
        }),
    }
  },
  // Prisma's own client needs a generated schema; this has the shape of what it gives, over a real connection.
  'an object of the shape of Prisma': () => ({
    within: (work) =>
      withPg((client) => {
        const $queryRawUnsafe = async (text: string, ...values: unknown[]) => {
          const { rows, fields } = await client.query(text, values)
          if (fields.some(({ dataTypeID }) => dataTypeID === VOID)) throw new Error("Failed to deserialize column of type 'void'")
          const whole = fields.filter(({ dataTypeID }) => dataTypeID === 20).map(({ name }) => name)
          return rows.map((row) => ({ ...row, ...Object.fromEntries(whole.map((name) => [name, BigInt(row[name])])) }))
        }
        return fromPrisma({ $queryRawUnsafe }, { database })
      }, work),
  }),
}

async function withPg(
  from: (client: pg.PoolClient) => Promise<ForeignTransaction>,
  work: (tx: ForeignTransaction) => Promise<void>,
): Promise<ForeignTransaction> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const tx = await from(client)
    await work(tx)
    await client.query('commit')
    return tx
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

const stored = async () => ({
  orders: (await database.run<{ id: string }>('select id from orders')).map(({ id }) => id),
  events: (await database.run<{ body: string }>('select body from banyan_outbox order by position')).map(({ body }) => JSON.parse(body)[3]),
})

for (const [name, layer] of Object.entries(layers)) {
  describe(`a transaction of ${name}`, () => {
    let within: InTransaction
    beforeEach(() => {
      within = layer().within
    })

    it('commits state and events together, and wakes the relay once it is told', async () => {
      const woken = vi.fn()
      const forget = database.store(outboxPort).onAppend(woken)
      const tx = await within(async (tx) => {
        await tx.sql`insert into orders values (${'o-1'})`
        await publish(tx, orderPlaced, { id: 'o-1' })
        await publish(tx, orderPlaced, { id: 'o-2' })
        await tx.flush()
      })
      expect(await stored()).toEqual({ orders: ['o-1'], events: ['o-1', 'o-2'] })
      expect(woken).not.toHaveBeenCalled()
      tx.committed()
      tx.committed()
      expect(woken).toHaveBeenCalledOnce()
      forget()
    })

    it('takes state and events back together', async () => {
      const failing = within(async (tx) => {
        await tx.sql`insert into orders values (${'o-1'})`
        await publish(tx, orderPlaced, { id: 'o-1' })
        await tx.flush()
        throw new Error('changed my mind')
      })
      await expect(failing).rejects.toThrow('changed my mind')
      expect(await stored()).toEqual({ orders: [], events: [] })
    })

    it('cannot commit when the flush was forgotten, and the server says so', async () => {
      const forgetful = within(async (tx) => {
        await tx.sql`insert into orders values (${'o-1'})`
        await publish(tx, orderPlaced, { id: 'o-1' })
      })
      const said = await forgetful.then(
        () => 'nothing',
        (error) => `${error.message} ${error.cause?.message ?? ''}`,
      )
      expect(said).toContain('banyan: call flush() before COMMIT')
      expect(await stored()).toEqual({ orders: [], events: [] })
    })

    it('leaves a dollar and a number in a literal alone', async () => {
      await within(async (tx) => {
        await tx.sql`insert into orders values (${'o-1'}), ('costs $5, or $1'), (${'o-2'}) -- $3`
        await tx.flush()
      })
      expect((await stored()).orders).toEqual(['o-1', 'costs $5, or $1', 'o-2'])
    })

    it('takes nothing after the flush', async () => {
      await within(async (tx) => {
        await tx.flush()
        await expect(publish(tx, orderPlaced, { id: 'late' })).rejects.toMatchObject({ code: 'ERR_TRANSACTION_OVER' })
        await expect(tx.sql`select 1`).rejects.toMatchObject({ code: 'ERR_TRANSACTION_OVER' })
      })
    })

    it('sends a signal once', async () => {
      const signal = { id: `${name}-signal`, channel: name, body: '1', at: 1 }
      const send = async () => {
        let sent: boolean | undefined
        await within(async (tx) => {
          sent = await tx.store(sagaSignalsPort).send(tx, signal)
          await tx.flush()
        })
        return sent
      }
      expect([await send(), await send()]).toEqual([true, false])
      expect(await database.transaction((tx) => tx.store(sagaSignalsPort).take(tx, name, 's1'))).toEqual(signal)
    })

    it('guards a participant: once per key', async () => {
      const charge = vi.fn(() => ({ charged: 7 }))
      const once = () =>
        within(async (tx) => {
          const result = await participant(tx, { kind: 'do', key: `${name}-key`, operation: 'charge' }, charge)
          expect(result).toEqual({ charged: 7 })
          await tx.flush()
        })
      await once()
      await once()
      expect(charge).toHaveBeenCalledOnce()
    })

    it('applies operations in their order, however they come', async () => {
      const account = { entity: 'account', id: name }
      const applied: number[] = []
      const waiting: unknown[] = []
      for (const version of [1, 3, 4, 2]) {
        await within(async (tx) => {
          await versionFile(tx, { ...account, version, operation: `n${version}` }, (_, number) => void applied.push(number))
          waiting.push((await waitingOperations(tx, account)).map((kept) => kept.version))
          await tx.flush()
        })
      }
      expect(applied).toEqual([1, 2, 3, 4])
      expect(waiting).toEqual([[], [3], [3, 4], []])
    })

    it('is told who has locked an entity, and since when', async () => {
      const order = { entity: 'order', id: name }
      await database.transaction((tx) => semanticLock(tx, { ...order, saga: 's1', stash: 7 }))
      await within(async (tx) => {
        const since = expect.stringMatching(/locked by saga "s1" since \d{4}-/)
        expect(await semanticLock(tx, { ...order, saga: 's2' })).toMatchObject({ refused: 'locked', detail: since })
        expect(await semanticLock(tx, { ...order, saga: 's1' })).toMatchObject({ stash: 7, at: expect.any(Number) })
        expect(await releaseLock(tx, { ...order, saga: 's1' })).toBe(7)
        await tx.flush()
      })
    })
  })
}

describe('what comes while a transaction is flushed', () => {
  it('is stored or refused, never taken and lost', async () => {
    const late: Promise<unknown>[] = []
    await withPg(
      (client) => fromPg(client, { database }),
      async (tx) => {
        await publish(tx, orderPlaced, { id: 'in time' })
        // As a body does that forgets an "await": each a statement later than the one before.
        const publishLate = async (statements: number) => {
          for (let n = 0; n < statements; n += 1) await tx.sql`select 1`
          await publish(tx, orderPlaced, { id: `late-${statements}` })
          return `late-${statements}`
        }
        for (let statements = 0; statements < 6; statements += 1) late.push(publishLate(statements))
        for (const one of late) one.catch(() => 'refused')
        await tx.flush()
      },
    )
    const outcomes = await Promise.allSettled(late)
    const taken = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const { events } = await stored()
    expect(events.toSorted()).toEqual(['in time', ...taken].toSorted())
    expect(outcomes.map(({ status }) => status)).toContain('rejected')
  })

  it('is no second flush, also after one that failed', async () => {
    const flushed = withPg(
      (client) => fromPg(client, { database }),
      async (tx) => {
        await publish(tx, orderPlaced, { id: 'once' })
        const twice = await Promise.allSettled([tx.flush(), tx.flush()])
        expect(twice).toMatchObject([{ status: 'fulfilled' }, { reason: { code: 'ERR_TRANSACTION_OVER' } }])
      },
    )
    await flushed
    const failing = withPg(
      (client) => fromPg(client, { database }),
      async (tx) => {
        tx.beforeCommit(() => Promise.reject(new Error('no')))
        await expect(tx.flush()).rejects.toThrow('no')
        expect(() => tx.committed()).toThrow(expect.objectContaining({ code: 'ERR_NOT_FLUSHED' }))
        await tx.flush()
      },
    )
    await expect(failing).rejects.toMatchObject({ code: 'ERR_TRANSACTION_OVER', message: expect.stringContaining('roll back') })
    expect(await stored()).toEqual({ orders: [], events: ['once'] })
  })
})

describe('calls after the commit', () => {
  it('are made although one of them throws, also where the log does not take it', async () => {
    const log = { ...silentLogger, error: vi.fn(() => expect.unreachable()) }
    const service = postgres(place.url, { log })
    const called = vi.fn()
    const tx = await withPg(
      (client) => fromPg(client, { database: service }),
      async (tx) => {
        tx.afterCommit(() => expect.unreachable())
        tx.afterCommit(called)
        await tx.flush()
      },
    )
    tx.committed()
    expect([log.error, called].map((call) => call.mock.calls.length)).toEqual([1, 1])
    await service.close()
  })
})

describe('what cannot be used', () => {
  it('is a transaction in another database, also where that has tables of Banyan', async () => {
    const elsewhere = await testPostgres()
    const payments = postgres(elsewhere.url, { log: silentLogger })
    await payments.migrate([])
    const client = new pg.Client(elsewhere.url)
    await client.connect()
    await client.query('begin')
    const refused = fromPg(client, { database })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_NOT_FLUSHED', message: expect.stringContaining('it is in the database') })
    await client.query('rollback; begin')
    await expect(fromPg(client, { database: payments })).resolves.toBeDefined()
    await client.end()
    await payments.close()
    await elsewhere.drop()
  })

  it('is a transaction that writes to another schema, where each has the tables of a service', async () => {
    const inSchema = async (name: string) => {
      await database.run(`create schema ${name}`)
      const url = `${place.url}?options=${encodeURIComponent(`-c search_path=${name}`)}`
      const service = postgres(url, { log: silentLogger })
      await service.migrate([])
      return { url, service }
    }
    const [one, two] = [await inSchema('one'), await inSchema('two')]
    const client = new pg.Client(two.url)
    await client.connect()
    await client.query('begin')
    const refused = fromPg(client, { database: one.service })
    const message = expect.stringContaining('it writes to the schema "two" and not to "one"')
    await expect(refused).rejects.toMatchObject({ code: 'ERR_NOT_FLUSHED', message })
    await client.query('rollback; begin')
    await expect(fromPg(client, { database: two.service })).resolves.toBeDefined()
    await client.end()
    await Promise.all([one.service.close(), two.service.close()])
  })

  it('is a client without an open transaction, and a database that is not the one meant', async () => {
    const client = await pool.connect()
    await expect(fromPg(client, { database })).rejects.toMatchObject({
      code: 'ERR_NOT_FLUSHED',
      message: expect.stringContaining('an open transaction'),
    })
    await client.query('begin')
    await client.query('create schema other; set local search_path = other')
    await expect(fromPg(client, { database })).rejects.toMatchObject({
      code: 'ERR_NOT_FLUSHED',
      message: expect.stringContaining('does not exist'),
    })
    await client.query('rollback')
    client.release()
  })

  it('is a call of `committed` without a flush, and a transaction whose savepoint is gone', async () => {
    const client = await pool.connect()
    await client.query('begin; savepoint before')
    const tx = await fromPg(client, { database })
    expect(() => tx.committed()).toThrow(expect.objectContaining({ code: 'ERR_NOT_FLUSHED' }))
    await client.query('rollback to before')
    await expect(tx.flush()).rejects.toMatchObject({ code: 'ERR_NOT_FLUSHED', message: expect.stringContaining('savepoint') })
    await client.query('rollback')
    client.release()
  })
})
