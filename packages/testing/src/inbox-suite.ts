import type { Database } from '@banyan/core'
import { type Admitted, inboxPort, keyQueuePort } from '@banyan/messaging/internal'
import { describe, expect, it } from 'vitest'
import { parkedMessage, rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'

/** What every inbox must do: take each id once a group, with the transaction, and see what is parked. */
export function inboxSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name}: inbox`, () => {
    it('takes an id once in each group', withDatabase(options, takesOnce))
    it('forgets what rolled back', withDatabase(options, forgetsRolledBack))
    it('takes an id once among many at the same time', withDatabase(options, takesOnceConcurrently))
    it('tells when others of the lane are parked, in this group only', withDatabase(options, seesParked))
    it('lets one of a lane go first, and parks the others behind it when it fails', withDatabase(options, holdsLane))
    it('forgets old ids of one group, a bounded number at a time', withDatabase(options, cleans))
    it('knows an old message by its place once it is marked, and a young one by its id alone', withDatabase(options, knowsByMark))
    it('keeps ids until a mark covers them', withDatabase(options, keepsUnmarked))
  })
}

function admit(database: Database, group: string, id: string, lane: string, now = 1): Promise<Admitted> {
  return database.transaction((tx) => database.store(inboxPort).admit(tx, { group, id, lane }, now))
}

function peek(database: Database, group: string, id: string, lane: string): Promise<Admitted> {
  return database.read((tx) => database.store(inboxPort).peek(tx, { group, id, lane }))
}

async function takesOnce(database: Database): Promise<void> {
  expect(await peek(database, 'g', '1', 'a')).toBe('new')
  expect(await admit(database, 'g', '1', 'a')).toBe('new')
  expect(await admit(database, 'g', '1', 'a')).toBe('duplicate')
  expect(await peek(database, 'g', '1', 'a')).toBe('duplicate')
  expect(await admit(database, 'h', '1', 'a')).toBe('new')
  expect(await admit(database, 'g', '2', 'a')).toBe('new')
}

async function forgetsRolledBack(database: Database): Promise<void> {
  await rolledBack(database, async (tx) => {
    expect(await database.store(inboxPort).admit(tx, { group: 'g', id: '1', lane: 'a' }, 1)).toBe('new')
  })
  expect(await admit(database, 'g', '1', 'a')).toBe('new')
}

async function takesOnceConcurrently(database: Database): Promise<void> {
  const answers = await Promise.all(Array.from({ length: 20 }, () => admit(database, 'g', '1', 'a')))
  expect(answers.filter((answer) => answer === 'new')).toHaveLength(1)
  expect(answers.filter((answer) => answer === 'duplicate')).toHaveLength(19)
}

async function seesParked(database: Database): Promise<void> {
  await database.transaction((tx) => database.store(keyQueuePort).push(tx, parkedMessage('a', '1', 0)))
  expect(await peek(database, 'g', '2', 'a')).toBe('parked')
  expect(await admit(database, 'g', '2', 'a')).toBe('parked')
  expect(await admit(database, 'g', '2', 'a')).toBe('duplicate')
  expect(await admit(database, 'g', '3', 'b')).toBe('new')
  expect(await admit(database, 'h', '4', 'a')).toBe('new')
}

/** Each that is let in fails and is parked: who comes at the same time has to see it, or would be handled before it. */
async function holdsLane(database: Database): Promise<void> {
  const handle = (n: number) =>
    database.transaction(async (tx) => {
      const admitted = await database.store(inboxPort).admit(tx, { group: 'g', id: `${n}`, lane: 'a' }, 1)
      await database.store(keyQueuePort).push(tx, parkedMessage('a', `${n}`, 0))
      return admitted
    })
  const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => handle(n)))
  expect(answers.filter((answer) => answer === 'new')).toHaveLength(1)
  expect(answers.filter((answer) => answer === 'parked')).toHaveLength(11)
  expect(await database.read((tx) => database.store(keyQueuePort).upcoming(tx, 'g', 100))).toHaveLength(1)
}

async function cleans(database: Database): Promise<void> {
  for (let n = 1; n <= 5; n += 1) await admit(database, 'g', String(n), 'a', n * 100)
  await admit(database, 'h', 'other', 'a', 100)
  const clean = (limit: number) => database.transaction((tx) => database.store(inboxPort).clean(tx, 'g', 400, limit))
  expect(await clean(2)).toBe(2)
  expect(await clean(2)).toBe(1)
  expect(await clean(2)).toBe(0)
  expect(await peek(database, 'g', '3', 'a')).toBe('new')
  expect(await peek(database, 'g', '4', 'a')).toBe('duplicate')
  expect(await peek(database, 'h', 'other', 'a')).toBe('duplicate')
}

async function knowsByMark(database: Database): Promise<void> {
  const inbox = database.store(inboxPort)
  const mark = (...places: { partition: string; offset: number }[]) => database.transaction((tx) => inbox.mark(tx, 'g', places))
  const ask = (offset: number, more: { group?: string; partition?: string; old?: boolean } = {}) => {
    const { group = 'g', partition = 'p1', old = true } = more
    const admission = { group, id: `${partition}@${offset}`, lane: 'a', place: { partition, offset }, old }
    return database.read((tx) => inbox.peek(tx, admission))
  }
  await mark({ partition: 'p1', offset: 10 }, { partition: 'p2', offset: 3 })
  await mark({ partition: 'p1', offset: 7 })
  expect(await ask(10)).toBe('duplicate')
  expect(await ask(1)).toBe('duplicate')
  expect(await ask(11)).toBe('new')
  expect(await ask(4, { partition: 'p2' })).toBe('new')
  expect(await ask(1, { partition: 'p3' })).toBe('new')
  expect(await ask(10, { group: 'h' })).toBe('new')
  // A bus that was made anew counts from the beginning: what was published just now is not taken for settled.
  expect(await ask(10, { old: false })).toBe('new')
  const redelivered = { group: 'g', id: 'x', lane: 'a', place: { partition: 'p1', offset: 10 }, old: true }
  expect(await database.transaction((tx) => inbox.admit(tx, redelivered, 1))).toBe('duplicate')
}

async function keepsUnmarked(database: Database): Promise<void> {
  const inbox = database.store(inboxPort)
  for (const offset of [1, 2, 3]) {
    const admission = { group: 'g', id: String(offset), lane: 'a', place: { partition: 'p', offset } }
    await database.transaction((tx) => inbox.admit(tx, admission, offset))
  }
  const clean = () => database.transaction((tx) => inbox.clean(tx, 'g', 1_000, 10))
  expect(await clean()).toBe(0)
  await database.transaction((tx) => inbox.mark(tx, 'g', [{ partition: 'p', offset: 2 }]))
  expect(await clean()).toBe(2)
  expect(await peek(database, 'g', '3', 'a')).toBe('duplicate')
}
