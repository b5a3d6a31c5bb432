import type { Transaction } from '@banyan/core'
import { type OutboxRecord, outboxLogPort, outboxPort } from '@banyan/messaging/internal'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SqliteDatabase } from './sqlite-database.ts'
import { versionsAround } from './test/versions.ts'

// No position is ever used again, also not by those that open the file later, in an older version, or from beside.

const EPOCH = 1
const NOTED = { epoch: EPOCH, expiresAt: 9_000, setbacks: undefined }
const { open, openBefore } = versionsAround('banyan-007-outbox-positions')

const record = (n: number): OutboxRecord => ({ id: `${n}`, type: 'seat.taken', key: 'A1', body: `{"n":${n}}`, time: n })

function append(database: SqliteDatabase, ...numbers: number[]): Promise<void> {
  return database.transaction((tx) => database.store(outboxPort).append(tx, numbers.map(record)))
}

async function positions(tx: Pick<Transaction, 'sql'>): Promise<number[]> {
  return (await tx.sql<{ position: number }>`select position from banyan_outbox order by position`).map(({ position }) => position)
}

const doneOf = async (tx: Transaction) => (await tx.store(outboxLogPort).load(tx, 0)).done
const unsent = async (database: SqliteDatabase) => await database.store(outboxLogPort).read(0, undefined, 1_000)

function hold(database: SqliteDatabase): Promise<void> {
  return database.transaction(async (tx) => {
    await tx.store(outboxLogPort).saveLease(tx, 0, { kind: 'held', epoch: EPOCH, owner: 'relay', expiresAt: 5_000 })
  })
}

/** Marks the first `count` of what is not sent as sent, as a relay does. */
async function send(database: SqliteDatabase, count = 1_000): Promise<void> {
  const last = (await unsent(database)).slice(0, count).at(-1)
  if (last) await database.transaction((tx) => tx.store(outboxLogPort).advance(tx, 0, { ...NOTED, done: last.position }))
}

/** The same, in the words of the version before. */
async function sendBefore(database: SqliteDatabase): Promise<void> {
  const done = (await unsent(database)).at(-1)?.position
  if (done === undefined) return
  await database.transaction(async (tx) => {
    await tx.sql`update banyan_outbox_lease set done = max(done, ${done}) where partition = 0 and epoch = ${EPOCH}`
    await tx.sql`delete from banyan_outbox where position <= ${done} and position < (select min(position) from banyan_outbox) + 2000`
  })
}

describe('a file of the version before', () => {
  it('is opened with its unsent events, and their positions go on', async () => {
    const old = openBefore()
    await hold(old)
    await append(old, 1, 2, 3, 4)
    await old.transaction((tx) => tx.store(outboxLogPort).advance(tx, 0, { ...NOTED, done: 2 }))
    await old.close()
    const database = open()
    expect(await unsent(database)).toEqual([3, 4].map((n) => ({ position: n, body: `{"n":${n}}` })))
    await append(database, 5)
    expect((await unsent(database)).map(({ position }) => position)).toEqual([3, 4, 5])
  })

  it('goes on above what was sent when nothing is left in it, and sends nothing twice', async () => {
    const old = openBefore()
    await hold(old)
    await append(old, 1, 2, 3)
    await sendBefore(old)
    expect(await old.read(positions)).toEqual([])
    await old.close()
    const database = open()
    expect(await unsent(database)).toEqual([])
    expect(await database.read((tx) => database.store(outboxLogPort).stats(tx))).toEqual({ backlog: 0, oldestAt: undefined })
    await append(database, 4)
    expect(await unsent(database)).toEqual([{ position: 4, body: '{"n":4}' }])
  })

  it('begins at 1 when nothing was ever published', async () => {
    await openBefore().close()
    const database = open()
    await append(database, 1)
    expect(await database.read(positions)).toEqual([1])
  })

  it('serves a process that still runs that version', async () => {
    const old = openBefore()
    await hold(old)
    await append(old, 1)
    const database = open()
    await append(old, 2)
    await sendBefore(old)
    await append(database, 3)
    expect((await unsent(old)).map(({ position }) => position)).toEqual([3])
    await sendBefore(old)
    await append(old, 4)
    expect((await unsent(database)).map(({ position }) => position)).toEqual([4])
  })
})

describe('positions', () => {
  it('go on after all is sent, and after a restart', async () => {
    const first = open()
    await hold(first)
    await append(first, 1, 2, 3)
    await send(first)
    expect(await first.read(positions)).toEqual([3])
    await first.close()
    const second = open()
    await append(second, 4)
    expect(await unsent(second)).toEqual([{ position: 4, body: '{"n":4}' }])
  })

  it('go on when somebody deletes all rows', async () => {
    const database = open()
    await hold(database)
    await append(database, 1, 2, 3)
    await send(database)
    await database.transaction((tx) => tx.sql`delete from banyan_outbox`)
    await append(database, 4)
    expect((await unsent(database)).map(({ position }) => position)).toEqual([4])
  })

  it('are never used again, whoever appends, sends, rolls back, deletes and opens the file anew', async () => {
    const step = fc.record({
      who: fc.constantFrom(0, 1),
      what: fc.constantFrom('append', 'roll back', 'send', 'send one', 'send in old words', 'delete all', 'reopen'),
    })
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        round += 1
        const handles = [open(`round-${round}`), open(`round-${round}`)]
        await hold(handles[0] as SqliteDatabase)
        let highest = 0
        for (const { who, what } of steps) {
          const database = handles[who] as SqliteDatabase
          if (what === 'reopen') {
            await database.close()
            handles[who] = open(`round-${round}`)
          } else if (what === 'append') highest = await appendedAbove(database, highest)
          else await act(database, what)
        }
        await Promise.all(handles.map((one) => one.close()))
      }),
      { numRuns: 30 },
    )
  })
})

/** Appends one record and checks that its position is above all that any transaction has committed, and above what is sent. */
async function appendedAbove(database: SqliteDatabase, highest: number): Promise<number> {
  await append(database, highest)
  return database.transaction(async (tx) => {
    const newest = (await positions(tx)).at(-1) ?? 0
    expect(newest).toBeGreaterThan(highest)
    expect(newest).toBeGreaterThan(await doneOf(tx))
    return newest
  })
}

async function act(database: SqliteDatabase, what: 'roll back' | 'send' | 'send one' | 'send in old words' | 'delete all'): Promise<void> {
  if (what === 'send') await send(database)
  if (what === 'send one') await send(database, 1)
  if (what === 'send in old words') await sendBefore(database)
  if (what === 'delete all') await database.transaction((tx) => tx.sql`delete from banyan_outbox`)
  if (what !== 'roll back') return
  const failing = database.transaction(async (tx) => {
    await tx.store(outboxPort).append(tx, [record(0)])
    throw new Error('taken back')
  })
  await expect(failing).rejects.toThrow('taken back')
}
