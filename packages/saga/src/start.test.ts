import { expect, it } from 'vitest'
import { saga } from './define.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { bench } from './test/bench.ts'

const trip = saga<{ tripId: string }>('trip', { version: 1, key: ({ tripId }) => tripId })
  .step('hotel', { do: () => 1, undo: nothing('it holds for a minute') })
  .done()

it('a saga is not started beside the transaction that is open, as it would run also when that is rolled back', async () => {
  const b = bench()
  const slip = b.database.transaction(async (tx) => {
    await tx.sql`select 1`
    // The mistake: `database` in the place of `tx`.
    await startSaga(b.database, trip, { tripId: 't1' })
  })
  await expect(slip).rejects.toMatchObject({ code: 'ERR_NESTED_TRANSACTION', message: expect.stringContaining('start saga "trip"') })
  expect(await b.admin.list()).toEqual([])
})

it('a saga is started by what a transaction has left behind, once that is over', async () => {
  const b = bench()
  const started = Promise.withResolvers<boolean>()
  await b.database.transaction(async (tx) => {
    tx.afterCommit(() => void startSaga(b.database, trip, { tripId: 't1' }).then((one) => started.resolve(one.started), started.reject))
  })
  expect(await started.promise).toBe(true)
})
