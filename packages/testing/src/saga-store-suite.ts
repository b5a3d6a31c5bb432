import type { Database, Transaction } from '@banyan/core'
import { type SagaOwner, type SagaRecord, type SagaState, sagaArchivePort, sagaStorePort } from '@banyan/saga/internal'
import { describe, expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'
import { sagaArchiveTests } from './saga-archive-suite.ts'
import { advance, claim, enlist, entryOf, insert, newSaga, running, TRIP } from './saga-store-fixture.ts'

/** What every store of sagas must do: start a key once, fence those who lost a saga, and find who needs a worker. */
export function sagaStoreSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name}: sagas`, () => {
    it('starts a key once a name, and gives the id that is there', withDatabase(options, startsOnce))
    it('starts a key once among many at the same time', withDatabase(options, startsOnceConcurrently))
    it('forgets a start that rolled back', withDatabase(options, forgetsRolledBack))
    it('moves a saga on for its owner, at its revision, with one line of history', withDatabase(options, movesOn))
    it('does not move a saga for others, other epochs, or other revisions', withDatabase(options, fences))
    it('keeps results and output unless new ones come', withDatabase(options, keepsResults))
    it('gives a worker a higher epoch each time, and an id in use only by force', withDatabase(options, enlists))
    it('renews for the holder of the epoch only, also after its time', withDatabase(options, renews))
    it('claims sagas nobody owns, of known definitions, oldest first, a bounded number', withDatabase(options, claimsUnowned))
    it('claims the sagas of a worker whose time is over, and fences it first', withDatabase(options, claimsFromDead))
    it('claims the sagas of a worker that came back under its id, or gave its lease back', withDatabase(options, claimsFromEarlierLife))
    it('leaves the sagas of living workers, and finished and stuck ones, alone', withDatabase(options, leavesOthers))
    it('claims nothing for a worker that has lost its own epoch', withDatabase(options, refusesStaleClaim))
    it('gives each saga to one of many who claim at the same time', withDatabase(options, claimsOnce))
    sagaArchiveTests(options)
  })
}

async function startsOnce(database: Database): Promise<void> {
  expect(await insert(database, newSaga('s1'))).toBe('s1')
  expect(await insert(database, newSaga('s2', { key: 'key of s1' }))).toBe('s1')
  expect(await insert(database, newSaga('s3', { key: 'key of s1', name: 'tour' }))).toBe('s3')
  const found = await database.read((tx) => database.store(sagaArchivePort).find(tx, 's1'))
  expect(found).toEqual({ ...newSaga('s1'), results: '{}', output: undefined, revision: 0, claims: 0, updatedAt: 1 } satisfies SagaRecord)
}

async function startsOnceConcurrently(database: Database): Promise<void> {
  const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => insert(database, newSaga(`s${n}`, { key: 'one' }))))
  expect(new Set(ids).size).toBe(1)
}

async function forgetsRolledBack(database: Database): Promise<void> {
  await rolledBack(database, async (tx) => void (await tx.store(sagaStorePort).insert(tx, newSaga('s1'))))
  expect(await insert(database, newSaga('s2', { key: 'key of s1' }))).toBe('s2')
}

const A: SagaOwner = { worker: 'a', epoch: 1 }

async function movesOn(database: Database): Promise<void> {
  await insert(database, newSaga('s1', { owner: A }))
  expect(await advance(database, 's1', A, 0, { state: running('b'), results: '{"a":1}' })).toBe(true)
  expect(await advance(database, 's1', A, 1, { state: { status: 'completed' }, output: '7' })).toBe(true)
  const [found, history] = await database.read(async (tx) => {
    const archive = database.store(sagaArchivePort)
    return [await archive.find(tx, 's1'), await archive.history(tx, 's1')] as const
  })
  expect(found).toMatchObject({
    state: { status: 'completed' },
    results: '{"a":1}',
    output: '7',
    revision: 2,
    owner: A,
    claims: 1,
    updatedAt: 5,
  })
  expect(history).toEqual([
    { ...entryOf(running('b')), saga: 's1' },
    { ...entryOf({ status: 'completed' }), saga: 's1' },
  ])
}

async function fences(database: Database): Promise<void> {
  await insert(database, newSaga('s1', { owner: A }))
  const next = { state: running('b') }
  expect(await advance(database, 's1', { worker: 'b', epoch: 1 }, 0, next)).toBe(false)
  expect(await advance(database, 's1', { worker: 'a', epoch: 2 }, 0, next)).toBe(false)
  expect(await advance(database, 's1', A, 1, next)).toBe(false)
  expect(await advance(database, 's2', A, 0, next)).toBe(false)
  const history = await database.read((tx) => database.store(sagaArchivePort).history(tx, 's1'))
  expect(history).toEqual([])
  const both = await Promise.all([advance(database, 's1', A, 0, next), advance(database, 's1', A, 0, next)])
  expect(both.sort()).toEqual([false, true])
}

async function keepsResults(database: Database): Promise<void> {
  await insert(database, newSaga('s1', { owner: A }))
  await advance(database, 's1', A, 0, { state: running('b'), results: '{"a":1}' })
  await advance(database, 's1', A, 1, { state: running('c') })
  const found = await database.read((tx) => database.store(sagaArchivePort).find(tx, 's1'))
  expect(found).toMatchObject({ results: '{"a":1}', output: undefined })
}

async function enlists(database: Database): Promise<void> {
  expect(await enlist(database, 'a', { now: 0, expiresAt: 10, force: false })).toBe(1)
  expect(await enlist(database, 'a', { now: 9, expiresAt: 19, force: false })).toBeUndefined()
  expect(await enlist(database, 'a', { now: 9, expiresAt: 19, force: true })).toBe(2)
  expect(await enlist(database, 'a', { now: 19, expiresAt: 29, force: false })).toBe(3)
  expect(await enlist(database, 'b', { now: 0, expiresAt: 10, force: false })).toBe(1)
}

async function renews(database: Database): Promise<void> {
  const renew = (owner: SagaOwner, expiresAt: number) => database.transaction((tx) => tx.store(sagaStorePort).renew(tx, owner, expiresAt))
  await enlist(database, 'a', { now: 0, expiresAt: 10, force: false })
  expect(await renew({ worker: 'a', epoch: 1 }, 100)).toBe(true)
  expect(await enlist(database, 'a', { now: 50, expiresAt: 60, force: false })).toBeUndefined()
  expect(await renew({ worker: 'a', epoch: 2 }, 100)).toBe(false)
  expect(await renew({ worker: 'b', epoch: 1 }, 100)).toBe(false)
  await enlist(database, 'a', { now: 50, expiresAt: 60, force: true })
  expect(await renew({ worker: 'a', epoch: 1 }, 200)).toBe(false)
}

async function claimsUnowned(database: Database): Promise<void> {
  const epoch = (await enlist(database, 'a', { now: 0, expiresAt: 10, force: false })) ?? 0
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
  await enlist(database, 'a', { now: 0, expiresAt: 10, force: false })
  await insert(database, newSaga('s1', { owner: A }))
  await enlist(database, 'b', { now: 0, expiresAt: 100, force: false })
  const b = { worker: 'b', epoch: 1 }
  const claimable = (now: number) => database.read((tx) => database.store(sagaStorePort).claimable(tx, TRIP, now))
  expect([await claimable(9), await claim(database, b, 9)]).toEqual([false, []])
  expect(await claimable(10)).toBe(true)
  expect(await claim(database, b, 10)).toMatchObject([{ id: 's1', owner: b, claims: 2, revision: 1 }])
  expect(await claimable(10)).toBe(false)
  expect(await advance(database, 's1', A, 0, { state: running('b') })).toBe(false)
  expect(await database.transaction((tx) => tx.store(sagaStorePort).renew(tx, A, 100))).toBe(false)
}

async function claimsFromEarlierLife(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, expiresAt: 100, force: false })
  await insert(database, newSaga('s1', { owner: A }))
  await enlist(database, 'a', { now: 1, expiresAt: 100, force: true })
  const again = { worker: 'a', epoch: 2 }
  expect(await claim(database, again, 1)).toMatchObject([{ id: 's1', owner: again }])
  expect(await database.transaction((tx) => tx.store(sagaStorePort).renew(tx, again, 0))).toBe(true)
  await enlist(database, 'b', { now: 1, expiresAt: 100, force: false })
  expect(await claim(database, { worker: 'b', epoch: 1 }, 2)).toMatchObject([{ id: 's1', owner: { worker: 'b', epoch: 1 } }])
}

async function leavesOthers(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, expiresAt: 100, force: false })
  await enlist(database, 'b', { now: 0, expiresAt: 100, force: false })
  const failure = { code: 'X', message: 'x' }
  const states: SagaState[] = [running('b'), { status: 'stuck', resume: running('b'), failure }, { status: 'completed' }]
  for (const [n, state] of states.entries()) {
    await insert(database, newSaga(`s${n}`, { owner: A }))
    await advance(database, `s${n}`, A, 0, { state })
  }
  expect(await claim(database, { worker: 'b', epoch: 1 }, 50)).toEqual([])
  expect((await claim(database, { worker: 'b', epoch: 1 }, 100)).map(({ id }) => id)).toEqual(['s0'])
}

async function refusesStaleClaim(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, expiresAt: 10, force: false })
  await enlist(database, 'a', { now: 1, expiresAt: 10, force: true })
  await insert(database, newSaga('s1'))
  expect(await claim(database, A, 2)).toEqual([])
  expect(await claim(database, { worker: 'a', epoch: 2 }, 2)).toHaveLength(1)
}

async function claimsOnce(database: Database): Promise<void> {
  const owners = ['a', 'b', 'c'].map((worker) => ({ worker, epoch: 1 }))
  for (const { worker } of owners) await enlist(database, worker, { now: 0, expiresAt: 100, force: false })
  await database.transaction(async (tx: Transaction) => {
    for (let n = 0; n < 30; n += 1) await tx.store(sagaStorePort).insert(tx, newSaga(`s${String(n).padStart(2, '0')}`))
  })
  const taken = await Promise.all(owners.flatMap((owner) => [claim(database, owner, 1, 7), claim(database, owner, 1, 7)]))
  const ids = taken.flat().map(({ id }) => id)
  expect(ids).toHaveLength(30)
  expect(new Set(ids).size).toBe(30)
}
