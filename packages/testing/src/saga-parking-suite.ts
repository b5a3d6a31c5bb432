import type { Database } from '@banyan/core'
import { LEASE_SLACK_MS, type SagaSignal, sagaArchivePort, sagaSignalsPort, sagaStorePort, sagaWorkersPort } from '@banyan/saga/internal'
import { expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'
import { advance, claim, enlist, find, history, insert, newSaga, parked, resting, running, TRIP } from './saga-store-fixture.ts'

/** The part of the saga suite about sagas in nobody's memory: parked ones and what wakes them, and archived ones. */
export function sagaParkingTests(options: StoreSuiteOptions): void {
  it('parks a saga: nobody owns it, and it is claimed when its time has come', withDatabase(options, parks))
  it('wakes the saga parked on the channel of a signal, at once', withDatabase(options, wakes))
  it('keeps a signal once an id, until one saga takes it', withDatabase(options, signalsOnce))
  it('gives each signal of a channel to one of many who take at the same time', withDatabase(options, takesOnce))
  it('loses no signal that is sent while a saga is being parked', withDatabase(options, losesNone))
  it('forgets old signals, a bounded number', withDatabase(options, forgetsSignals))
  it('takes a lease that ends too far away for one from before the clock was set back', withDatabase(options, mendsClock))
  it('archives what ended long ago, a bounded number, and still finds it', withDatabase(options, archives))
  it('starts no saga whose key is in the archive, also while it goes there', withDatabase(options, startsNoArchived))
}

const A = { worker: 'a', epoch: 1 }

async function parkedSaga(database: Database, id: string, more: { wakeAt?: number; channel?: string }): Promise<void> {
  await insert(database, newSaga(id, { owner: A }))
  expect(await advance(database, id, A, 0, parked(more))).toBe(true)
}

function send(database: Database, id: string, channel: string, at: number = 1): Promise<boolean> {
  return database.transaction((tx) => tx.store(sagaSignalsPort).send(tx, { id, channel, body: `"${id}"`, at }))
}

function take(database: Database, channel: string, saga: string): Promise<SagaSignal | undefined> {
  return database.transaction((tx) => tx.store(sagaSignalsPort).take(tx, channel, saga))
}

async function parks(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, leaseMs: 1_000, force: false })
  await parkedSaga(database, 's1', { wakeAt: 50 })
  await parkedSaga(database, 's2', {})
  await parkedSaga(database, 's3', { wakeAt: 60, channel: 'c' })
  expect(await find(database, 's3')).toMatchObject({
    status: 'waiting',
    parked: true,
    owner: undefined,
    claims: 0,
    wakeAt: 60,
    channel: 'c',
  })
  const claimable = (now: number) => database.read((tx) => database.store(sagaStorePort).claimable(tx, TRIP, now))
  expect([await claimable(49), await claim(database, A, 49)]).toEqual([false, []])
  expect(await claimable(50)).toBe(true)
  const awake = { parked: false, wakeAt: undefined, channel: undefined, owner: A, claims: 1, revision: 2 }
  expect(await claim(database, A, 50)).toMatchObject([{ id: 's1', ...awake }])
  expect(await claim(database, A, 900)).toMatchObject([{ id: 's3', ...awake }])
  expect(await claim(database, A, 900)).toEqual([])
  expect(await advance(database, 's1', A, 2, running('c'))).toBe(true)
}

async function wakes(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, leaseMs: 1_000, force: false })
  await parkedSaga(database, 's1', { channel: 'c1', wakeAt: 500 })
  await parkedSaga(database, 's2', { channel: 'c2' })
  await rolledBack(database, async (tx) => void (await tx.store(sagaSignalsPort).send(tx, { id: 'x', channel: 'c1', body: '1', at: 1 })))
  expect(await claim(database, A, 5)).toEqual([])
  expect(await send(database, 'x', 'c1')).toBe(true)
  const found = await find(database, 's1')
  expect(found).toMatchObject({ parked: false, owner: undefined, wakeAt: undefined, channel: undefined })
  expect((await claim(database, A, 5)).map(({ id }) => id)).toEqual(['s1'])
}

async function signalsOnce(database: Database): Promise<void> {
  expect(await take(database, 'c', 's1')).toBeUndefined()
  expect([await send(database, 'x', 'c', 3), await send(database, 'y', 'c', 2), await send(database, 'x', 'c', 4)]).toEqual([
    true,
    true,
    false,
  ])
  await rolledBack(database, async (tx) => void (await tx.store(sagaSignalsPort).take(tx, 'c', 's1')))
  expect(await take(database, 'other', 's1')).toBeUndefined()
  expect(await take(database, 'c', 's1')).toEqual({ id: 'x', channel: 'c', body: '"x"', at: 3 })
  expect(await send(database, 'x', 'c')).toBe(false)
  expect(await take(database, 'c', 's2')).toMatchObject({ id: 'y' })
  expect(await take(database, 'c', 's2')).toBeUndefined()
}

async function takesOnce(database: Database): Promise<void> {
  for (let n = 0; n < 10; n += 1) await send(database, `x${n}`, 'c')
  const taken = await Promise.all(Array.from({ length: 20 }, (_, n) => take(database, 'c', `s${n}`)))
  const ids = taken.flatMap((one) => (one ? [one.id] : []))
  expect(new Set(ids).size).toBe(10)
  expect(ids).toHaveLength(10)
}

/** Each saga looks, and parks when there is nothing; each signal comes at the same time. In the end each saga is awake or has its signal. */
async function losesNone(database: Database): Promise<void> {
  const numbers = Array.from({ length: 30 }, (_, n) => n)
  for (const n of numbers) await insert(database, newSaga(`s${n}`, { owner: A }))
  const wait = (n: number) =>
    database.transaction(async (tx) => {
      const signal = await tx.store(sagaSignalsPort).take(tx, `c${n}`, `s${n}`)
      const standing = signal ? running('c') : parked({ channel: `c${n}` })
      const entry = {
        step: 'b',
        action: 'do',
        outcome: 'waits',
        attempt: 1,
        code: undefined,
        message: undefined,
        status: standing.status,
      } as const
      await tx
        .store(sagaStorePort)
        .advance(tx, { ...standing, id: `s${n}`, owner: A, revision: 0, entry: { ...entry, worker: 'a', startedAt: 1, at: 1 } })
    })
  await Promise.all(
    numbers.flatMap((n) => (n % 2 ? [wait(n), send(database, `x${n}`, `c${n}`)] : [send(database, `x${n}`, `c${n}`), wait(n)])),
  )
  const asleep = (await Promise.all(numbers.map((n) => find(database, `s${n}`)))).filter((one) => one?.parked)
  expect(asleep).toEqual([])
}

async function forgetsSignals(database: Database): Promise<void> {
  for (const at of [1, 2, 3, 4]) await send(database, `x${at}`, 'c', at)
  await take(database, 'c', 's1')
  const forget = (before: number, limit: number) => database.transaction((tx) => tx.store(sagaSignalsPort).forget(tx, before, limit))
  expect([await forget(4, 2), await forget(4, 2), await forget(4, 2)]).toEqual([2, 1, 0])
  expect(await take(database, 'c', 's1')).toMatchObject({ id: 'x4' })
}

async function mendsClock(database: Database): Promise<void> {
  const hour = 3_600_000
  await enlist(database, 'a', { now: hour, leaseMs: 1_000, force: false })
  await insert(database, newSaga('s1', { owner: A }))
  await enlist(database, 'b', { now: 1, leaseMs: 1_000, force: false })
  const slack = hour - LEASE_SLACK_MS
  expect(await enlist(database, 'a', { now: slack, leaseMs: 1_000, force: false })).toBeUndefined()
  expect(await claim(database, { worker: 'b', epoch: 1 }, slack)).toEqual([])
  expect(await claim(database, { worker: 'b', epoch: 1 }, 5)).toMatchObject([{ id: 's1' }])
  expect(await enlist(database, 'a', { now: 5, leaseMs: 1_000, force: false })).toBe(3)
}

async function archives(database: Database): Promise<void> {
  for (const id of ['s1', 's2', 's3', 's4']) await insert(database, newSaga(id, { owner: A, report: 'r' }))
  await advance(database, 's1', A, 0, { ...running('b'), results: '{"a":1}' })
  await advance(database, 's1', A, 1, { ...resting('completed'), output: '7' })
  await advance(database, 's2', A, 0, resting('compensated'))
  await advance(database, 's3', A, 0, resting('stuck'))
  await database.transaction(async (tx) => {
    await tx.store(sagaWorkersPort).define(tx, { name: 'trip', version: 1, steps: [] })
  })
  const before = { saga: await find(database, 's1'), history: await history(database, 's1') }
  const retire = (until: number, limit: number) => database.transaction((tx) => tx.store(sagaStorePort).retire(tx, until, limit))
  expect(await retire(5, 10)).toBe(0)
  expect([await retire(6, 1), await retire(6, 1), await retire(6, 1)]).toEqual([1, 1, 0])
  expect({ saga: await find(database, 's1'), history: await history(database, 's1') }).toEqual(before)
  expect(before.history).toHaveLength(2)
  const list = (filter: object) =>
    database.read(async (tx) => (await database.store(sagaArchivePort).list(tx, filter, 3)).map(({ id }) => id))
  expect(await list({})).toEqual(['s4', 's3', 's2'])
  expect(await list({ finished: true, before: 's2' })).toEqual(['s1'])
  expect(await list({ finished: false })).toEqual(['s4', 's3'])
  expect(await list({ status: 'compensated', name: 'trip', version: 1, key: 'key of s2' })).toEqual(['s2'])
  expect(await advance(database, 's1', A, 2, running('b'))).toBe(false)
}

async function startsNoArchived(database: Database): Promise<void> {
  const store = database.store(sagaStorePort)
  const numbers = Array.from({ length: 12 }, (_, n) => n)
  for (const n of numbers) {
    await insert(database, newSaga(`s${n}`, { owner: A, key: `k${n}` }))
    await advance(database, `s${n}`, A, 0, resting('completed'))
  }
  const retire = () => database.transaction((tx) => tx.store(sagaStorePort).retire(tx, 6, 3))
  const start = (n: number) => newSaga(`late${n}`, { key: `k${n}` })
  const starts = numbers.map(async (n) =>
    n % 2 ? insert(database, start(n)) : (await store.write({ starts: [start(n)], advances: [] })).ids[0],
  )
  await Promise.all([retire(), ...starts.slice(0, 6), retire(), ...starts.slice(6), retire(), retire()])
  expect(await Promise.all(starts)).toEqual(numbers.map((n) => `s${n}`))
  while ((await retire()) > 0);
  expect(await insert(database, start(1))).toBe('s1')
  expect((await store.write({ starts: [start(2)], advances: [] })).ids).toEqual(['s2'])
}
