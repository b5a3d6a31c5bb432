import type { Database, Transaction } from '@banyan/core'
import { type SemanticLockRecord, semanticLockPort, type VersionKey, versionFilePort } from '@banyan/saga/internal'
import { describe, expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'

/** What the stores of semantic locks and version files must do: one holder an entity, operations in their order, with the transaction. */
export function isolationSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name}: semantic locks`, () => {
    it('gives an entity to one holder, and says who has it', withDatabase(options, locksOnce))
    it('gives an entity to one of many who ask at the same time', withDatabase(options, locksOnceConcurrently))
    it('releases for the holder only, with the stash, and forgets what rolled back', withDatabase(options, releases))
    it('lists by kind and holder, the oldest first', withDatabase(options, listsLocks))
  })
  describe(`${name}: version files`, () => {
    it('knows how far an entity is, and keeps what came early, each once', withDatabase(options, keepsOperations))
    it('holds an entity while its version moves, also a new one', withDatabase(options, holdsVersion))
  })
}

function lockOf(id: string, more: Partial<SemanticLockRecord> = {}): SemanticLockRecord {
  return { entity: 'order', id, holder: 'saga 1', stash: undefined, at: 1, ...more }
}

function take(database: Database, lock: SemanticLockRecord): Promise<SemanticLockRecord | undefined> {
  return database.transaction((tx) => tx.store(semanticLockPort).take(tx, lock))
}

function find(database: Database, id: string): Promise<SemanticLockRecord | undefined> {
  return database.read((tx) => database.store(semanticLockPort).find(tx, 'order', id))
}

async function locksOnce(database: Database): Promise<void> {
  expect(await find(database, 'a')).toBeUndefined()
  const lock = lockOf('a', { stash: '{"status":"open"}' })
  expect(await take(database, lock)).toBeUndefined()
  expect(await take(database, lockOf('a', { holder: 'saga 2', at: 2 }))).toEqual(lock)
  expect(await take(database, lockOf('a', { stash: '"later"' }))).toEqual(lock)
  expect(await take(database, lockOf('b', { holder: 'saga 2' }))).toBeUndefined()
  expect(await take(database, lockOf('a', { entity: 'customer', holder: 'saga 2' }))).toBeUndefined()
  expect([await find(database, 'a'), await find(database, 'b')]).toEqual([lock, lockOf('b', { holder: 'saga 2' })])
}

async function locksOnceConcurrently(database: Database): Promise<void> {
  const ask = (index: number) => take(database, lockOf('a', { holder: `saga ${index}` }))
  const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => ask(index)))
  expect(answers.filter((answer) => answer === undefined)).toHaveLength(1)
  expect(new Set(answers.flatMap((answer) => answer?.holder ?? [])).size).toBe(1)
}

async function releases(database: Database): Promise<void> {
  const drop = (holder: string) => database.transaction((tx) => tx.store(semanticLockPort).drop(tx, 'order', 'a', holder))
  await take(database, lockOf('a', { stash: '[1]' }))
  expect(await drop('saga 2')).toBeUndefined()
  expect(await find(database, 'a')).toBeDefined()
  await rolledBack(database, async (tx) => {
    expect(await tx.store(semanticLockPort).drop(tx, 'order', 'a', 'saga 1')).toBeDefined()
  })
  expect(await find(database, 'a')).toBeDefined()
  expect(await drop('saga 1')).toEqual(lockOf('a', { stash: '[1]' }))
  expect(await drop('saga 1')).toBeUndefined()
  await rolledBack(database, async (tx) => {
    expect(await tx.store(semanticLockPort).take(tx, lockOf('a'))).toBeUndefined()
  })
  expect(await take(database, lockOf('a', { holder: 'saga 2' }))).toBeUndefined()
}

async function listsLocks(database: Database): Promise<void> {
  const [young, old, other] = [lockOf('a', { at: 3 }), lockOf('b', { at: 1, holder: 'saga 2' }), lockOf('c', { at: 2, entity: 'customer' })]
  for (const lock of [young, old, other]) await take(database, lock)
  const list = (filter: { entity?: string; holder?: string }, limit = 10) =>
    database.read((tx) => database.store(semanticLockPort).list(tx, filter, limit))
  expect(await list({})).toEqual([old, other, young])
  expect(await list({}, 1)).toEqual([old])
  expect(await list({ entity: 'order' })).toEqual([old, young])
  expect(await list({ holder: 'saga 1' })).toEqual([other, young])
  expect(await list({ entity: 'order', holder: 'saga 1' })).toEqual([young])
}

const ACCOUNT: VersionKey = { entity: 'account', id: 'a' }

function within<T>(database: Database, body: (tx: Transaction, files: ReturnType<typeof filesOf>) => Promise<T>): Promise<T> {
  return database.transaction((tx) => body(tx, filesOf(tx)))
}

const filesOf = (tx: Transaction) => tx.store(versionFilePort)

async function keepsOperations(database: Database): Promise<void> {
  const [third, fourth] = [
    { version: 3, operation: '{"add":3}', at: 1 },
    { version: 4, operation: '{"add":4}', at: 2 },
  ]
  await within(database, async (tx, files) => {
    expect(await files.open(tx, ACCOUNT)).toBe(0)
    expect(await files.keep(tx, ACCOUNT, fourth)).toBeUndefined()
    expect(await files.keep(tx, ACCOUNT, third)).toBeUndefined()
    await files.advance(tx, ACCOUNT, 2)
  })
  await within(database, async (tx, files) => {
    expect(await files.open(tx, ACCOUNT)).toBe(2)
    expect(await files.open(tx, { ...ACCOUNT, id: 'b' })).toBe(0)
    expect(await files.keep(tx, ACCOUNT, { ...third, operation: '{}' })).toEqual(third)
    expect(await files.waiting(tx, ACCOUNT, 10)).toEqual([third, fourth])
    expect(await files.waiting(tx, ACCOUNT, 1)).toEqual([third])
    expect(await files.waiting(tx, { ...ACCOUNT, id: 'b' }, 10)).toEqual([])
    expect(await files.take(tx, ACCOUNT, 3)).toEqual(third)
    expect(await files.take(tx, ACCOUNT, 3)).toBeUndefined()
    await files.advance(tx, ACCOUNT, 3)
  })
  await within(database, async (tx, files) => {
    expect([await files.open(tx, ACCOUNT), await files.waiting(tx, ACCOUNT, 10)]).toEqual([3, [fourth]])
  })
}

async function holdsVersion(database: Database): Promise<void> {
  const grow = () =>
    within(database, async (tx, files) => {
      await files.advance(tx, ACCOUNT, (await files.open(tx, ACCOUNT)) + 1)
    })
  await Promise.all(Array.from({ length: 10 }, grow))
  expect(await within(database, (tx, files) => files.open(tx, ACCOUNT))).toBe(10)
}
