import { type Database, silentLogger, type Transaction } from '@banyan/core'
import { participant } from '@banyan/saga'
import { type NewSagaRecord, sagaArchivePort, sagaSignalsPort, sagaStorePort } from '@banyan/saga/internal'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { postgres } from './index.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { actLarge, halt, moveTo, newSaga, someoneWaits, standing } from './test/saga-races.ts'

// The moments at which two transactions could pass each other, made to happen.

const WAYS = ['in a transaction', 'by itself', 'with another'] as const

/** What transactions say, and what those are that say nothing. */
const ISOLATIONS = [
  { isolation: 'serializable', byDefault: 'read committed' },
  { isolation: 'read committed', byDefault: 'read committed' },
  { isolation: 'serializable', byDefault: 'repeatable read' },
] as const

describe.each(ISOLATIONS)('$isolation, in a database that is $byDefault', ({ isolation, byDefault }) => {
  let place: TestDatabase
  let database: PostgresDatabase
  let first: Promise<unknown> | undefined

  beforeEach(async () => {
    place = await testPostgres()
    await actLarge(place.url, byDefault)
    database = postgres(place.url, { log: silentLogger, isolation })
  })
  afterEach(async () => {
    await first
    await database.close()
    await place.drop()
  })

  const store = () => database.store(sagaStorePort)
  const find = (id: string) => database.read((tx) => database.store(sagaArchivePort).find(tx, id))

  async function ended(id: string, key: string): Promise<void> {
    await store().write({ starts: [newSaga(id, key)], advances: [] })
    await store().write({ starts: [], advances: [moveTo(id, 0, standing('completed'))] })
  }

  /** Beside others too, as a batch is another function of the server than a start by itself. */
  function startOf(saga: NewSagaRecord, how: (typeof WAYS)[number]): Promise<string | undefined> {
    if (how === 'in a transaction') return database.transaction((tx) => store().insert(tx, saga))
    const others = how === 'with another' ? [newSaga('other', 'another key')] : []
    return store()
      .write({ starts: [saga, ...others], advances: [] })
      .then(({ ids }) => ids[0])
  }

  it('a start whose key goes to the archive after its transaction began finds it there', async () => {
    await ended('s1', 'k')
    // Many, so that the old saga and the new one have no page of an index in common but that of their key.
    const many = Array.from({ length: 3_000 }, (_, n) => newSaga(`s1.${n}`, `many ${n}`))
    await store().write({ starts: many, advances: [] })
    const begun = halt()
    const start = database.transaction(async (tx) => {
      await tx.sql`select count(*) from banyan_saga_workers`
      await begun.here()
      return store().insert(tx, newSaga('s2', 'k'))
    })
    await begun.reached
    expect(await database.transaction((tx) => store().retire(tx, 5, 10))).toBe(1)
    begun.letGo()
    expect(await start).toBe('s1')
    expect(await find('s2')).toBeUndefined()
  })

  it.each(WAYS)('a start waits for its key on the way to the archive, %s', async (how) => {
    await ended('s1', 'k')
    const retired = halt()
    first = database.transaction(async (tx) => {
      await store().retire(tx, 5, 10)
      await retired.here()
    })
    await retired.reached
    const start = startOf(newSaga('s2', 'k'), how)
    await someoneWaits(database)
    retired.letGo()
    expect(await start).toBe('s1')
    expect(await find('s2')).toBeUndefined()
  })

  it.each(WAYS)('a start waits for another of its key and finds what that one started, %s', async (how) => {
    const inserted = halt()
    first = database.transaction(async (tx) => {
      await store().insert(tx, newSaga('s1', 'k'))
      await inserted.here()
    })
    await inserted.reached
    const start = startOf(newSaga('s2', 'k'), how)
    await someoneWaits(database)
    inserted.letGo()
    expect(await start).toBe('s1')
    expect(await find('s2')).toBeUndefined()
  })

  it('a signal that comes between looking for one and parking wakes the saga', async () => {
    await store().write({ starts: [newSaga('s1', 'k')], advances: [] })
    const signals = database.store(sagaSignalsPort)
    const looked = halt()
    first = database.transaction(async (tx) => {
      const signal = await signals.take(tx, 'c', 's1')
      await looked.here()
      if (!signal) await store().advance(tx, moveTo('s1', 0, standing('waiting', { parked: true, channel: 'c' })))
    })
    await looked.reached
    const sent = database.transaction((tx) => signals.send(tx, { id: 'm1', channel: 'c', body: '1', at: 1 }))
    await someoneWaits(database)
    looked.letGo()
    await first
    expect(await sent).toBe(true)
    expect(await find('s1')).toMatchObject({ status: 'waiting', parked: false, channel: undefined })
  })

  it('two channels that share a row make no deadlock', async () => {
    const signals = database.store(sagaSignalsPort)
    const [twin] = await database.run<{ channel: string }>(
      "select 'c' || n as channel from generate_series(1, 100000) as n where hashtext('c' || n) & 4095 = hashtext('c') & 4095 limit 1",
    )
    if (!twin) throw new Error('no channel shares the row of "c"')
    const sent = halt()
    let runs = 0
    const both = database.transaction(async (tx) => {
      runs += 1
      await signals.send(tx, { id: 'm1', channel: 'c', body: '1', at: 1 })
      await sent.here()
      return signals.send(tx, { id: 'm2', channel: twin.channel, body: '1', at: 1 })
    })
    await sent.reached
    let runsOfOther = 0
    const other = database.transaction(async (tx) => {
      runsOfOther += 1
      return signals.send(tx, { id: 'm3', channel: twin.channel, body: '1', at: 1 })
    })
    await someoneWaits(database)
    sent.letGo()
    expect([await both, await other, runs]).toEqual([true, true, 1])
    // One that does not look afresh has waited for nothing.
    expect(runsOfOther).toBe(isolation === 'serializable' ? 2 : 1)
  })

  it.each(['looks for', 'sends'] as const)(
    'holds the channel also for a process of the version before, while one %s a signal',
    async (does) => {
      const signals = database.store(sagaSignalsPort)
      const held = halt()
      first = database.transaction(async (tx) => {
        if (does === 'sends') await signals.send(tx, { id: 'm1', channel: 'c', body: '1', at: 1 })
        else await signals.take(tx, 'c', 's1')
        await held.here()
      })
      await held.reached
      const [theirs] = await database.run<{ got: boolean }>("select pg_try_advisory_xact_lock(1002, hashtext('c')) as got")
      held.letGo()
      expect(theirs).toEqual({ got: false })
    },
  )

  it('two `do` of one key at once: one runs, the other gets its result', async () => {
    const running = halt()
    let runs = 0
    const guarded = (tx: Transaction, body: () => Promise<string>) => participant(tx, { key: 'k', operation: 'seat', kind: 'do' }, body)
    const one = database.transaction((tx) =>
      guarded(tx, async () => {
        runs += 1
        await running.here()
        return `seat ${runs}`
      }),
    )
    await running.reached
    const other = database.transaction((tx) => guarded(tx, async () => `seat ${++runs}`))
    await someoneWaits(database)
    running.letGo()
    expect([await one, await other, runs]).toEqual(['seat 1', 'seat 1', 1])
  })

  it('of two `do` of one key, the other runs when the first rolls back', async () => {
    const running = halt()
    const guarded = (body: () => Promise<string>) => (tx: Transaction) => participant(tx, { key: 'k', operation: 'seat', kind: 'do' }, body)
    const one = database.transaction(
      guarded(async () => {
        await running.here()
        throw new Error('no')
      }),
    )
    const failed = expect(one).rejects.toThrow('no')
    await running.reached
    const other = database.transaction(guarded(async () => 'seat 2'))
    await someoneWaits(database)
    running.letGo()
    await failed
    expect(await other).toBe('seat 2')
  })

  it('an advance and a claim of the same saga at once: one of the two', async () => {
    await store().write({ starts: [newSaga('s1', 'k')], advances: [] })
    await database.run(`insert into banyan_saga_workers values ('a', 2, 0, 1), ('b', 1, 1000, 1000)`)
    const claiming = halt()
    first = claimAs(database, claiming.here)
    await claiming.reached
    const moved = store().write({ starts: [], advances: [moveTo('s1', 0, standing('completed'))] })
    await someoneWaits(database)
    claiming.letGo()
    expect(await first).toMatchObject([{ id: 's1', owner: { worker: 'b', epoch: 1 } }])
    expect((await moved).moved).toEqual([false])
  })

  it('brings a signal whose id and channel PostgreSQL cannot store, once', async () => {
    const signals = database.store(sagaSignalsPort)
    const [channel, signal] = ['c\0', { id: 'i\0', channel: 'c\0', body: '1', at: 1 }]
    await store().write({ starts: [newSaga('s1', 'k1')], advances: [] })
    await store().write({ starts: [], advances: [moveTo('s1', 0, standing('waiting', { parked: true, channel }))] })
    const send = () => database.transaction((tx) => signals.send(tx, signal))
    expect([await send(), await send()]).toEqual([true, false])
    expect(await find('s1')).toMatchObject({ parked: false })
    expect(await database.transaction((tx) => signals.take(tx, channel, 's1'))).toMatchObject({ body: '1' })
  })

  it('keeps a text that PostgreSQL cannot store from failing those that are written with it', async () => {
    await store().write({ starts: [newSaga('s1', 'k1'), newSaga('s2', 'k2')], advances: [] })
    const [bad, good] = [moveTo('s1', 0, standing('stuck'), 'a\0b \ud800 c'), moveTo('s2', 0, standing('stuck'), 'ä "quoted" \\ 🌳')]
    expect((await store().write({ starts: [], advances: [bad, good] })).moved).toEqual([true, true])
    const messageOf = async (id: string) =>
      (await database.read((tx) => database.store(sagaArchivePort).history(tx, id))).map(({ message }) => message)
    expect([await messageOf('s1'), await messageOf('s2')]).toEqual([['a\ufffdb \ufffd c'], ['ä "quoted" \\ 🌳']])
    // By itself it goes another way.
    expect(await store().write({ starts: [newSaga('s3', 'k\0')], advances: [] })).toEqual({ ids: ['s3'], moved: [] })
    expect(await store().write({ starts: [], advances: [moveTo('s3', 0, standing('stuck'), 'a\0b \ud800 c')] })).toMatchObject({
      moved: [true],
    })
    expect(await messageOf('s3')).toEqual(['a\ufffdb \ufffd c'])
  })
})

function claimAs(database: Database, here: () => Promise<void>) {
  return database.transaction(async (tx) => {
    const taken = await tx.store(sagaStorePort).claim(tx, { worker: 'b', epoch: 1 }, [{ name: 'trip', version: 1 }], 1, 10)
    await here()
    return taken
  })
}
