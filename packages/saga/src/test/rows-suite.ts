// How a saga's history lies in a database, and that nothing of it is lost between the ways of two versions.
import type { Database } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { type NewSagaRecord, type SagaAdvance, type SagaStanding, sagaArchivePort, sagaStorePort, sagaWorkersPort } from '../internal.ts'

export interface RowsSuiteOptions<D extends Database> {
  /** The test's database, as a process of this version opens it; the caller closes it. */
  open(): D
  /** The same as a process of the version before does, whose rows had no history. */
  openBefore(): D
  /** What that version says to its database. */
  readonly before: {
    start(database: D, saga: NewSagaRecord): Promise<void>
    /** The attempts of this suite, which it numbers from 1. */
    move(database: D, move: SagaAdvance): Promise<void>
    retire(database: D, id: string): Promise<void>
    /** Looks for sagas of `trip` as its worker does. */
    claim(database: D): Promise<void>
  }
  /** A message as the database gives it back. */
  readonly shown: (message: string) => string
}

const ME = { worker: 'orders/0', epoch: 1 }
const TRIP = [{ name: 'trip', version: 1 }]

function standing(status: 'running' | 'completed'): SagaStanding {
  return { status, parked: false, step: status === 'running' ? 'b' : undefined, wakeAt: undefined, channel: undefined, state: '{}' }
}

/** A saga that {@link attempt} moves. */
export function started(id: string, input = '{}'): NewSagaRecord {
  const none = { report: undefined, traceparent: undefined, tracestate: undefined }
  return { id, name: 'trip', version: 1, key: id, ...standing('running'), input, owner: ME, ...none, createdAt: 1 }
}

/** The attempt that follows a revision. */
export function attempt(
  id: string,
  revision: number,
  { status = 'running', message }: { status?: 'running' | 'completed'; message?: string } = {},
): SagaAdvance {
  const entry = { step: 'a', action: 'do', outcome: 'failed', attempt: revision + 1, code: 'ERR_X', message, status } as const
  return { ...standing(status), id, owner: ME, revision, entry: { ...entry, worker: ME.worker, startedAt: 4, at: 5 } }
}

const numbers = (length: number, of: (n: number) => number = (n) => n + 1) => Array.from({ length }, (_, n) => of(n))
const start = (database: Database, ...ids: readonly string[]) =>
  database.store(sagaStorePort).write({ starts: ids.map((id) => started(id)), advances: [] })
const move = async (database: Database, ...advances: readonly SagaAdvance[]) =>
  (await database.store(sagaStorePort).write({ starts: [], advances })).moved
const claim = (database: Database) => database.transaction((tx) => tx.store(sagaStorePort).claim(tx, ME, TRIP, 1, 10))
const retire = (database: Database) => database.transaction((tx) => tx.store(sagaStorePort).retire(tx, 6, 10))
const find = (database: Database, id: string) => database.read((tx) => database.store(sagaArchivePort).find(tx, id))
const history = (database: Database, id: string) => database.read((tx) => database.store(sagaArchivePort).history(tx, id))
const attempts = async (database: Database, id: string) => (await history(database, id)).map((entry) => entry.attempt)

async function sizesInRows(database: Database): Promise<number[]> {
  const rows = await database.read((tx) => tx.sql<{ size: number }>`select length(history) as size from banyan_sagas order by id`)
  return rows.map(({ size }) => size)
}

export function sagaRowsSuite<D extends Database>({ open, openBefore, before, shown }: RowsSuiteOptions<D>): void {
  describe.each([
    ['by itself', ['s1']],
    ['in a batch', ['s1', 's2', 's3']],
  ] as const)('a step %s', (_, ids) => {
    it('does not write a long history again: what is beyond some lines has left the row', async () => {
      const database = open()
      await start(database, ...ids)
      for (let revision = 0; revision < 100; revision += 1) {
        expect(await move(database, ...ids.map((id) => attempt(id, revision)))).toEqual(ids.map(() => true))
        for (const size of await sizesInRows(database)) expect(size).toBeLessThan(2_000)
      }
      for (const id of ids) expect(await attempts(database, id)).toEqual(numbers(100))
    })

    it('nor that of a saga which is parked and taken up again and again', async () => {
      const database = open()
      await database.transaction((tx) => tx.store(sagaWorkersPort).enlist(tx, { id: ME.worker, now: 0, leaseMs: 1_000, force: false }))
      await start(database, ...ids)
      for (let revision = 0; revision < 100; revision += 2) {
        await move(database, ...ids.map((id) => ({ ...attempt(id, revision), status: 'waiting', parked: true, wakeAt: 1 }) as const))
        expect(await claim(database)).toHaveLength(ids.length)
        for (const size of await sizesInRows(database)) expect(size).toBeLessThan(2_000)
      }
      for (const id of ids) expect(await attempts(database, id)).toEqual(numbers(50, (n) => 2 * n + 1))
    })

    it('keeps a message in the row, in the table and in the archive, whatever its characters', async () => {
      const database = open()
      const message = 'a\u0000b \ud800 "c" \\ \\u0000 \u{1f333}\n,[],'
      await start(database, ...ids)
      for (let revision = 0; revision < 20; revision += 1) await move(database, ...ids.map((id) => attempt(id, revision, { message })))
      await move(database, ...ids.map((id) => attempt(id, 20, { message, status: 'completed' })))
      const messages = async () => {
        const all = await Promise.all(ids.map((id) => history(database, id)))
        return [...new Set(all.flat().map((entry) => entry.message))]
      }
      expect(await messages()).toEqual([shown(message)])
      expect(await retire(database)).toBe(ids.length)
      expect(await messages()).toEqual([shown(message)])
      expect(await attempts(database, 's1')).toHaveLength(21)
    })
  })

  describe('a batch', () => {
    it('moves what it can, and says which', async () => {
      const database = open()
      await start(database, 's1', 's2', 's3')
      await move(database, attempt('s1', 0), attempt('s2', 0))
      // The first has been written before, as where an answer was lost; the last is not there.
      const again = [attempt('s1', 0), attempt('s3', 0), attempt('s2', 1), attempt('s4', 0)]
      expect(await move(database, ...again)).toEqual([false, true, true, false])
      expect(await move(database, attempt('s1', 0), attempt('s4', 0))).toEqual([false, false])
      expect([await attempts(database, 's1'), await attempts(database, 's2'), await attempts(database, 's3')]).toEqual([[1], [1, 2], [1]])
    })

    it('takes out of their rows the lines of those that have enough and that it moves', async () => {
      const database = open()
      await start(database, 's1', 's2', 's3')
      for (let revision = 0; revision < 15; revision += 1) await move(database, attempt('s1', revision), attempt('s3', revision))
      await move(database, attempt('s2', 0))
      // Whoever lost a saga writes nothing of it.
      const lost = { ...attempt('s3', 15), owner: { ...ME, epoch: 0 } }
      expect(await move(database, attempt('s1', 15), attempt('s2', 1), lost)).toEqual([true, true, false])
      const [first, second, third] = await sizesInRows(database)
      expect(first).toBe(0)
      expect(second).toBeGreaterThan(0)
      expect(third).toBeGreaterThan(0)
      expect([await attempts(database, 's1'), await attempts(database, 's3')]).toEqual([numbers(16), numbers(15)])
    })
  })

  describe('a database of the version before', () => {
    it('is opened with its sagas, their history and the archive, and they go on', async () => {
      const old = openBefore()
      for (const id of ['s1', 's2', 's3']) await before.start(old, started(id, '{"guests":2}'))
      await before.move(old, attempt('s1', 0))
      for (const id of ['s2', 's3']) await before.move(old, attempt(id, 0, { status: 'completed' }))
      await before.retire(old, 's3')
      const database = open()
      expect(await find(database, 's1')).toMatchObject({ ...started('s1', '{"guests":2}'), revision: 1 })
      expect(await find(database, 's3')).toMatchObject({ status: 'completed', input: '{"guests":2}', revision: 1 })
      expect(await move(database, attempt('s1', 1))).toEqual([true])
      expect([await attempts(database, 's1'), await attempts(database, 's2'), await attempts(database, 's3')]).toEqual([[1, 2], [1], []])
      expect(await retire(database)).toBe(1)
      expect(await attempts(database, 's2')).toEqual([1])
      const { ids } = await database.store(sagaStorePort).write({ starts: [started('s4'), { ...started('s5'), key: 's3' }], advances: [] })
      expect(ids).toEqual(['s4', 's3'])
    })

    it('serves a process that still runs that version, in turns with this one', async () => {
      const old = openBefore()
      await before.start(old, started('s1'))
      await before.move(old, attempt('s1', 0))
      await before.claim(old)
      const database = open()
      expect(await move(database, attempt('s1', 1))).toEqual([true])
      await before.claim(old)
      await before.move(old, attempt('s1', 2))
      expect(await move(database, attempt('s1', 3, { status: 'completed' }))).toEqual([true])
      expect(await attempts(database, 's1')).toEqual([1, 2, 3, 4])
      // It would lose what it does not know of: it is refused, and this version archives it all.
      const refusal = 'a process of a newer version archives it'
      await expect(before.retire(old, 's1')).rejects.toThrow(refusal)
      expect(await retire(database)).toBe(1)
      expect(await attempts(database, 's1')).toEqual([1, 2, 3, 4])
      // Whatever this version did to be allowed to was for that once.
      await start(database, 's2')
      await move(database, attempt('s2', 0, { status: 'completed' }))
      await expect(before.retire(database, 's2')).rejects.toThrow(refusal)
    })
  })
}
