import type { Database } from '@banyan/core'
import { deadLettersPort, type Failure, keyQueuePort, type NewParkedMessage, type ParkedMessage } from '@banyan/messaging/internal'
import { describe, expect, it } from 'vitest'
import { parkedMessage, rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'

const failure: Failure = { reason: 'failed', code: 'ERR_X', message: 'no', stack: 'at x', firstAt: 10, lastAt: 20 }
const dead = (lane: string, id: string, more: Partial<NewParkedMessage> = {}): NewParkedMessage =>
  parkedMessage(lane, id, 0, { parking: { kind: 'dead', attempts: 6, failure }, ...more })

/** What every key queue must do: one head a lane, the rest in order behind it, and dead letters that people can decide about. */
export function keyQueueSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name}: key queue`, () => {
    it('lets the first of a lane be due and the rest wait behind it', withDatabase(options, queuesBehindHead))
    it('takes a message of a group once', withDatabase(options, pushesOnce))
    it('makes the next due when one leaves, in order', withDatabase(options, promotesNext))
    it('gives what is due soonest first, of its group only', withDatabase(options, ordersUpcoming))
    it('refuses to claim what has changed or gone since it was read', withDatabase(options, claimsByRevision))
    it('keeps every field of a message and its failure', withDatabase(options, keepsFields))
    it('takes a failure whose texts hold the character NUL', withDatabase(options, takesNul))
    it('wakes when something becomes due', withDatabase(options, wakesWhenDue))
    it('forgets what rolled back: a message that came, changed or went', withDatabase(options, forgetsRolledBack))
  })
  describe(`${name}: dead letters`, () => {
    it('finds by group, type, key, reason and id, page by page', withDatabase(options, findsDead))
    it('counts keys, dead letters and those that wait', withDatabase(options, counts))
    it('keeps the decisions, newest first', withDatabase(options, audits))
    it('finds, and keeps a decision about, what holds the character NUL', withDatabase(options, decidesNul))
  })
}

function push(database: Database, ...messages: NewParkedMessage[]): Promise<void> {
  return database.transaction(async (tx) => {
    for (const message of messages) await database.store(keyQueuePort).push(tx, message)
  })
}

function upcoming(database: Database, group = 'g'): Promise<ParkedMessage[]> {
  return database.read((tx) => database.store(keyQueuePort).upcoming(tx, group, 100))
}

async function headOf(database: Database): Promise<ParkedMessage> {
  const [head] = await upcoming(database)
  if (!head) throw new Error('nothing is due')
  return head
}

function remove(database: Database, message: ParkedMessage, now: number): Promise<ParkedMessage | undefined> {
  return database.transaction((tx) => database.store(keyQueuePort).remove(tx, message, now))
}

async function queuesBehindHead(database: Database): Promise<void> {
  await push(database, parkedMessage('a', 'a1', 5), parkedMessage('a', 'a2', 1), parkedMessage('b', 'b1', 9))
  expect((await upcoming(database)).map(({ messageId }) => messageId)).toEqual(['a1', 'b1'])
  const lanes = await database.read((tx) => database.store(keyQueuePort).parkedLanes(tx, 'g', ['a', 'c', `o'b`, 'b']))
  expect([...lanes].sort()).toEqual(['a', 'b'])
  expect(await database.read((tx) => database.store(keyQueuePort).parkedLanes(tx, 'other', ['a']))).toEqual(new Set())
}

async function pushesOnce(database: Database): Promise<void> {
  await push(database, parkedMessage('a', 'a1', 5), parkedMessage('a', 'a1', 5), parkedMessage('a', 'a1', 5, { group: 'h' }))
  const next = await remove(database, await headOf(database), 9)
  expect(next).toBeUndefined()
  expect(await upcoming(database, 'h')).toHaveLength(1)
}

async function promotesNext(database: Database): Promise<void> {
  await push(database, dead('a', 'a1'), parkedMessage('a', 'a2', 0), parkedMessage('a', 'a3', 0), parkedMessage('b', 'b1', 50))
  const [letter] = await database.read((tx) => database.store(deadLettersPort).find(tx, {}, 0, 10))
  if (!letter) throw new Error('the dead letter is missing')
  const second = await remove(database, letter, 33)
  expect(second).toMatchObject({ messageId: 'a2', parking: { kind: 'due', attempts: 0, dueAt: 33 } })
  if (!second) throw new Error('the second is missing')
  expect(await upcoming(database)).toContainEqual(second)
  expect(await remove(database, second, 34)).toMatchObject({ messageId: 'a3', parking: { kind: 'due', dueAt: 34 } })
}

async function ordersUpcoming(database: Database): Promise<void> {
  await push(
    database,
    parkedMessage('a', '1', 30),
    parkedMessage('b', '2', 10),
    parkedMessage('c', '3', 20),
    parkedMessage('d', '4', 1, { group: 'h' }),
  )
  expect((await upcoming(database)).map(({ messageId }) => messageId)).toEqual(['2', '3', '1'])
}

async function claimsByRevision(database: Database): Promise<void> {
  await push(database, parkedMessage('a', 'a1', 5))
  const seen = await headOf(database)
  const claim = () => database.transaction((tx) => database.store(keyQueuePort).claim(tx, seen))
  expect(await claim()).toBe(true)
  await database.transaction((tx) => database.store(keyQueuePort).save(tx, seen.position, { kind: 'due', attempts: 1, dueAt: 9, failure }))
  expect(await claim()).toBe(false)
  const again = await headOf(database)
  expect(again.revision).toBeGreaterThan(seen.revision)
  await remove(database, again, 9)
  expect(await claim()).toBe(false)
}

async function keepsFields(database: Database): Promise<void> {
  const message = parkedMessage('a', 'a1', 0, { parking: { kind: 'due', attempts: 2, dueAt: 7, failure }, traceId: 'abc', parkedAt: 44 })
  const bare = parkedMessage('b', 'b1', 8, { type: undefined, key: undefined, raw: 'rubbish', traceId: undefined })
  await push(database, message, bare)
  const [first, second] = await upcoming(database)
  expect(first).toEqual({ ...message, position: expect.any(Number), revision: expect.any(Number) })
  expect(second).toEqual({ ...bare, position: expect.any(Number), revision: expect.any(Number) })
  const state = { kind: 'dead', attempts: 3, failure: { ...failure, code: undefined, stack: undefined } } as const
  await database.transaction((tx) => database.store(keyQueuePort).save(tx, first?.position ?? 0, state, '{"new":1}'))
  const [letter] = await database.read((tx) => database.store(deadLettersPort).find(tx, {}, 0, 10))
  expect(letter).toMatchObject({ parking: state, raw: '{"new":1}' })
}

async function takesNul(database: Database): Promise<void> {
  const odd: Failure = { ...failure, code: 'ERR\0X', message: 'a\0b', stack: 'at\0x' }
  const known = {
    code: expect.stringMatching(/^ERR.X$/s),
    message: expect.stringMatching(/^a.b$/s),
    stack: expect.stringMatching(/^at.x$/s),
  }
  await push(database, dead('a', 'a1', { parking: { kind: 'dead', attempts: 1, failure: odd } }))
  const letters = () => database.read((tx) => database.store(deadLettersPort).find(tx, {}, 0, 10))
  expect(await letters()).toMatchObject([{ parking: { failure: known } }])
  const [letter] = await letters()
  const again = { kind: 'dead', attempts: 2, failure: odd } as const
  await database.transaction((tx) => database.store(keyQueuePort).save(tx, letter?.position ?? 0, again))
  expect(await letters()).toMatchObject([{ parking: { attempts: 2, failure: known } }])
}

async function wakesWhenDue(database: Database): Promise<void> {
  const queue = database.store(keyQueuePort)
  let wakes = 0
  const stop = queue.onDue(() => {
    wakes += 1
  })
  await push(database, dead('a', 'a1'))
  expect(wakes).toBe(0)
  await push(database, parkedMessage('b', 'b1', 0))
  expect(wakes).toBe(1)
  const [letter] = await database.read((tx) => database.store(deadLettersPort).find(tx, {}, 0, 10))
  await database.transaction((tx) => queue.save(tx, letter?.position ?? 0, { kind: 'due', attempts: 0, dueAt: 1, failure }))
  expect(wakes).toBe(2)
  stop()
  await push(database, parkedMessage('c', 'c1', 0))
  expect(wakes).toBe(2)
}

async function forgetsRolledBack(database: Database): Promise<void> {
  const queue = database.store(keyQueuePort)
  await push(database, parkedMessage('a', 'a1', 5), parkedMessage('a', 'a2', 6))
  const before = await headOf(database)
  let wakes = 0
  const stop = queue.onDue(() => {
    wakes += 1
  })
  await rolledBack(database, (tx) => queue.push(tx, parkedMessage('b', 'b1', 0)))
  await rolledBack(database, (tx) => queue.save(tx, before.position, { kind: 'dead', attempts: 6, failure }, '{"new":1}'))
  await rolledBack(database, async (tx) => void (await queue.remove(tx, before, 9)))
  stop()
  expect(await upcoming(database)).toEqual([before])
  expect(wakes).toBe(0)
}

async function findsDead(database: Database): Promise<void> {
  await push(
    database,
    dead('a', '1'),
    dead('b', '2', { type: 'seat.freed' }),
    dead('c', '3', { group: 'h', parking: { kind: 'dead', attempts: 1, failure: { ...failure, reason: 'invalid' } } }),
    parkedMessage('d', '4', 0),
  )
  const store = database.store(deadLettersPort)
  const find = async (...[filter, after = 0, limit = 10]: [Parameters<typeof store.find>[1], number?, number?]) =>
    (await database.read((tx) => store.find(tx, filter, after, limit))).map(({ messageId }) => messageId)
  expect(await find({})).toEqual(['1', '2', '3'])
  expect(await find({ group: 'g' })).toEqual(['1', '2'])
  expect(await find({ group: 'g', type: 'seat.freed' })).toEqual(['2'])
  expect(await find({ key: 'a' })).toEqual(['1'])
  expect(await find({ reason: 'invalid' })).toEqual(['3'])
  const [second] = await database.read((tx) => store.find(tx, { key: 'b' }, 0, 1))
  expect(await find({ id: second?.position ?? 0 })).toEqual(['2'])
  expect(await find({}, second?.position)).toEqual(['3'])
  expect(await find({}, 0, 1)).toEqual(['1'])
}

async function counts(database: Database): Promise<void> {
  const store = database.store(deadLettersPort)
  expect(await database.read((tx) => store.stats(tx))).toEqual([])
  await push(
    database,
    dead('a', '1', { parkedAt: 70 }),
    parkedMessage('a', '2', 0),
    parkedMessage('a', '3', 0),
    dead('b', '4', { parkedAt: 60 }),
    parkedMessage('c', '5', 0),
    parkedMessage('c', '6', 0, { group: 'h' }),
  )
  expect(await database.read((tx) => store.stats(tx))).toEqual([
    { group: 'g', parkedKeys: 3, deadLetters: 2, waiting: 3, oldestDeadAt: 60 },
    { group: 'h', parkedKeys: 1, deadLetters: 0, waiting: 1, oldestDeadAt: undefined },
  ])
  expect(await database.read((tx) => store.followers(tx, 'g', 'a'))).toBe(2)
}

async function audits(database: Database): Promise<void> {
  const store = database.store(deadLettersPort)
  const record = { by: 'eva', why: 'fixed', at: 5, group: 'g', messageId: 'm', raw: '{}' } as const
  await database.transaction(async (tx) => {
    await store.audit(tx, { ...record, deadLetter: 1, action: 'edit' })
    await store.audit(tx, { ...record, deadLetter: 2, action: 'discard' })
    await store.audit(tx, { ...record, deadLetter: 1, action: 'redrive' })
  })
  const history = (id?: number) => database.read((tx) => store.history(tx, id, 10))
  expect(await history()).toMatchObject([{ action: 'redrive' }, { action: 'discard' }, { action: 'edit' }])
  expect(await history(1)).toEqual([
    { ...record, deadLetter: 1, action: 'redrive' },
    { ...record, deadLetter: 1, action: 'edit' },
  ])
}

async function decidesNul(database: Database): Promise<void> {
  const store = database.store(deadLettersPort)
  await push(database, dead('a\0', 'm\0'), dead('b', 'n'))
  const found = await database.read((tx) => store.find(tx, { key: 'a\0' }, 0, 10))
  expect(found).toMatchObject([{ messageId: expect.stringMatching(/^m.$/s) }])
  // As the envelope has it: in its JSON the character is a word.
  const record = { deadLetter: 1, action: 'discard', by: 'eva', why: 'fixed', at: 5, group: 'g', messageId: 'm\0', raw: '{}' } as const
  await database.transaction((tx) => store.audit(tx, record))
  expect(await database.read((tx) => store.history(tx, 1, 10))).toEqual([{ ...record, messageId: expect.stringMatching(/^m.$/s) }])
}
