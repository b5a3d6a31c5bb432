import type { Database } from '@banyan/core'
import {
  type SagaDecision,
  type SagaFilter,
  type SagaHistoryEntry,
  type SagaShape,
  type SagaStanding,
  sagaArchivePort,
  sagaStorePort,
  sagaWorkersPort,
} from '@banyan/saga/internal'
import { expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'
import { advance, claim, enlist, entryOf, find, history, insert, newSaga, parked, resting, running } from './saga-store-fixture.ts'

/** The part of the saga suite about what people see and decide. */
export function sagaArchiveTests(options: StoreSuiteOptions): void {
  it('lists newest first, by what is asked for, page by page', withDatabase(options, lists))
  it('counts unfinished sagas by name, version and status', withDatabase(options, counts))
  it('takes a decision about a saga once, keeps it, and hands the saga on', withDatabase(options, decides))
  it('leaves a saga to its worker when the decision says so', withDatabase(options, decidesForOwner))
  it('keeps a long history line by line, in its order, also of a saga that is parked again and again', withDatabase(options, keepsHistory))
  it('keeps the latest shape of a definition', withDatabase(options, keepsShapes))
}

const A = { worker: 'a', epoch: 1 }

/** s1 running, s2 stuck, s3 completed, s4 a tour. */
async function four(database: Database): Promise<void> {
  for (const id of ['s1', 's2', 's3']) await insert(database, newSaga(id, { owner: A }))
  await insert(database, newSaga('s4', { name: 'tour', version: 2 }))
  await advance(database, 's2', A, 0, resting('stuck'))
  await advance(database, 's3', A, 0, resting('completed'))
}

async function lists(database: Database): Promise<void> {
  await four(database)
  const ids = (filter: SagaFilter, limit = 10) =>
    database.read(async (tx) => (await database.store(sagaArchivePort).list(tx, filter, limit)).map(({ id }) => id))
  expect(await ids({})).toEqual(['s4', 's3', 's2', 's1'])
  expect(await ids({}, 2)).toEqual(['s4', 's3'])
  expect(await ids({ before: 's3' })).toEqual(['s2', 's1'])
  expect(await ids({ status: 'stuck' })).toEqual(['s2'])
  expect(await ids({ finished: false })).toEqual(['s4', 's2', 's1'])
  expect(await ids({ finished: true })).toEqual(['s3'])
  expect(await ids({ name: 'trip', status: 'running' })).toEqual(['s1'])
  expect(await ids({ version: 2 })).toEqual(['s4'])
  expect(await ids({ key: 'key of s3' })).toEqual(['s3'])
}

async function counts(database: Database): Promise<void> {
  await four(database)
  await insert(database, newSaga('s5'))
  for (const [id, wakeAt] of [['p1', 101] as const, ['p2', undefined] as const, ['p3', 100] as const]) {
    await insert(database, newSaga(id, { owner: A }))
    await advance(database, id, A, 0, parked({ wakeAt }))
  }
  const count = (status?: 'stuck') => database.read((tx) => database.store(sagaArchivePort).counts(tx, 100, status))
  const stuck = { name: 'trip', version: 1, status: 'stuck', count: 1, oldest: 's2' }
  const all = await count()
  expect(all).toHaveLength(4)
  expect(all).toEqual(
    expect.arrayContaining([
      { name: 'trip', version: 1, status: 'running', count: 2, oldest: 's1' },
      stuck,
      { name: 'trip', version: 1, status: 'waiting', count: 1, oldest: 'p3' },
      { name: 'tour', version: 2, status: 'running', count: 1, oldest: 's4' },
    ]),
  )
  expect(await count('stuck')).toEqual([stuck])
}

async function keepsHistory(database: Database): Promise<void> {
  await enlist(database, 'a', { now: 0, leaseMs: 1_000, force: false })
  await insert(database, newSaga('s1', { owner: A }))
  const lines: SagaHistoryEntry[] = []
  let revision = 0
  const move = async (standing: SagaStanding) => {
    const entry = {
      ...entryOf(standing),
      attempt: lines.length + 1,
      at: revision,
      message: lines.length % 2 ? undefined : `why ${revision}`,
    }
    lines.push(entry)
    const step = { ...standing, id: 's1', owner: A, revision, entry }
    expect(await database.transaction((tx) => tx.store(sagaStorePort).advance(tx, step))).toBe(true)
    revision += 1
  }
  for (let n = 0; n < 40; n += 1) await move(running('b'))
  for (let n = 0; n < 20; n += 1) {
    await move(parked({ wakeAt: 1 }))
    expect(await claim(database, A, 1)).toMatchObject([{ id: 's1', revision: revision + 1 }])
    revision += 1
  }
  expect(await history(database, 's1')).toEqual(lines)
  await move(resting('completed'))
  expect(await history(database, 's1')).toEqual(lines)
  expect(await database.transaction((tx) => tx.store(sagaStorePort).retire(tx, 1_000, 10))).toBe(1)
  expect(await history(database, 's1')).toEqual(lines)
}

async function decides(database: Database): Promise<void> {
  await four(database)
  const archive = database.store(sagaArchivePort)
  const decision: SagaDecision = { saga: 's2', action: 'override', step: 'b', by: 'ada', why: 'mended', detail: '7', at: 9 }
  const change = { ...running('c'), id: 's2', revision: 1, keepOwner: false, results: '{"b":7}' }
  const decide = () => database.transaction((tx) => archive.decide(tx, change, decision))
  await rolledBack(database, async (tx) => void (await archive.decide(tx, change, decision)))
  expect(await database.transaction((tx) => archive.decide(tx, { ...change, revision: 0 }, decision))).toBe(false)
  expect((await Promise.all([decide(), decide()])).sort()).toEqual([false, true])
  const decisions = (id?: string) => database.read((tx) => archive.decisions(tx, id, 10))
  expect([await decisions(), await decisions('s2'), await decisions('s1')]).toEqual([[decision], [decision], []])
  expect(await advance(database, 's2', A, 1, running('c'))).toBe(false)
  expect(await find(database, 's2')).toMatchObject({ owner: undefined, claims: 0, results: '{"b":7}', input: '{"guests":2}', updatedAt: 9 })
  await enlist(database, 'b', { now: 0, leaseMs: 100, force: false })
  const [taken] = (await claim(database, { worker: 'b', epoch: 1 }, 1)).filter(({ id }) => id === 's2')
  expect(taken).toMatchObject({ ...running('c'), claims: 1, revision: 3 })
}

/** A decision about one that runs: its worker learns of it when it writes. */
async function decidesForOwner(database: Database): Promise<void> {
  await four(database)
  const decision: SagaDecision = { saga: 's1', action: 'cancel', step: 'a', by: 'ada', why: 'no', detail: undefined, at: 9 }
  const change = { ...running('z'), id: 's1', revision: 0, keepOwner: true, input: '"other"' }
  expect(await database.transaction((tx) => tx.store(sagaArchivePort).decide(tx, change, decision))).toBe(true)
  expect(await find(database, 's1')).toMatchObject({ owner: A, claims: 1, step: 'z', input: '"other"', revision: 1 })
  expect(await advance(database, 's1', A, 0, running('b'))).toBe(false)
  expect(await advance(database, 's1', A, 1, running('b'))).toBe(true)
  expect(await database.read((tx) => database.store(sagaArchivePort).decisions(tx, 's1', 10))).toEqual([decision])
}

async function keepsShapes(database: Database): Promise<void> {
  const shape: SagaShape = { name: 'trip', version: 1, steps: [] }
  const find = (version: number) => database.read((tx) => database.store(sagaWorkersPort).shape(tx, { name: 'trip', version }))
  expect(await find(1)).toBeUndefined()
  const retry = { attempts: 1, baseMs: 1, capMs: 1 }
  const step = { name: 'a', kind: 'local', place: 'before', undoable: true, withinMs: 1, retry, undoRetry: retry, noUndo: 'x' } as const
  await database.transaction((tx) => tx.store(sagaWorkersPort).define(tx, shape))
  await database.transaction((tx) => tx.store(sagaWorkersPort).define(tx, { ...shape, steps: [step] }))
  expect(await find(1)).toEqual({ ...shape, steps: [step] })
  expect(await find(2)).toBeUndefined()
}
