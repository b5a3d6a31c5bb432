import type { Database } from '@banyan/core'
import {
  type FlowArchive,
  type FlowFilter,
  type FlowFlag,
  type FlowKey,
  type FlowRecord,
  type FlowState,
  type FlowStore,
  flowArchivePort,
  flowStorePort,
} from '@banyan/saga/internal'
import { describe, expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'

/** What every store of watched flows must do: hold a flow while it is moved, find those whose time has come, forget old ones. */
export function flowSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name}: flows`, () => {
    it('keeps a flow as it was saved, for its name and correlation id', withDatabase(options, keeps))
    it('forgets what rolled back', withDatabase(options, forgetsRolledBack))
    it('holds a flow from load to the end of the transaction, also one that is not there yet', withDatabase(options, holds))
    it('finds the flows whose time has come, soonest first, a bounded number', withDatabase(options, findsDue))
    it('lists by name, status and open flags, the latest changed first', withDatabase(options, lists))
    it('forgets settled flows that are old, flagged ones apart, a bounded number at a time', withDatabase(options, forgets))
    it('keeps decisions, newest first', withDatabase(options, keepsDecisions))
  })
}

const flagged: FlowFlag = { kind: 'stopped', event: 'stock.reserved', detail: 'no end', at: 7 }

function running(more: Partial<Exclude<FlowState, { status: 'ignored' }>> = {}): FlowState {
  const event = { id: 'e1', type: 'order.created', time: 5, cause: undefined, seenAt: 6 }
  return { status: 'running', events: [event], more: 0, standsAt: 'order.created', flags: [], wakeAt: undefined, ...more }
}

function recordOf(correlationId: string, more: Partial<FlowRecord> = {}): FlowRecord {
  return { flow: 'checkout', correlationId, version: 1, state: running(), createdAt: 1, updatedAt: 2, ...more }
}

const keyOf = ({ flow, correlationId }: FlowKey): FlowKey => ({ flow, correlationId })

function save(database: Database, ...records: FlowRecord[]): Promise<void> {
  return withStore(database, async (store, tx) => {
    for (const record of records) {
      await store.load(tx, keyOf(record))
      await store.save(tx, record)
    }
  })
}

function withStore<T>(database: Database, body: (store: FlowStore, tx: Parameters<FlowStore['load']>[0]) => Promise<T>): Promise<T> {
  return database.transaction((tx) => body(tx.store(flowStorePort), tx))
}

function read<T>(database: Database, body: (archive: FlowArchive, tx: Parameters<FlowArchive['find']>[0]) => Promise<T>): Promise<T> {
  return database.read((tx) => body(database.store(flowArchivePort), tx))
}

function find(database: Database, correlationId: string): Promise<FlowRecord | undefined> {
  return read(database, (archive, tx) => archive.find(tx, { flow: 'checkout', correlationId }))
}

async function keeps(database: Database): Promise<void> {
  expect(await find(database, 'a')).toBeUndefined()
  const first = recordOf('a', { state: running({ flags: [flagged], wakeAt: 9 }) })
  await save(database, first, recordOf('a', { flow: 'returns' }), recordOf('b'))
  expect(await find(database, 'a')).toEqual(first)
  expect(await withStore(database, (store, tx) => store.load(tx, keyOf(first)))).toEqual(first)
  const second = recordOf('a', { version: 2, state: { status: 'ignored' }, updatedAt: 8 })
  await save(database, second)
  expect(await find(database, 'a')).toEqual(second)
  expect(await find(database, 'b')).toEqual(recordOf('b'))
}

async function forgetsRolledBack(database: Database): Promise<void> {
  await rolledBack(database, async (tx) => {
    const store = tx.store(flowStorePort)
    await store.load(tx, keyOf(recordOf('a')))
    await store.save(tx, recordOf('a'))
  })
  expect(await find(database, 'a')).toBeUndefined()
}

async function holds(database: Database): Promise<void> {
  const grow = () =>
    withStore(database, async (store, tx) => {
      const record = (await store.load(tx, { flow: 'checkout', correlationId: 'a' })) ?? recordOf('a', { version: 0 })
      await store.save(tx, { ...record, version: record.version + 1 })
    })
  await Promise.all(Array.from({ length: 20 }, grow))
  expect((await find(database, 'a'))?.version).toBe(20)
}

async function findsDue(database: Database): Promise<void> {
  const at = (correlationId: string, wakeAt: number | undefined, flow = 'checkout') =>
    recordOf(correlationId, { flow, state: running({ wakeAt }) })
  await save(database, at('late', 30), at('soon', 10), at('never', undefined), at('mid', 20), at('other', 10, 'returns'))
  await save(database, recordOf('ignored', { state: { status: 'ignored' } }))
  const due = (now: number, limit = 10, flows = ['checkout', 'unknown']) =>
    database.read(async (tx) => (await database.store(flowStorePort).due(tx, flows, now, limit)).map(({ correlationId }) => correlationId))
  expect(await due(9)).toEqual([])
  expect(await due(10)).toEqual(['soon'])
  expect(await due(100)).toEqual(['soon', 'mid', 'late'])
  expect(await due(100, 2)).toEqual(['soon', 'mid'])
  expect((await due(100, 10, ['checkout', 'returns'])).sort()).toEqual(['late', 'mid', 'other', 'soon'])
}

async function lists(database: Database): Promise<void> {
  const cleared = { ...flagged, clearedAt: 8 }
  const seen = { ...flagged, kind: 'no-start', acknowledged: { by: 'ada', why: 'known', at: 9 } } as const
  await save(
    database,
    recordOf('plain', { updatedAt: 1 }),
    recordOf('flagged', { updatedAt: 3, state: running({ flags: [cleared, seen, { ...flagged, kind: 'undeclared' }, flagged] }) }),
    recordOf('settled', { updatedAt: 2, state: running({ flags: [cleared, seen] }) }),
    recordOf('ignored', { updatedAt: 4, state: { status: 'ignored' } }),
    recordOf('other', { updatedAt: 5, flow: 'returns', state: running({ flags: [flagged] }) }),
  )
  const list = (filter: FlowFilter, limit = 10) =>
    read(database, async (archive, tx) => (await archive.list(tx, filter, limit)).map(({ correlationId }) => correlationId))
  expect(await list({})).toEqual(['other', 'ignored', 'flagged', 'settled', 'plain'])
  expect(await list({}, 2)).toEqual(['other', 'ignored'])
  expect(await list({ flow: 'checkout', status: 'running' })).toEqual(['flagged', 'settled', 'plain'])
  expect(await list({ flag: true })).toEqual(['other', 'flagged'])
  expect(await list({ flag: 'stopped', flow: 'checkout' })).toEqual(['flagged'])
  expect(await list({ flag: 'undeclared' })).toEqual(['flagged'])
  expect(await list({ flag: 'no-start' })).toEqual([])
}

async function forgets(database: Database): Promise<void> {
  const old = ['a', 'b', 'c'].map((correlationId, index) => recordOf(correlationId, { updatedAt: index }))
  await save(database, ...old, recordOf('new', { updatedAt: 100 }), recordOf('waits', { updatedAt: 0, state: running({ wakeAt: 900 }) }))
  await save(database, recordOf('flagged', { updatedAt: 0, state: running({ flags: [flagged] }) }), recordOf('other', { flow: 'returns' }))
  const forget = (isFlagged: boolean, before: number, limit = 10) =>
    withStore(database, (store, tx) => store.forget(tx, 'checkout', { flagged: isFlagged, before }, limit))
  expect(await forget(false, 50, 2)).toBe(2)
  expect([await find(database, 'a'), await find(database, 'b')]).toEqual([undefined, undefined])
  expect(await find(database, 'c')).toBeDefined()
  expect(await forget(false, 50, 2)).toBe(1)
  expect(await find(database, 'flagged')).toBeDefined()
  expect(await forget(true, 50)).toBe(1)
  expect(await forget(true, 50)).toBe(0)
  const left = await read(database, (archive, tx) => archive.list(tx, {}, 10))
  expect(left.map(({ correlationId }) => correlationId).sort()).toEqual(['new', 'other', 'waits'])
}

async function keepsDecisions(database: Database): Promise<void> {
  const decision = { flow: 'checkout', correlationId: 'a', flag: 'stopped', event: 'paid', by: 'ada', why: 'a test', at: 5 } as const
  const other = { ...decision, correlationId: 'b', at: 6 }
  await database.transaction(async (tx) => {
    await tx.store(flowArchivePort).note(tx, decision)
    await tx.store(flowArchivePort).note(tx, other)
  })
  const decisions = (key: FlowKey | undefined, limit = 10) => read(database, (archive, tx) => archive.decisions(tx, key, limit))
  expect(await decisions(undefined)).toEqual([other, decision])
  expect(await decisions(undefined, 1)).toEqual([other])
  expect(await decisions({ flow: 'checkout', correlationId: 'a' })).toEqual([decision])
  expect(await decisions({ flow: 'returns', correlationId: 'a' })).toEqual([])
}
