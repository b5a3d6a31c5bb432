import type { Database } from '@banyan/core'
import { type ParticipantRecord, participantPort } from '@banyan/saga/internal'
import { describe, expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'

/** What every store of participant keys must do: take each key once, with the transaction, and forget old ones. */
export function participantSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name}: participants`, () => {
    it('takes a key once, and then gives what is there', withDatabase(options, takesOnce))
    it('takes a key once among many at the same time', withDatabase(options, takesOnceConcurrently))
    it('forgets what rolled back', withDatabase(options, forgetsRolledBack))
    it('keeps how a key ended', withDatabase(options, keepsEnd))
    it('forgets the oldest keys of an operation, a bounded number at a time', withDatabase(options, forgets))
  })
}

function recordFor(key: string, more: Partial<ParticipantRecord> = {}): ParticipantRecord {
  return { key, operation: 'seats', state: 'done', fingerprint: 'f', result: undefined, at: 1, ...more }
}

function begin(database: Database, record: ParticipantRecord): Promise<ParticipantRecord | undefined> {
  return database.transaction((tx) => tx.store(participantPort).begin(tx, record))
}

function find(database: Database, key: string): Promise<ParticipantRecord | undefined> {
  return database.transaction((tx) => tx.store(participantPort).find(tx, key))
}

async function takesOnce(database: Database): Promise<void> {
  expect(await find(database, 'a')).toBeUndefined()
  expect(await begin(database, recordFor('a'))).toBeUndefined()
  expect(await begin(database, recordFor('a', { operation: 'meals', state: 'cancelled', fingerprint: undefined, at: 2 }))).toEqual(
    recordFor('a'),
  )
  expect(await begin(database, recordFor('b', { fingerprint: undefined }))).toBeUndefined()
  expect(await find(database, 'b')).toEqual(recordFor('b', { fingerprint: undefined }))
}

async function takesOnceConcurrently(database: Database): Promise<void> {
  const found = await Promise.all(Array.from({ length: 20 }, (_, at) => begin(database, recordFor('a', { at }))))
  const [first, ...others] = [found.filter((one) => one === undefined), ...found.filter((one) => one !== undefined)]
  expect(first).toHaveLength(1)
  expect(new Set(others.map((one) => one.at)).size).toBe(1)
}

async function forgetsRolledBack(database: Database): Promise<void> {
  await rolledBack(database, async (tx) => {
    await tx.store(participantPort).begin(tx, recordFor('a'))
    await tx.store(participantPort).finish(tx, 'a', { state: 'refused', result: '1', at: 2 })
  })
  expect(await find(database, 'a')).toBeUndefined()
}

async function keepsEnd(database: Database): Promise<void> {
  const finish = (state: ParticipantRecord['state'], result: string | undefined, at: number) =>
    database.transaction((tx) => tx.store(participantPort).finish(tx, 'a', { state, result, at }))
  await begin(database, recordFor('a'))
  await begin(database, recordFor('b'))
  await finish('done', '{"n":1}', 5)
  expect(await find(database, 'a')).toEqual(recordFor('a', { result: '{"n":1}', at: 5 }))
  await finish('undone', undefined, 6)
  expect(await find(database, 'a')).toEqual(recordFor('a', { state: 'undone', at: 6 }))
  expect(await find(database, 'b')).toEqual(recordFor('b'))
}

async function forgets(database: Database): Promise<void> {
  for (const at of [3, 1, 2, 4]) await begin(database, recordFor(`k${at}`, { at }))
  await begin(database, recordFor('m0', { operation: 'meals', at: 0 }))
  const forget = (before: number, limit: number, operation = 'seats') =>
    database.transaction((tx) => tx.store(participantPort).forget(tx, operation, before, limit))
  expect(await forget(4, 2)).toBe(2)
  expect([await find(database, 'k1'), await find(database, 'k2')]).toEqual([undefined, undefined])
  expect(await find(database, 'k3')).toBeDefined()
  expect(await forget(4, 2)).toBe(1)
  expect(await forget(4, 2)).toBe(0)
  expect(await find(database, 'm0')).toBeDefined()
  expect(await forget(4, 2, 'meals')).toBe(1)
  expect(await find(database, 'k4')).toBeDefined()
}
