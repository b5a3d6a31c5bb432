import type { Database, Transaction } from '@banyan/core'
import { type SagaAdvance, type SagaOwner, type SagaRecord, sagaStorePort, sagaWorkersPort } from '@banyan/saga/internal'
import { describe, expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'
import { sagaArchiveTests } from './saga-archive-suite.ts'
import { sagaParkingTests } from './saga-parking-suite.ts'
import { advance, claim, enlist, entryOf, find, history, insert, newSaga, parked, resting, running, TRIP } from './saga-store-fixture.ts'

/** What every store of sagas must do: start a key once, fence those who lost a saga, and find who needs a worker. */
export function sagaStoreSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name}: sagas`, () => {
    it('starts a key once a name, and gives the id that is there', withDatabase(options, startsOnce))
    it('starts a key once among many at the same time', withDatabase(options, startsOnceConcurrently))
    it('forgets a start that rolled back', withDatabase(options, forgetsRolledBack))
    it('starts nothing by itself where a transaction of the database is open', withDatabase(options, startsNothingBeside))
    it('moves a saga on for its owner, at its revision, with one line of history', withDatabase(options, movesOn))
    it('does not move a saga for others, other epochs, or other revisions', withDatabase(options, fences))
    it('forgets an advance that rolled back', withDatabase(options, forgetsAdvance))
    it('keeps results, output, input and version unless new ones come', withDatabase(options, keepsResults))
    it('writes many starts and advances at once, each for itself', withDatabase(options, writesMany))
    it('gives a worker a higher epoch each time, and an id in use only by force', withDatabase(options, enlists))
    it('renews for the holder of the epoch only, also after its time', withDatabase(options, renews))
    it('claims sagas nobody owns, of known definitions, oldest first, a bounded number', withDatabase(options, claimsUnowned))
    it('claims the sagas of a worker whose time is over, and fences it first', withDatabase(options, claimsFromDead))
    it('claims the sagas of a worker that came back under its id, or gave its lease back', withDatabase(options, claimsFromEarlierLife))
    it('leaves the sagas of living workers, and finished and stuck ones, alone', withDatabase(options, leavesOthers))
    it('claims nothing for a worker that has lost its own epoch', withDatabase(options, refusesStaleClaim))
    it('gives each saga to one of many who claim at the same time', withDatabase(options, claimsOnce))
    sagaParkingTests(options)
    sagaArchiveTests(options)
  })
}

async function startsOnce(database: Database): Promise<void> {
  expect(await insert(database, newSaga('s1'))).toBe('s1')
  expect(await insert(database, newSaga('s2', { key: 'key of s1' }))).toBe('s1')
  expect(await insert(database, newSaga('s3', { key: 'key of s1', name: 'tour' }))).toBe('s3')
  expect(await find(database, 's1')).toEqual({
    ...newSaga('s1'),
    results: '{}',
    output: undefined,
    revision: 0,
    claims: 0,
    updatedAt: 1,
  } satisfies SagaRecord)
}

async function startsOnceConcurrently(database: Database): Promise<void> {
  const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => insert(database, newSaga(`s${n}`, { key: 'one' }))))
  expect(new Set(ids).size).toBe(1)
}

async function forgetsRolledBack(database: Database): Promise<void> {
  await rolledBack(database, async (tx) => void (await tx.store(sagaStorePort).insert(tx, newSaga('s1'))))
  expect(await insert(database, newSaga('s2', { key: 'key of s1' }))).toBe('s2')
}

async function startsNothingBeside(database: Database): Promise<void> {
  const begin = () => database.store(sagaStorePort).assertOutside('start saga "trip"')
  const refused = { code: 'ERR_NESTED_TRANSACTION', message: expect.stringContaining('start saga "trip"') }
  await expect(database.transaction(async () => begin())).rejects.toMatchObject(refused)
  const late = await database.transaction(async () => ({ begin }))
  expect(late.begin).not.toThrow()
}

const A: SagaOwner = { worker: 'a', epoch: 1 }

async function movesOn(database: Database): Promise<void> {
  await insert(database, newSaga('s1', { owner: A }))
  expect(await advance(database, 's1', A, 0, { ...running('b'), results: '{"a":1}' })).toBe(true)
  expect(await advance(database, 's1', A, 1, { ...resting('completed'), output: '7' })).toBe(true)
  expect(await find(database, 's1')).toMatchObject({
    status: 'completed',
    step: undefined,
    results: '{"a":1}',
    output: '7',
    revision: 2,
    owner: A,
    claims: 1,
    updatedAt: 5,
  })
  expect(await history(database, 's1')).toEqual([entryOf(running('b')), entryOf({ status: 'completed' })])
}

async function fences(database: Database): Promise<void> {
  await insert(database, newSaga('s1', { owner: A }))
  const next = running('b')
  expect(await advance(database, 's1', { worker: 'b', epoch: 1 }, 0, next)).toBe(false)
  expect(await advance(database, 's1', { worker: 'a', epoch: 2 }, 0, next)).toBe(false)
  expect(await advance(database, 's1', A, 1, next)).toBe(false)
  expect(await advance(database, 's2', A, 0, next)).toBe(false)
  expect(await history(database, 's1')).toEqual([])
  const both = await Promise.all([advance(database, 's1', A, 0, next), advance(database, 's1', A, 0, next)])
  expect(both.sort()).toEqual([false, true])
}

/** What a local step wrote is gone with it: else it would count as done. */
async function forgetsAdvance(database: Database): Promise<void> {
  await insert(database, newSaga('s1', { owner: A }))
  const before = await find(database, 's1')
  const step = { ...running('b'), id: 's1', owner: A, revision: 0, entry: entryOf(running('b')) }
  await rolledBack(database, async (tx) => {
    expect(await tx.store(sagaStorePort).advance(tx, step)).toBe(true)
  })
  expect([await find(database, 's1'), await history(database, 's1')]).toEqual([before, []])
  expect(await advance(database, 's1', A, 0, running('b'))).toBe(true)
}

async function keepsResults(database: Database): Promise<void> {
  await insert(database, newSaga('s1', { owner: A }))
  await advance(database, 's1', A, 0, { ...running('b'), results: '{"a":1}' })
  await advance(database, 's1', A, 1, running('c'))
  expect(await find(database, 's1')).toMatchObject({ results: '{"a":1}', output: undefined, input: '{"guests":2}', version: 1 })
  await advance(database, 's1', A, 2, { ...running('d'), input: '{"guests":3}', version: 2 })
  await advance(database, 's1', A, 3, running('e'))
  expect(await find(database, 's1')).toMatchObject({ results: '{"a":1}', input: '{"guests":3}', version: 2, step: 'e' })
}

async function writesMany(database: Database): Promise<void> {
  const store = database.store(sagaStorePort)
  expect(await store.write({ starts: [], advances: [] })).toEqual({ ids: [], moved: [] })
  await insert(database, newSaga('s1', { owner: A }))
  await insert(database, newSaga('s2', { owner: { worker: 'b', epoch: 1 } }))
  await insert(database, newSaga('s3', { owner: A }))
  const move = (id: string, more: Partial<SagaAdvance> = {}): SagaAdvance => ({
    ...running('b'),
    ...{ id, owner: A, revision: 0, entry: entryOf(running('b')) },
    ...more,
  })
  const written = await store.write({
    starts: [newSaga('s4'), newSaga('s5', { key: 'key of s1' }), newSaga('s6', { name: 'tour', report: 'r', owner: A, createdAt: 3 })],
    advances: [
      move('s1', { results: '{"a":1}', input: '"i"', version: 2, output: '"o"' }),
      move('s2'),
      move('s3', { ...resting('completed'), output: '7' }),
      move('nobody'),
    ],
  })
  expect(written).toEqual({ ids: ['s4', 's1', 's6'], moved: [true, false, true, false] })
  expect(await find(database, 's1')).toMatchObject({ step: 'b', results: '{"a":1}', input: '"i"', version: 2, output: '"o"', revision: 1 })
  expect(await find(database, 's2')).toMatchObject({ step: 'a', revision: 0 })
  expect(await find(database, 's3')).toMatchObject({ status: 'completed', results: '{}', output: '7', input: '{"guests":2}', version: 1 })
  expect(await find(database, 's6')).toMatchObject({ name: 'tour', report: 'r', owner: A, claims: 1, createdAt: 3 })
  expect([await history(database, 's1'), await history(database, 's2')]).toEqual([[entryOf(running('b'))], []])
  const again = await Promise.all([
    store.write({ starts: [], advances: [move('s1')] }),
    store.write({ starts: [newSaga('s4')], advances: [] }),
  ])
  expect(again).toEqual([
    { ids: [], moved: [false] },
    { ids: ['s4'], moved: [] },
  ])
}

async function enlists(database: Database): Promise<void> {
  expect(await enlist(database, 'a', { now: 0, leaseMs: 10, force: false })).toBe(1)
  expect(await enlist(database, 'a', { now: 9, leaseMs: 10, force: false })).toBeUndefined()
  expect(await enlist(database, 'a', { now: 9, leaseMs: 10, force: true })).toBe(2)
  expect(await enlist(database, 'a', { now: 19, leaseMs: 10, force: false })).toBe(3)
  expect(await enlist(database, 'b', { now: 0, leaseMs: 10, force: false })).toBe(1)
}

async function renews(database: Database): Promise<void> {
  const renew = (owner: SagaOwner, expiresAt: number) => database.transaction((tx) => tx.store(sagaWorkersPort).renew(tx, owner, expiresAt))
  await enlist(database, 'a', { now: 0, leaseMs: 10, force: false })
  expect(await renew({ worker: 'a', epoch: 1 }, 100)).toBe(true)
  expect(await enlist(database, 'a', { now: 50, leaseMs: 10, force: false })).toBeUndefined()
  expect(await renew({ worker: 'a', epoch: 2 }, 100)).toBe(false)
  expect(await renew({ worker: 'b', epoch: 1 }, 100)).toBe(false)
  await enlist(database, 'a', { now: 50, leaseMs: 10, force: true })
  expect(await renew({ worker: 'a', epoch: 1 }, 200)).toBe(false)
}

async function claimsUnowned(database: Database): Promise<void> {
  const epoch = (await enlist(database, 'a', { now: 0, leaseMs: 10, force: false })) ?? 0
  const owner = { worker: 'a', epoch }
  expect(await claim(database, owner, 5)).toEqual([])
  for (const id of ['s3', 's1', 's2']) await insert(database, newSaga(id))
  await insert(database, newSaga('s0', { version: 2 }))
  const claimable = (version: number) => database.read((tx) => database.store(sagaStorePort).claimable(tx, [{ name: 'trip', version }], 5))
  expect([await claimable(1), await claimable(2), await claimable(3)]).toEqual([true, true, false])
  const taken = await claim(database, owner, 5, 2)
  expect(taken).toEqual([
    expect.objectContaining({ id: 's1', owner, claims: 1, revision: 1 }),
    expect.objectContaining({ id: 's2', owner, claims: 1 }),
  ])
  expect((await claim(database, owner, 5, 2)).map(({ id }) => id)).toEqual(['s3'])
  expect(await claimable(1)).toBe(false)
}

async function claimsFromDead(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, leaseMs: 10, force: false })
  await insert(database, newSaga('s1', { owner: A }))
  await enlist(database, 'b', { now: 0, leaseMs: 100, force: false })
  const b = { worker: 'b', epoch: 1 }
  const claimable = (now: number) => database.read((tx) => database.store(sagaStorePort).claimable(tx, TRIP, now))
  expect([await claimable(9), await claim(database, b, 9)]).toEqual([false, []])
  expect(await claimable(10)).toBe(true)
  expect(await claim(database, b, 10)).toMatchObject([{ id: 's1', owner: b, claims: 2, revision: 1 }])
  expect(await claimable(10)).toBe(false)
  expect(await advance(database, 's1', A, 0, running('b'))).toBe(false)
  expect(await database.transaction((tx) => tx.store(sagaWorkersPort).renew(tx, A, 100))).toBe(false)
}

async function claimsFromEarlierLife(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, leaseMs: 100, force: false })
  await insert(database, newSaga('s1', { owner: A }))
  await enlist(database, 'a', { now: 1, leaseMs: 99, force: true })
  const again = { worker: 'a', epoch: 2 }
  expect(await claim(database, again, 1)).toMatchObject([{ id: 's1', owner: again }])
  expect(await database.transaction((tx) => tx.store(sagaWorkersPort).renew(tx, again, 0))).toBe(true)
  await enlist(database, 'b', { now: 1, leaseMs: 99, force: false })
  expect(await claim(database, { worker: 'b', epoch: 1 }, 2)).toMatchObject([{ id: 's1', owner: { worker: 'b', epoch: 1 } }])
}

async function leavesOthers(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, leaseMs: 100, force: false })
  await enlist(database, 'b', { now: 0, leaseMs: 100, force: false })
  for (const [n, standing] of [running('b'), resting('stuck'), resting('completed'), parked()].entries()) {
    await insert(database, newSaga(`s${n}`, { owner: A }))
    await advance(database, `s${n}`, A, 0, standing)
  }
  expect(await claim(database, { worker: 'b', epoch: 1 }, 50)).toEqual([])
  expect((await claim(database, { worker: 'b', epoch: 1 }, 100)).map(({ id }) => id)).toEqual(['s0'])
}

async function refusesStaleClaim(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, leaseMs: 10, force: false })
  await enlist(database, 'a', { now: 1, leaseMs: 9, force: true })
  await insert(database, newSaga('s1'))
  expect(await claim(database, A, 2)).toEqual([])
  expect(await claim(database, { worker: 'a', epoch: 2 }, 2)).toHaveLength(1)
}

async function claimsOnce(database: Database): Promise<void> {
  const owners = ['a', 'b', 'c'].map((worker) => ({ worker, epoch: 1 }))
  for (const { worker } of owners) await enlist(database, worker, { now: 0, leaseMs: 100, force: false })
  await database.transaction(async (tx: Transaction) => {
    for (let n = 0; n < 30; n += 1) await tx.store(sagaStorePort).insert(tx, newSaga(`s${String(n).padStart(2, '0')}`))
  })
  const taken = await Promise.all(owners.flatMap((owner) => [claim(database, owner, 1, 7), claim(database, owner, 1, 7)]))
  const ids = taken.flat().map(({ id }) => id)
  expect(ids).toHaveLength(30)
  expect(new Set(ids).size).toBe(30)
}
