import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, it } from 'vitest'
import { saga } from './define.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { bench } from './test/bench.ts'

interface Trip {
  tripId: string
}

it('a saga runs in the context of its worker, not of the request that started it', async () => {
  const b = bench()
  const request = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
    .step('hotel', { do: () => void seen.push(request.getStore()), undo: nothing('x') })
    .done()
  await b.run([definition])
  await request.run('a deadline', () => b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' })))
  await b.world.advance(0)
  expect(seen).toEqual([undefined])
})

it('a saga that is woken runs in the context of its worker, not of what woke it', async () => {
  const b = bench()
  const request = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
    .approve('boss', { withinMs: 60_000, otherwise: 'undo' })
    .step('hotel', { do: () => void seen.push(request.getStore()), undo: nothing('x') })
    .done()
  await b.run([definition])
  const { id } = await request.run('a request', () => startSaga(b.database, definition, { tripId: 't1' }))
  await b.world.advance(0)
  await request.run('a deadline', () => b.admin.approve(id, { by: 'ada', reason: 'fine' }))
  await b.world.advance(0)
  expect(seen).toEqual([undefined])
})
