import { manualWorld } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { sagaJournal } from './journal.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import type { NewSagaRecord, SagaAdvance, SagaBatch, SagaStore } from './store.ts'
import { bench } from './test/bench.ts'

/** A store whose writes end when the test says so. */
function slowStore(writesAtOnce = 2) {
  const writes: { batch: SagaBatch; end: (error?: Error) => void }[] = []
  // The journal calls nothing but `write`.
  const store = {
    world: manualWorld(),
    writesAtOnce,
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
  it('writes a lone one at once, a second one beside it, and those that come meanwhile together', async () => {
    const { journal, writes, sizes } = slowStore()
    const first = journal.advance(move('a'))
    expect(sizes()).toEqual([1])
    const second = journal.advance(move('b'))
    const others = [journal.advance(move('c')), journal.advance(move('fenced')), journal.start(begin('s'))]
    expect(sizes()).toEqual([1, 1])
    writes[0]?.end()
    expect(await first).toBe(true)
    await settled()
    expect(sizes()).toEqual([1, 1, 3])
    writes[1]?.end()
    writes[2]?.end()
    expect(await second).toBe(true)
    expect(await Promise.all(others)).toEqual([true, false, 's'])
  })

  it('writes one unit after the other where the store can use no more', async () => {
    const { journal, writes, sizes } = slowStore(1)
    const all = ['a', 'b', 'c'].map((id) => journal.advance(move(id)))
    await settled()
    expect(sizes()).toEqual([3])
    all.push(journal.advance(move('d')), journal.advance(move('e')))
    await settled()
    expect(sizes()).toEqual([3])
    writes[0]?.end()
    await settled()
    expect(sizes()).toEqual([3, 2])
    writes[1]?.end()
    expect(await Promise.all(all)).toEqual([true, true, true, true, true])
  })

  it('of many that come at once lets half go while the other half is still coming', async () => {
    const { journal, writes, sizes } = slowStore()
    const advance = (count: number) => Array.from({ length: count }, (_, n) => journal.advance(move(`${sizes().length}-${n}`)))
    const all = [...advance(1), ...advance(1), ...advance(6)]
    writes[0]?.end()
    writes[1]?.end()
    await settled()
    expect(sizes()).toEqual([1, 1, 6])
    all.push(...advance(4))
    expect(sizes()).toEqual([1, 1, 6, 4])
    for (const { end } of writes) end()
    await Promise.all(all)
  })

  it('writes two of one saga, or of one key, one after the other, also when the first is still under way', async () => {
    const { journal, writes, sizes } = slowStore()
    const all = [move('x'), move('a'), move('a'), move('b')].map((step) => journal.advance(step))
    const starts = [journal.start(begin('s1', 'k')), journal.start(begin('s2', 'k'))]
    expect(sizes()).toEqual([1, 1])
    writes[0]?.end()
    await settled()
    // Not the second of "a", which is under way, and one start of "k".
    expect(writes[2]?.batch.advances.map(({ id }) => id)).toEqual(['b'])
    expect(writes[2]?.batch.starts.map(({ id }) => id)).toEqual(['s1'])
    writes[1]?.end()
    await settled()
    expect(writes[3]?.batch.advances.map(({ id }) => id)).toEqual(['a'])
    expect(writes[3]?.batch.starts).toEqual([])
    writes[2]?.end()
    writes[3]?.end()
    await settled()
    writes[4]?.end()
    expect(writes[4]?.batch.starts.map(({ id }) => id)).toEqual(['s2'])
    await Promise.all([...all, ...starts])
  })

  it('writes each by itself when they failed together, so that one does not take the others with it', async () => {
    const { journal, writes, sizes } = slowStore()
    const before = [journal.advance(move('x')), journal.advance(move('y'))]
    const both = [journal.advance(move('bad')), journal.advance(move('good'))]
    const ends = Promise.allSettled(both)
    writes[0]?.end()
    await before[0]
    await settled()
    writes[2]?.end(new Error('too big'))
    await settled()
    writes[3]?.end(new Error('too big'))
    await settled()
    writes[4]?.end()
    writes[1]?.end()
    expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(sizes()).toEqual([1, 1, 2, 1, 1])
    await Promise.all(before)
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
