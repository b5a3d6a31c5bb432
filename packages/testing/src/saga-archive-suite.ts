import type { Database } from '@banyan/core'
import { type SagaDecision, type SagaFilter, type SagaShape, type SagaState, sagaArchivePort, sagaStorePort } from '@banyan/saga/internal'
import { expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'
import { advance, claim, enlist, insert, newSaga, running } from './saga-store-fixture.ts'

/** The part of the saga suite about what people see and decide. */
export function sagaArchiveTests(options: StoreSuiteOptions): void {
  it('lists newest first, by what is asked for, page by page', withDatabase(options, lists))
  it('counts unfinished sagas by name, version and status', withDatabase(options, counts))
  it('takes a decision about a stuck saga once, keeps it, and hands the saga on', withDatabase(options, decides))
  it('keeps the latest shape of a definition', withDatabase(options, keepsShapes))
}

const A = { worker: 'a', epoch: 1 }
const STUCK: SagaState = { status: 'stuck', resume: running('b'), failure: { code: 'X', message: 'x' } }

/** s1 running, s2 stuck, s3 completed, s4 a tour. */
async function four(database: Database): Promise<void> {
  for (const id of ['s1', 's2', 's3']) await insert(database, newSaga(id, { owner: A }))
  await insert(database, newSaga('s4', { name: 'tour', version: 2 }))
  await advance(database, 's2', A, 0, { state: STUCK })
  await advance(database, 's3', A, 0, { state: { status: 'completed' } })
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
  const count = (status?: 'stuck') => database.read((tx) => database.store(sagaArchivePort).counts(tx, status))
  const stuck = { name: 'trip', version: 1, status: 'stuck', count: 1, oldest: 's2' }
  const all = await count()
  expect(all).toHaveLength(3)
  expect(all).toEqual(
    expect.arrayContaining([
      { name: 'trip', version: 1, status: 'running', count: 2, oldest: 's1' },
      stuck,
      { name: 'tour', version: 2, status: 'running', count: 1, oldest: 's4' },
    ]),
  )
  expect(await count('stuck')).toEqual([stuck])
}

async function decides(database: Database): Promise<void> {
  await four(database)
  const decision: SagaDecision = { saga: 's2', action: 'retry', step: 'b', by: 'ada', why: 'mended', at: 9 }
  const decide = (id: string) =>
    database.transaction((tx) => database.store(sagaArchivePort).decide(tx, id, running('b'), { ...decision, saga: id }))
  await rolledBack(database, async (tx) => void (await database.store(sagaArchivePort).decide(tx, 's2', running('b'), decision)))
  expect(await decide('s1')).toBe(false)
  expect(await Promise.all([decide('s2'), decide('s2')])).toEqual([true, false])
  const decisions = (id?: string) => database.read((tx) => database.store(sagaArchivePort).decisions(tx, id, 10))
  expect([await decisions(), await decisions('s2'), await decisions('s1')]).toEqual([[decision], [decision], []])
  expect(await advance(database, 's2', A, 1, { state: running('c') })).toBe(false)
  await enlist(database, 'b', { now: 0, expiresAt: 100, force: false })
  const [taken] = (await claim(database, { worker: 'b', epoch: 1 }, 1)).filter(({ id }) => id === 's2')
  expect(taken).toMatchObject({ state: running('b'), claims: 2, revision: 3 })
}

async function keepsShapes(database: Database): Promise<void> {
  const shape: SagaShape = { name: 'trip', version: 1, steps: [] }
  const find = (version: number) => database.read((tx) => database.store(sagaArchivePort).shape(tx, { name: 'trip', version }))
  expect(await find(1)).toBeUndefined()
  const retry = { attempts: 1, baseMs: 1, capMs: 1 }
  const step = { name: 'a', kind: 'local', place: 'before', undoable: true, withinMs: 1, retry, undoRetry: retry, noUndo: 'x' } as const
  await database.transaction((tx) => tx.store(sagaStorePort).define(tx, shape))
  await database.transaction((tx) => tx.store(sagaStorePort).define(tx, { ...shape, steps: [step] }))
  expect(await find(1)).toEqual({ ...shape, steps: [step] })
  expect(await find(2)).toBeUndefined()
}
