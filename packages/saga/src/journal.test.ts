import { manualWorld } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { sagaJournal } from './journal.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import type { NewSagaRecord, SagaAdvance, SagaBatch, SagaStore } from './store.ts'
import { bench } from './test/bench.ts'

/** A store whose writes end when the test says so. */
function slowStore() {
  const writes: { batch: SagaBatch; end: (error?: Error) => void }[] = []
  // The journal calls nothing but `write`.
  const store = {
    world: manualWorld(),
    write: (batch: SagaBatch) =>
      new Promise((resolve, reject) => {
        const result = { ids: batch.starts.map(({ id }) => id), moved: batch.advances.map(({ id }) => id !== 'fenced') }
        writes.push({ batch, end: (error) => (error ? reject(error) : resolve(result)) })
      }),
  } as unknown as SagaStore
  const sizes = () => writes.map(({ batch }) => batch.starts.length + batch.advances.length)
  return { journal: sagaJournal(store), writes, sizes }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const move = (id: string) => ({ id }) as SagaAdvance
const begin = (id: string, key: string = id) => ({ id, name: 'trip', key }) as NewSagaRecord

describe('the journal', () => {
  it('writes a lone one at once, and those that come meanwhile together', async () => {
    const { journal, writes, sizes } = slowStore()
    const first = journal.advance(move('a'))
    expect(sizes()).toEqual([1])
    const others = [journal.advance(move('b')), journal.advance(move('fenced')), journal.start(begin('s'))]
    expect(sizes()).toEqual([1])
    writes[0]?.end()
    expect(await first).toBe(true)
    await settled()
    expect(sizes()).toEqual([1, 3])
    writes[1]?.end()
    expect(await Promise.all(others)).toEqual([true, false, 's'])
  })

  it('writes two of one saga, or of one key, one after the other', async () => {
    const { journal, writes, sizes } = slowStore()
    const all = [move('x'), move('a'), move('a'), move('b')].map((step) => journal.advance(step))
    const starts = [journal.start(begin('s1', 'k')), journal.start(begin('s2', 'k'))]
    for (let n = 0; n < 3; n += 1) {
      writes[n]?.end()
      await settled()
    }
    expect(sizes()).toEqual([1, 3, 2])
    await Promise.all([...all, ...starts])
  })

  it('writes each by itself when they failed together, so that one does not take the others with it', async () => {
    const { journal, writes, sizes } = slowStore()
    const first = journal.advance(move('x'))
    const both = [journal.advance(move('bad')), journal.advance(move('good'))]
    const ends = Promise.allSettled(both)
    writes[0]?.end()
    await first
    await settled()
    writes[1]?.end(new Error('too big'))
    await settled()
    writes[2]?.end(new Error('too big'))
    await settled()
    writes[3]?.end()
    expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(sizes()).toEqual([1, 2, 1, 1])
  })
})

describe('commits', () => {
  const four = saga<{ id: string }>('four', { version: 1, key: ({ id }) => id })
    .step('a', { do: () => 1, undo: nothing('x') })
    .step('b', { do: () => 1, undo: nothing('x') })
    .step('c', { do: () => 1, undo: nothing('x') })
    .step('d', { do: () => 1, undo: nothing('x') })
    .done()

  it('of a lone saga of N remote steps are N + 1', async () => {
    const b = bench()
    await b.run([four])
    await b.world.advance(0)
    const before = b.database.commits()
    await startSaga(b.database, four, { id: '1' })
    await b.world.advance(0)
    expect((await b.only()).status).toBe('completed')
    expect(b.database.commits() - before).toBe(5)
  })

  it('are shared by sagas that run at the same time', async () => {
    const b = bench()
    await b.run([four])
    await b.world.advance(0)
    const before = b.database.commits()
    await Promise.all(Array.from({ length: 64 }, (_, n) => startSaga(b.database, four, { id: `${n}` })))
    await b.world.advance(0)
    expect(await b.admin.list({ status: 'completed', limit: 100 })).toHaveLength(64)
    expect((b.database.commits() - before) / 64).toBeLessThan(0.3)
  })
})
