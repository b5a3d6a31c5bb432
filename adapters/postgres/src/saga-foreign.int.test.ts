import { codeOf, type Logger, silentLogger } from '@banyan/core'
import { sagaArchivePort, sagaSignalsPort, sagaStorePort } from '@banyan/saga/internal'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ForeignTransaction } from './foreign.ts'
import { fromPg } from './from-pg.ts'
import { postgres } from './index.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { actLarge, halt, moveTo, newSaga, someoneWaits, standing } from './test/saga-races.ts'

// What is sent and started in transactions of other data layers, whose snapshot may be older than what a worker has done since.

const DATABASES = ['serializable', 'read committed'] as const
const LAYERS = ['read committed', 'repeatable read', 'serializable'] as const

const warn = vi.fn<Logger['warn']>()
let place: TestDatabase
let database: PostgresDatabase
let client: pg.Client

async function openAs(isolation: (typeof DATABASES)[number]): Promise<void> {
  place = await testPostgres()
  await actLarge(place.url)
  database = postgres(place.url, { log: { ...silentLogger, warn }, isolation })
  client = new pg.Client({ connectionString: place.url })
  await client.connect()
}
beforeEach(() => warn.mockClear())
afterEach(async () => {
  await client.end()
  await database.close()
  await place.drop()
})

/** Runs `work` in a transaction of the layer, as its owner does: again when PostgreSQL refuses it. Its snapshot is there when `work` begins. */
async function within<T>(
  layer: (typeof LAYERS)[number],
  work: (tx: ForeignTransaction) => Promise<T>,
): Promise<{ value: T; runs: number }> {
  for (let runs = 1; ; runs += 1) {
    await client.query(`begin isolation level ${layer}`)
    try {
      const tx = await fromPg(client, { database })
      const value = await work(tx)
      await tx.flush()
      await client.query('commit')
      tx.committed()
      return { value, runs }
    } catch (error) {
      await client.query('rollback')
      if (codeOf(error) !== '40001') throw error
    }
  }
}

const store = () => database.store(sagaStorePort)
const find = (id: string) => database.read((tx) => database.store(sagaArchivePort).find(tx, id))
const send = (tx: ForeignTransaction) => tx.store(sagaSignalsPort).send(tx, { id: 'm1', channel: 'c', body: '1', at: 1 })

/** A saga that is about to wait, and its channel: one that nobody has held before has no row yet. */
async function begun(channel: 'new' | 'used'): Promise<void> {
  await store().write({ starts: [newSaga('s1', 'k')], advances: [] })
  if (channel === 'used') await database.transaction((tx) => tx.store(sagaSignalsPort).take(tx, 'c', 's1'))
}

/** What a worker does with a saga that waits. Gives the signal that it got. */
function lookOrPark(here = async () => {}): Promise<string | undefined> {
  return database.transaction(async (tx) => {
    const signal = await tx.store(sagaSignalsPort).take(tx, 'c', 's1')
    await here()
    if (!signal) await store().advance(tx, moveTo('s1', 0, standing('waiting', { parked: true, channel: 'c' })))
    return signal?.id
  })
}

async function ended(id: string, key: string): Promise<void> {
  await store().write({ starts: [newSaga(id, key)], advances: [] })
  await store().write({ starts: [], advances: [moveTo(id, 0, standing('completed'))] })
}

const retire = (limit: number, here = async () => {}) =>
  database.transaction(async (tx) => {
    const count = await store().retire(tx, 5, limit)
    await here()
    return count
  })

describe.each(DATABASES)('beside a worker that is %s', (isolation) => {
  beforeEach(() => openAs(isolation))

  describe.each(LAYERS)("another data layer's transaction that is %s", (layer) => {
    // One that does not look afresh is refused, for what it has seen is not so any more.
    const runsWhenOld = layer === 'read committed' ? 1 : 2

    it.each(['new', 'used'] as const)('has a signal on its way, on a %s channel: a saga that looks for one gets it', async (channel) => {
      await begun(channel)
      const sent = halt()
      const sending = within(layer, async (tx) => {
        await send(tx)
        await sent.here()
      })
      await sent.reached
      const looking = lookOrPark()
      await someoneWaits(database)
      sent.letGo()
      expect((await sending).runs).toBe(1)
      expect(await looking).toBe('m1')
    })

    it.each(['new', 'used'] as const)(
      'sends a signal on a %s channel, where a saga has parked since it began: that goes on',
      async (channel) => {
        await begun(channel)
        const open = halt()
        const sending = within(layer, async (tx) => {
          await open.here()
          await send(tx)
        })
        await open.reached
        expect(await lookOrPark()).toBeUndefined()
        open.letGo()
        expect((await sending).runs).toBe(runsWhenOld)
        expect(await find('s1')).toMatchObject({ status: 'waiting', parked: false, channel: undefined })
      },
    )

    it.each(['new', 'used'] as const)('sends a signal on a %s channel, where a saga is about to park: that goes on', async (channel) => {
      await begun(channel)
      const looked = halt()
      const parking = lookOrPark(looked.here)
      await looked.reached
      const sending = within(layer, send)
      await someoneWaits(database)
      looked.letGo()
      expect(await parking).toBeUndefined()
      expect(await sending).toEqual({ value: true, runs: runsWhenOld })
      expect(await find('s1')).toMatchObject({ status: 'waiting', parked: false, channel: undefined })
    })

    it('starts a saga whose key has gone to the archive since it began: it is told of the one there', async () => {
      await ended('s1', 'k')
      const open = halt()
      const starting = within(layer, async (tx) => {
        await open.here()
        return store().insert(tx, newSaga('s2', 'k'))
      })
      await open.reached
      expect(await retire(10)).toBe(1)
      open.letGo()
      expect(await starting).toEqual({ value: 's1', runs: runsWhenOld })
      expect(await find('s2')).toBeUndefined()
    })

    it('starts a saga whose key is on its way to the archive: it is told of the one there', async () => {
      await ended('s1', 'k')
      const retired = halt()
      const retiring = retire(10, retired.here)
      await retired.reached
      const starting = within(layer, (tx) => store().insert(tx, newSaga('s2', 'k')))
      await someoneWaits(database)
      retired.letGo()
      expect(await retiring).toBe(1)
      expect(await starting).toEqual({ value: 's1', runs: runsWhenOld })
      expect(await find('s2')).toBeUndefined()
    })

    it('starts a saga of a new key: the archive has none of it until that has ended', async () => {
      expect(await within(layer, (tx) => store().insert(tx, newSaga('s1', 'k')))).toEqual({ value: 's1', runs: 1 })
      expect(await database.run('select id from banyan_saga_archive')).toEqual([])
      await store().write({ starts: [], advances: [moveTo('s1', 0, standing('completed'))] })
      expect(await retire(10)).toBe(1)
      expect(await find('s1')).toMatchObject({ status: 'completed', key: 'k' })
    })
  })

  it('archives what has ended beside sagas whose key another one took there, and says which stay', async () => {
    await ended('s1', 'k')
    expect(await retire(10)).toBe(1)
    await ended('s2', 'another')
    // As a process of an older version could leave it.
    await database.run("update banyan_sagas set key = 'k', ended_at = 0 where id = 's2'")
    await ended('s3', 'other')
    expect([await retire(1), await retire(1)]).toEqual([1, 0])
    expect(await database.run('select id from banyan_saga_archive order by id')).toEqual([{ id: 's1' }, { id: 's3' }])
    expect(await find('s2')).toMatchObject({ status: 'completed', key: 'k' })
    expect(warn.mock.calls).toEqual([[{ sagas: [{ saga: 's2', name: 'trip', key: 'k' }] }, expect.stringContaining('not archived')]])
  })
})
