import { type Database, refuse } from '@banyan/core'
import { expect, it } from 'vitest'
import { saga } from './define.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type SagaStore, sagaStorePort } from './store.ts'
import { type Bench, bench, line } from './test/bench.ts'

interface Trip {
  tripId: string
}

const v1 = { version: 1, key: ({ tripId }: Trip) => tripId }
const none = nothing('it holds for a minute')

/** Lets the writes of the journal wait, before they are done or before their answer. */
function slowed(b: Bench, around: (batch: Parameters<SagaStore['write']>[0], write: SagaStore['write']) => ReturnType<SagaStore['write']>) {
  const store = b.database.store(sagaStorePort)
  const { write } = store
  Object.assign(store, { write: (batch: Parameters<SagaStore['write']>[0]) => around(batch, write) })
  return store
}

/** A line on which the answer to the first claim that gets something is lost. */
function losing() {
  let lost = 0
  const over = (database: Database): Database => ({
    ...database,
    async transaction(body) {
      const result = await database.transaction(body)
      if (!Array.isArray(result) || result.length === 0 || lost > 0) return result
      lost += 1
      throw Object.assign(new Error('the answer was lost'), { code: 'ERR_COMMIT_UNKNOWN' })
    },
  })
  return { ...line(), over, lost: () => lost }
}

/** As from a process that runs no worker. */
async function startElsewhere(b: Bench, store: SagaStore, definition: Parameters<typeof startSaga<Trip>>[1], trip: Trip): Promise<void> {
  await b.database.transaction((tx) => {
    const stores = (port: never) => ((port as unknown) === sagaStorePort ? { ...store } : tx.store(port))
    return startSaga({ ...tx, store: stores as typeof tx.store }, definition, trip)
  })
}

it('a saga is not taken up again from a row that it has left behind', async () => {
  const b = bench()
  const hotel = Promise.withResolvers<void>()
  let slow: PromiseWithResolvers<void> | undefined
  const store = slowed(b, async (batch, write) => {
    const result = await write(batch)
    await slow?.promise
    return result
  })
  const note = (what: string, { input }: { input: Trip }) => void b.calls.push(`${input.tripId} ${what}`)
  const trip = saga<Trip>('trip', v1)
    .step('hotel', {
      do: async (c) => {
        note('hotel', c)
        await hotel.promise
      },
      undo: (c) => note('hotel back', c),
    })
    .step('flight', { do: (c) => note('flight', c), undo: (c) => note('flight back', c) })
    .step('car', { do: () => refuse('none'), undo: none })
    .done()
  const bad = losing()
  await b.run([trip], { line: bad })
  await startSaga(b.database, trip, { tripId: 't1' })
  await b.world.advance(500)
  // Another one is claimed, and the answer to that is lost: the worker looks at all that are its own.
  await startElsewhere(b, store, trip, { tripId: 't2' })
  await b.world.advance(400)
  expect(bad.lost()).toBe(1)
  const answer = Promise.withResolvers<void>()
  slow = answer
  // The hotel is stored now, and that is heard late.
  hotel.resolve()
  await b.world.advance(1_500)
  slow = undefined
  answer.resolve()
  await b.world.advance(1_000)
  expect((await b.admin.list({ key: 't1' }))[0]?.status).toBe('compensated')
  expect(b.calls.filter((call) => call.startsWith('t1'))).toEqual(['t1 hotel', 't1 flight', 't1 flight back', 't1 hotel back'])
})

it('a saga that ends while its row is read is not taken up again from that', async () => {
  const b = bench()
  const hotel = Promise.withResolvers<void>()
  const trip = saga<Trip>('trip', v1)
    .step('hotel', {
      do: async (c) => {
        b.calls.push(`${c.input.tripId} hotel`)
        if (c.input.tripId === 't1') await hotel.promise
      },
      undo: none,
    })
    .done()
  const store = slowed(b, (batch, write) => write(batch))
  const bad = losing()
  const answers: PromiseWithResolvers<void>[] = []
  // The looks at what may be this worker's: the list of it, and then the rows.
  const over = (database: Database): Database => ({
    ...bad.over(database),
    async read(body) {
      const result = await database.read(body)
      if (!Array.isArray(result) || !result.some((row) => row?.key === 't1')) return result
      const answer = Promise.withResolvers<void>()
      if (answers.push(answer) > 1) await answer.promise
      return result
    },
  })
  await b.run([trip], { line: { ...bad, over } })
  await startSaga(b.database, trip, { tripId: 't1' })
  await b.world.advance(500)
  await startElsewhere(b, store, trip, { tripId: 't2' })
  await b.world.advance(2_000)
  hotel.resolve()
  await b.world.advance(100)
  expect((await b.admin.list({ key: 't1' }))[0]?.status).toBe('completed')
  for (const answer of answers) answer.resolve()
  await b.world.advance(1_000)
  expect(b.calls).toEqual(['t1 hotel', 't2 hotel'])
})

it('the end of a lane is not thrown away because the end of another one is being stored', async () => {
  const b = bench()
  const slot = Promise.withResolvers<void>()
  const filler = saga<Trip>('filler', v1)
    .step('wait', { do: () => slot.promise, undo: none })
    .done()
  const trip = saga<Trip>('trip', v1)
    .all({
      hotel: { do: () => void b.calls.push('hotel'), undo: none },
      flight: { do: () => void b.calls.push('flight'), undo: none },
    })
    .done()
  const stored = Promise.withResolvers<void>()
  const store = slowed(b, async (batch, write) => {
    if (batch.advances.some(({ entry }) => entry.step === 'hotel')) await stored.promise
    return write(batch)
  })
  // As with PostgreSQL: two units of writes on their way at once.
  Object.assign(store, { writesAtOnce: 2 })
  await b.run([filler, trip], { concurrency: 2 })
  await startSaga(b.database, filler, { tripId: 'f' })
  await startSaga(b.database, trip, { tripId: 't1' })
  await b.world.advance(100)
  // The flight begins and ends while the end of the hotel is being stored.
  slot.resolve()
  await b.world.advance(100)
  stored.resolve()
  await b.world.advance(1_000)
  expect(b.calls).toEqual(['hotel', 'flight'])
})
