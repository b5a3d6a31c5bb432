import { AsyncLocalStorage } from 'node:async_hooks'
import { refuse, type Transaction } from '@banyan/core'
import { expect, it } from 'vitest'
import { saga } from './define.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { sagaSignalsPort } from './store.ts'
import { type Bench, bench } from './test/bench.ts'

// A database may run the body of a transaction again before it commits: what counts is what the last run came to.

const v1 = { version: 1, key: ({ n }: { n: number }) => `${n}` }
const one = { n: 1 }

/** So that it is not taken for a transaction inside another one. */
const outside = AsyncLocalStorage.snapshot()

/** Breaks the commit that it shares with the transaction that runs now: each of the two runs again by itself. */
async function breakCommit(b: Bench): Promise<unknown> {
  const broken = b.database.transaction((tx) => tx.sql`insert into rooms (id, hotel) values (1, 404)`)
  return broken.then(
    () => undefined,
    (error) => error,
  )
}

async function withRooms(): Promise<Bench> {
  const b = bench()
  const sql = `create table hotels (id integer primary key);
    create table rooms (id integer primary key, hotel integer not null references hotels (id) deferrable initially deferred)`
  await b.database.migrate([{ id: '001-rooms', sql }])
  return b
}

it('a local step that worked, and was refused as it ran again, is refused', async () => {
  const b = await withRooms()
  const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let runs = 0
  const room = async (_tx: Transaction) => {
    runs += 1
    if (runs > 1) return refuse('full')
    begun.resolve()
    await goOn.promise
    return 'a room'
  }
  const definition = saga<{ n: number }>('trip', v1)
    .local('room', { do: room, undo: nothing('a note') })
    .step('pay', { do: () => void b.calls.push('pay'), undo: () => void b.calls.push('pay back') })
    .done()
  await b.run([definition])
  await startSaga(b.database, definition, one)
  await begun.promise
  const broken = breakCommit(b)
  goOn.resolve()
  expect(await broken).toMatchObject({ code: 'ERR_SQL_CONSTRAINT' })
  await b.world.advance(1_000)
  expect({ runs, calls: b.calls, status: (await b.only()).status }).toEqual({ runs: 2, calls: [], status: 'compensated' })
})

it('a child that was on its way, and has ended as its parent asks again, is not awaited', async () => {
  const b = await withRooms()
  const child = saga<{ n: number }>('child', v1)
    .pivot('go', { local: () => 1 })
    .sleep('rest', 600_000)
    .done()
  const parent = saga<{ n: number }>('parent', v1)
    .child('kid', child, { input: (c) => c.input, undo: () => void b.calls.push('kid back') })
    .done()
  await b.run([child, parent])
  const { id } = await startSaga(b.database, parent, one)
  await b.world.advance(1_000)
  const signals = b.database.store(sagaSignalsPort)
  const { take } = signals
  const ended = JSON.stringify({ status: 'completed' })
  let runs = 0
  Object.assign(signals, {
    async take(...args: Parameters<typeof take>) {
      const [tx] = args
      runs += 1
      if (runs === 1) void outside(breakCommit, b)
      else await tx.sql`update banyan_sagas set status = 'completed', live = 0, state = ${ended}, wake_at = null where name = 'child'`
      return take(...args)
    },
  })
  await b.admin.cancel(id, { by: 'ada', reason: 'the customer wants out' })
  await b.world.advance(1_000)
  expect({ runs, calls: b.calls, status: (await b.admin.show(id)).status }).toEqual({ runs: 2, calls: ['kid back'], status: 'compensated' })
})
