import type { Database } from '@banyan/core'
import { type OutboxEntry, type OutboxRecord, outboxLogPort, outboxPort } from '@banyan/messaging/internal'
import { describe, expect, it } from 'vitest'
import { rolledBack, type StoreSuiteOptions, withDatabase } from './messaging-store-suite.ts'

const record = (key: string, n: number): OutboxRecord => ({
  id: `${key}-${n}`,
  type: 'seat.taken',
  key,
  body: `["seat.taken/1","${key}-${n}","suite","${key}",${1_000 + n},{"data":${n}}]`,
  time: 1_000 + n,
})

const keyOf = ({ body }: OutboxEntry) => String(JSON.parse(body)[3])
const numberOf = ({ body }: OutboxEntry) => Number(JSON.parse(body)[5].data)

/** What every outbox must do: positions in commit order, nothing lost, and progress only for the holder of the lease. */
export function outboxSuite(name: string, options: StoreSuiteOptions): void {
  describe(`${name}: outbox`, () => {
    it('keeps the order of one transaction, and of transactions one after another', withDatabase(options, keepsOrder))
    it('gives bodies back as they were, whatever stands in them, and in their keys', withDatabase(options, keepsTexts))
    it('holds nothing of what rolled back', withDatabase(options, forgetsRolledBack))
    it('keeps the order within a key under concurrent writers', withDatabase(options, ordersConcurrentWriters))
    it('wakes after commits that appended, not after others', withDatabase(options, wakesAfterCommit))
    it('wakes who reads the partitions that were appended to', withDatabase(options, wakesReaders))
    it('reads on from a position, and never goes back', withDatabase(options, readsFromCursor))
    it('moves on for the current epoch only', withDatabase(options, fencesByEpoch))
    it('never uses a position again after everything was sent', withDatabase(options, neverReusesPositions))
    it('tells the backlog and its oldest', withDatabase(options, countsBacklog))
    it('keeps a lease as it was saved', withDatabase(options, keepsLease))
    it('holds a partition for who has loaded it', withDatabase(options, holdsPartition))
    it('keeps all events of a key in one partition', withDatabase(options, keepsKeysTogether))
    it('marks no position that was never drawn: the event that gets it would not be sent', withDatabase(options, marksDrawn))
    it('drops nothing that is not sent, however often it is tidied', withDatabase(options, tidiesSent))
  })
}

const ODD_TEXTS = ['\x1e', '\x1e0', '\x1e1', 'a\x1e1b', '"a"', '\\', '\n', ',', '😀', 'ü']

async function keepsTexts(database: Database): Promise<void> {
  const records = ODD_TEXTS.map((text, n): OutboxRecord => ({ ...record(text, n), body: `{"n":${n}} ${text}` }))
  await append(database, ...records)
  expect((await readAll(database)).map(({ body }) => body)).toEqual(records.map(({ body }) => body))
}

function append(database: Database, ...records: OutboxRecord[]): Promise<void> {
  return database.transaction((tx) => database.store(outboxPort).append(tx, records))
}

async function readAll(database: Database, limit = 1_000): Promise<OutboxEntry[]> {
  const log = database.store(outboxLogPort)
  const all: OutboxEntry[] = []
  for (let partition = 0; partition < log.partitions; partition += 1) all.push(...(await log.read(partition, undefined, limit)))
  return all.sort((one, other) => one.position - other.position)
}

/** Takes the lease of every partition under `epoch`. */
function hold(database: Database, epoch: number): Promise<void> {
  const log = database.store(outboxLogPort)
  return database.transaction(async (tx) => {
    for (let partition = 0; partition < log.partitions; partition += 1) {
      await log.load(tx, partition)
      await log.saveLease(tx, partition, { kind: 'held', epoch, owner: `owner ${epoch}`, expiresAt: 5_000 })
    }
  })
}

/** Marks everything as sent; gives back which partitions let it. */
async function sendAll(database: Database, epoch: number): Promise<boolean[]> {
  const log = database.store(outboxLogPort)
  const moved: boolean[] = []
  for (let partition = 0; partition < log.partitions; partition += 1) {
    const done = (await log.read(partition, undefined, 1_000_000)).at(-1)?.position
    if (done === undefined) continue
    moved.push(
      await database.transaction((tx) => log.advance(tx, partition, { epoch, done, expiresAt: 9_000, setbacks: log.setbacks?.() })),
    )
  }
  return moved
}

async function keepsOrder(database: Database): Promise<void> {
  await append(database, record('a', 1), record('a', 2))
  await append(database, record('a', 3))
  const entries = await readAll(database)
  expect(entries.map(({ body }) => body)).toEqual([1, 2, 3].map((n) => record('a', n).body))
  const positions = entries.map(({ position }) => position)
  expect(positions).toEqual([...positions].sort((one, other) => one - other))
  expect(await readAll(database, 2)).toEqual(entries.slice(0, 2))
}

async function readsFromCursor(database: Database): Promise<void> {
  const log = database.store(outboxLogPort)
  const numbers = (entries: readonly OutboxEntry[]) => entries.map(numberOf)
  const all = () => Array.from({ length: log.partitions }, (_, partition) => partition)
  const readFrom = async (after: number | undefined, limit: number) =>
    (await Promise.all(all().map((partition) => log.read(partition, after, limit)))).flat()
  await append(database, record('a', 1), record('a', 2), record('a', 3))
  const [first, second] = await readFrom(undefined, 10)
  expect(numbers(await readFrom(first?.position, 10))).toEqual([2, 3])
  expect(numbers(await readFrom(first?.position, 1))).toEqual([2])
  expect(await readFrom(second?.position ?? 0, 10)).toHaveLength(1)
  await hold(database, 1)
  await sendAll(database, 1)
  // A relay that reads behind what another has sent may get less, never a wrong order.
  expect(await readFrom(undefined, 10)).toEqual([])
  const advance = (done: number) =>
    database.transaction(async (tx) => {
      for (const partition of all()) await log.advance(tx, partition, { epoch: 1, done, expiresAt: 9_000, setbacks: log.setbacks?.() })
    })
  await advance(0)
  await log.tidy()
  expect(await readFrom(undefined, 10)).toEqual([])
}

async function forgetsRolledBack(database: Database): Promise<void> {
  await rolledBack(database, (tx) => database.store(outboxPort).append(tx, [record('a', 1)]))
  expect(await readAll(database)).toEqual([])
}

async function ordersConcurrentWriters(database: Database): Promise<void> {
  // As in real life, those who write about one thing take turns at its row: the order of the turns is the order wanted.
  await database.migrate([{ id: 'suite', sql: 'create table turns (id text primary key, n integer not null)' }])
  const keys = [0, 1, 2, 3].map((index) => `key ${index}`)
  await database.transaction(async (tx) => {
    for (const key of keys) await tx.sql`insert into turns (id, n) values (${key}, 0)`
  })
  await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      database.transaction(async (tx) => {
        const key = `key ${index % 4}`
        const [turn] = await tx.sql<{ n: number }>`update turns set n = n + 1 where id = ${key} returning n`
        tx.beforeCommit(() => database.store(outboxPort).append(tx, [record(key, turn?.n ?? 0)]))
      }),
    ),
  )
  const entries = await readAll(database)
  expect(entries).toHaveLength(60)
  for (const key of keys) {
    const numbers = entries.filter((entry) => keyOf(entry) === key).map(numberOf)
    expect(numbers).toEqual(Array.from({ length: 15 }, (_, n) => n + 1))
  }
}

async function wakesAfterCommit(database: Database): Promise<void> {
  const outbox = database.store(outboxPort)
  let wakes = 0
  const stop = outbox.onAppend(() => {
    wakes += 1
  })
  await database.transaction(async () => {})
  await rolledBack(database, (tx) => outbox.append(tx, [record('a', 1)]))
  expect(wakes).toBe(0)
  await append(database, record('a', 1))
  expect(wakes).toBeGreaterThan(0)
  const before = wakes
  stop()
  await append(database, record('a', 2))
  expect(wakes).toBe(before)
}

async function wakesReaders(database: Database): Promise<void> {
  const log = database.store(outboxLogPort)
  let woken: ReadonlySet<number> | undefined
  const stop = database.store(outboxPort).onAppend((partitions) => {
    woken = partitions
  })
  const ends = Array.from({ length: log.partitions }, () => 0)
  for (const keys of [['a'], ['b'], ['c'], ['d'], ['a', 'b', 'c', 'd', 'e']]) {
    await append(database, ...keys.map((key) => record(key, 1)))
    for (const [partition, end] of ends.entries()) {
      const last = (await log.read(partition, end, 100)).at(-1)
      // One that is not told which partitions they were reads all of them.
      if (woken) expect(woken.has(partition)).toBe(last !== undefined)
      ends[partition] = last?.position ?? end
    }
  }
  stop()
}

async function fencesByEpoch(database: Database): Promise<void> {
  await append(database, record('a', 1))
  expect(await sendAll(database, 0)).toEqual([false])
  await hold(database, 1)
  await hold(database, 2)
  expect(await sendAll(database, 1)).toEqual([false])
  expect(await readAll(database)).toHaveLength(1)
  expect(await sendAll(database, 2)).toEqual([true])
  expect(await readAll(database)).toEqual([])
}

async function neverReusesPositions(database: Database): Promise<void> {
  await hold(database, 1)
  const seen = new Set<number>()
  for (let n = 1; n <= 5; n += 1) {
    await append(database, record('a', n), record('b', n))
    for (const { position } of await readAll(database)) {
      expect(seen.has(position)).toBe(false)
      seen.add(position)
    }
    await sendAll(database, 1)
  }
  await append(database, record('a', 99))
  expect((await readAll(database)).map(numberOf)).toEqual([99])
}

async function countsBacklog(database: Database): Promise<void> {
  const stats = () => database.read((tx) => database.store(outboxLogPort).stats(tx))
  expect(await stats()).toEqual({ backlog: 0, oldestAt: undefined })
  await hold(database, 1)
  await append(database, record('a', 1))
  await sendAll(database, 1)
  await append(database, record('a', 7), record('a', 8), record('a', 9))
  expect(await stats()).toEqual({ backlog: 3, oldestAt: 1_007 })
  await sendAll(database, 1)
  expect(await stats()).toEqual({ backlog: 0, oldestAt: undefined })
}

async function keepsLease(database: Database): Promise<void> {
  const log = database.store(outboxLogPort)
  const load = () => database.transaction((tx) => log.load(tx, 0))
  expect(await load()).toEqual({ lease: { kind: 'free', epoch: 0 }, done: 0 })
  await hold(database, 7)
  expect((await load()).lease).toEqual({ kind: 'held', epoch: 7, owner: 'owner 7', expiresAt: 5_000 })
  await database.transaction((tx) => log.saveLease(tx, 0, { kind: 'free', epoch: 7 }))
  expect((await load()).lease).toEqual({ kind: 'free', epoch: 7 })
}

/** Else two relays would take the same lease under one epoch. */
async function holdsPartition(database: Database): Promise<void> {
  const log = database.store(outboxLogPort)
  const takeOver = () =>
    database.transaction(async (tx) => {
      const { lease } = await log.load(tx, 0)
      await log.saveLease(tx, 0, { kind: 'free', epoch: lease.epoch + 1 })
    })
  await Promise.all(Array.from({ length: 10 }, takeOver))
  expect((await database.transaction((tx) => log.load(tx, 0))).lease.epoch).toBe(10)
}

async function keepsKeysTogether(database: Database): Promise<void> {
  const log = database.store(outboxLogPort)
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  for (const n of [1, 2, 3]) await append(database, ...keys.map((key) => record(key, n)))
  for (const n of [4, 5, 6]) for (const key of keys) await append(database, record(key, n))
  const places = new Map<string, Set<number>>()
  for (let partition = 0; partition < log.partitions; partition += 1)
    for (const key of (await log.read(partition, undefined, 1_000)).map(keyOf))
      places.set(key, (places.get(key) ?? new Set()).add(partition))
  expect([...places].map(([key, { size }]) => `${key} in ${size}`).sort()).toEqual(keys.map((key) => `${key} in 1`))
}

async function tidiesSent(database: Database): Promise<void> {
  const log = database.store(outboxLogPort)
  await hold(database, 1)
  await append(database, record('a', 1), record('a', 2), record('a', 3))
  const [first, ...rest] = await readAll(database)
  const progress = { epoch: 1, done: first?.position ?? 0, expiresAt: 9_000, setbacks: log.setbacks?.() }
  for (let partition = 0; partition < log.partitions; partition += 1)
    await database.transaction((tx) => log.advance(tx, partition, progress))
  for (let n = 0; n < 3; n += 1) await log.tidy()
  expect(await readAll(database)).toEqual(rest)
  expect((await database.read((tx) => log.stats(tx))).backlog).toBe(2)
}

/** As a relay would that outlives a database which is restored from before. */
async function marksDrawn(database: Database): Promise<void> {
  const log = database.store(outboxLogPort)
  await hold(database, 1)
  expect(await readAll(database)).toEqual([])
  for (let partition = 0; partition < log.partitions; partition += 1) {
    const progress = { epoch: 1, done: 1_000, expiresAt: 9_000, setbacks: log.setbacks?.() }
    expect(await database.transaction((tx) => log.advance(tx, partition, progress))).toBe(false)
  }
  await append(database, record('a', 1))
  expect(await readAll(database)).toHaveLength(1)
}
