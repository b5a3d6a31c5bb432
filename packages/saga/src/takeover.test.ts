import { type Database, refuse, type Transaction } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type NewSagaRecord, sagaStorePort } from './store.ts'
import { type Bench, bench, line } from './test/bench.ts'
import { addEffect } from './test/database.ts'

interface Trip {
  tripId: string
}

const note = (tx: Transaction, effect: string) => addEffect(tx, effect)

/** As a process would have it: steps note who made them, and those in `hang` never answer. */
function travel({ calls }: Bench, who: string, hang: readonly string[] = [], version = 1) {
  const call = (name: string, attempt: number) => {
    calls.push(`${who} ${name} ${attempt}`)
    return hang.includes(name) ? new Promise<never>(() => {}) : undefined
  }
  return saga<Trip>('trip', { version, key: ({ tripId }) => tripId })
    .step('hotel', { do: (c) => call('hotel', c.attempt), undo: (c) => call('hotel back', c.attempt) })
    .local('file', { do: (tx) => note(tx, `${who} filed`), undo: (tx) => note(tx, `${who} unfiled`) })
    .step('flight', { do: (c) => call('flight', c.attempt), undo: (c) => call('flight back', c.attempt) })
    .done()
}

const start = ({ database }: Bench, definition: ReturnType<typeof travel>, tripId = 't1') =>
  database.transaction((tx) => startSaga(tx, definition, { tripId }))

describe('after a crash', () => {
  it('another worker goes on where the dead one stood, within the lease', async () => {
    const b = bench()
    const dead = line()
    const old = travel(b, 'old', ['flight'])
    await b.run([old], { line: dead })
    await start(b, old)
    await b.world.advance(0)
    dead.cut()
    await b.run([travel(b, 'new')], { workerId: 'other' })
    await b.world.advance(1_900)
    expect(b.calls).toEqual(['old hotel 1', 'old flight 1'])
    await b.world.advance(400)
    expect(await b.only()).toMatchObject({ status: 'completed', worker: 'other/0' })
    expect(b.calls).toEqual(['old hotel 1', 'old flight 1', 'new flight 1'])
    expect(await b.database.effects()).toEqual(['old filed'])
  })

  it('the same worker goes on at once when it comes back', async () => {
    const b = bench()
    const dead = line()
    const old = travel(b, 'old', ['flight'])
    await b.run([old], { line: dead })
    await start(b, old)
    await b.world.advance(0)
    dead.cut()
    await b.run([travel(b, 'new')])
    await b.world.advance(0)
    expect((await b.only()).status).toBe('completed')
  })

  it('the cursor step counts as attempted: its refusal proves nothing', async () => {
    const b = bench()
    const dead = line()
    const old = travel(b, 'old', ['flight'])
    await b.run([old], { line: dead })
    await start(b, old)
    await b.world.advance(0)
    dead.cut()
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: () => 1, undo: () => void b.calls.push('hotel back') })
      .local('file', { do: () => 1, undo: () => void b.calls.push('unfiled') })
      .step('flight', { do: () => refuse('full'), undo: () => void b.calls.push('flight back') })
      .done()
    await b.run([definition])
    await b.world.advance(0)
    expect(b.calls.slice(2)).toEqual(['flight back', 'unfiled', 'hotel back'])
  })

  it('a pause goes on where it was', async () => {
    const b = bench()
    const dead = line()
    const failing = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: () => Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 60_000 })), undo: nothing('x') })
      .done()
    await b.run([failing], { line: dead })
    await start(b, failing)
    await b.world.advance(0)
    dead.cut()
    const attempts: number[] = []
    const fine = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: (c) => void attempts.push(c.attempt), undo: nothing('x') })
      .done()
    await b.run([fine])
    await b.world.advance(59_000)
    expect(attempts).toEqual([])
    await b.world.advance(1_000)
    expect(attempts).toEqual([2])
  })

  it('a saga whose start was committed and not seen by its worker is found', async () => {
    const b = bench()
    const asleep = line()
    const definition = travel(b, 'new')
    await b.run([definition], { line: asleep })
    // The worker dies after the commit, before it hears of it.
    await b.database.transaction((tx) => startSaga({ ...tx, afterCommit: () => {} }, definition, { tripId: 't1' }))
    await b.world.advance(0)
    expect(b.calls).toEqual([])
    asleep.cut()
    await b.run([definition])
    await b.world.advance(0)
    expect((await b.only()).status).toBe('completed')
  })
})

describe('a worker that slept through its lease', () => {
  it('drops what it has in memory, stores nothing more, and goes on under a free name', async () => {
    const b = bench()
    const asleep = line()
    const signals: AbortSignal[] = []
    let answer: () => void = () => {}
    const slow = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', {
        do(c) {
          signals.push(c.signal)
          return new Promise<void>((resolve) => {
            answer = resolve
          })
        },
        undo: nothing('x'),
      })
      .local('file', { do: (tx) => note(tx, 'sleeper filed'), undo: nothing('x') })
      .done()
    const worker = await b.run([slow], { line: asleep })
    await start(b, slow as ReturnType<typeof travel>)
    await b.world.advance(0)
    asleep.cut()
    const fast = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: () => 1, undo: nothing('x') })
      .local('file', { do: (tx) => note(tx, 'rival filed'), undo: nothing('x') })
      .done()
    const rival = await b.run([fast], { workerId: 'rival' })
    await b.world.advance(2_500)
    expect(await b.database.effects()).toEqual(['rival filed'])
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    asleep.mend()
    await b.world.advance(1_000)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    answer()
    await b.world.advance(1_000)
    expect(await b.database.effects()).toEqual(['rival filed'])
    expect((await worker.health?.())?.detail).toBe('0 running, 0 waiting, 0 stuck, as orders/0')
    expect((await rival.health?.())?.detail).toContain('as rival/0')
    expect(b.logged.some(({ message }) => message.includes('lost its lease'))).toBe(true)
  })

  it('begins nothing while it is not sure of its lease', async () => {
    const b = bench()
    const definition = travel(b, 'a')
    const worker = await b.run([definition])
    b.database.breakWith(new Error('disk away'))
    await b.world.advance(2_500)
    b.database.breakWith(undefined)
    expect((await worker.health?.())?.healthy).toBe(false)
    await start(b, definition)
    await b.world.advance(0)
    expect(b.calls).toEqual([])
    await b.world.advance(1_000)
    expect((await b.only()).status).toBe('completed')
    expect((await worker.health?.())?.healthy).toBe(true)
  })
})

describe('a worker that was not sure of its lease for a moment', () => {
  it('still takes the saga that was stored in that moment as its own', async () => {
    const b = bench()
    const definition = travel(b, 'a')
    await b.run([definition])
    await b.world.advance(0)
    await b.database.transaction(async (tx) => {
      await startSaga(tx, definition, { tripId: 't-1' })
      // Longer than the lease, which is not renewed meanwhile: the database has one writer.
      await b.world.advance(2_500)
    })
    await b.world.advance(2_000)
    expect((await b.only()).status).toBe('completed')
  })
})

it('a renewal that took longer than the lease wakes what waited for it', async () => {
  const b = bench()
  const slow = line()
  let answer: () => void = () => {}
  const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
    .step('hotel', { do: () => new Promise<void>((resolve) => (answer = resolve)), undo: nothing('x') })
    .step('flight', { do: () => void b.calls.push('flight'), undo: nothing('x') })
    .done()
  await b.run([definition], { line: slow })
  await startSaga(b.database, definition, { tripId: 't1' })
  await b.world.advance(0)
  // Two slow renewals, each begun and followed by the next one while the lease is sure; in the second one it is not sure for a moment.
  slow.cut()
  await b.world.advance(1_175)
  slow.mend()
  await b.world.advance(25)
  slow.cut()
  await b.world.advance(1_550)
  answer()
  await b.world.advance(0)
  expect(b.calls).toEqual([])
  slow.mend()
  await b.world.advance(3_000)
  expect(b.calls).toEqual(['flight'])
})

describe("a saga that was stored as a worker's own and never handed to it", () => {
  it('is looked for by the worker itself', async () => {
    const b = bench()
    const definition = travel(b, 'a')
    await b.run([definition])
    await b.world.advance(0)
    // As when the answer to COMMIT is lost, or another data layer does not say that it has committed.
    await b.database.transaction((tx) => startSaga({ ...tx, afterCommit() {} }, definition, { tripId: 't-1' }))
    await b.world.advance(500)
    expect(b.calls).toEqual([])
    await b.world.advance(2_000)
    expect((await b.only()).status).toBe('completed')
    expect(b.calls).toEqual(['a hotel 1', 'a flight 1'])
  })

  it('is not begun again by who hears of the commit when it has run already', async () => {
    const b = bench()
    const definition = travel(b, 'a')
    await b.run([definition])
    await b.world.advance(0)
    let committed = () => {}
    await b.database.transaction((tx) => startSaga({ ...tx, afterCommit: (call) => (committed = call) }, definition, { tripId: 't-1' }))
    await b.world.advance(2_500)
    expect((await b.only()).status).toBe('completed')
    committed()
    await b.world.advance(2_500)
    expect(b.calls).toEqual(['a hotel 1', 'a flight 1'])
  })

  it('is begun by who hears of the commit when nobody looks for it any more', async () => {
    const b = bench()
    const definition = travel(b, 'a')
    await b.run([definition])
    await b.world.advance(0)
    let committed = () => {}
    let commit = () => {}
    const open = new Promise<void>((resolve) => (commit = resolve))
    const store = b.database.store(sagaStorePort)
    const { insert } = store
    // A transaction of another data layer that is open for minutes: what it has written is not seen.
    Object.assign(store, {
      async insert(_tx: Transaction, record: NewSagaRecord) {
        void open.then(() => b.database.transaction((tx) => insert(tx, record)))
        return record.id
      },
    })
    await b.database.transaction((tx) => startSaga({ ...tx, afterCommit: (call) => (committed = call) }, definition, { tripId: 't-1' }))
    for (let second = 0; second < 140; second += 1) await b.world.advance(1_000)
    commit()
    await b.world.advance(0)
    committed()
    await b.world.advance(2_500)
    expect(b.calls).toEqual(['a hotel 1', 'a flight 1'])
  })

  it('is looked for when it was claimed and the answer was lost', async () => {
    const b = bench()
    const definition = travel(b, 'a')
    for (const tripId of ['t-1', 't-2']) await start(b, definition, tripId)
    let lost = 0
    const losing = {
      ...line(),
      over: (database: Database): Database => ({
        ...database,
        async transaction(body) {
          const result = await database.transaction(body)
          if (!Array.isArray(result) || result.length === 0 || lost > 0) return result
          lost += 1
          throw Object.assign(new Error('the answer was lost'), { code: 'ERR_COMMIT_UNKNOWN' })
        },
      }),
    }
    await b.run([definition], { line: losing })
    await b.world.advance(4_000)
    expect(lost).toBe(1)
    expect((await b.admin.list()).map(({ status }) => status)).toEqual(['completed', 'completed'])
    expect(b.calls.filter((call) => call.includes('flight'))).toHaveLength(2)
  })

  it('is not run by it when another life has it by then', async () => {
    const b = bench()
    const definition = travel(b, 'a')
    await b.run([definition])
    await b.world.advance(0)
    await b.database.transaction((tx) => startSaga({ ...tx, afterCommit() {} }, definition, { tripId: 't-1' }))
    const again = travel(b, 'b')
    await b.run([again])
    await b.world.advance(3_000)
    expect((await b.only()).status).toBe('completed')
    expect(b.calls.filter((call) => call.includes('flight'))).toHaveLength(1)
  })
})

describe('a worker that lost a saga in between', () => {
  it('leaves nothing of a local step: what it wrote goes with the advance that was refused', async () => {
    const b = bench()
    let stolen = false
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .local('file', {
        do(tx, c) {
          note(tx, 'filed')
          // As if another worker had taken it; the rollback gives it back.
          if (!stolen) void tx.sql`update banyan_sagas set owner = 'thief', epoch = 9 where id = ${c.id}`
          stolen = true
        },
        undo: nothing('x'),
      })
      .done()
    await b.run([definition])
    await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
    await b.world.advance(100)
    expect((await b.only()).status).toBe('completed')
    expect(await b.database.effects()).toEqual(['filed'])
  })

  it('does not take a saga that was started for its earlier life', async () => {
    const b = bench()
    const definition = travel(b, 'first', ['hotel'])
    await b.run([definition])
    let notify: () => void = () => {}
    const afterCommit = (call: () => void) => {
      notify = call
    }
    await b.database.transaction((tx) => startSaga({ ...tx, afterCommit }, definition, { tripId: 't1' }))
    await b.run([travel(b, 'second', ['hotel'])])
    await b.world.advance(2_000)
    notify()
    await b.world.advance(100)
    expect(b.calls).toEqual(['second hotel 1'])
  })
})

describe('two workers of one name', () => {
  it('share peacefully: the later one has the name, the earlier one takes the next', async () => {
    const b = bench()
    const first = await b.run([travel(b, 'first')])
    const second = await b.run([travel(b, 'second')])
    await b.world.advance(5_000)
    expect((await first.health?.())?.detail).toContain('as orders/1')
    expect((await second.health?.())?.detail).toContain('as orders/0')
    const warnings = b.logged.length
    await b.world.advance(20_000)
    expect(b.logged).toHaveLength(warnings)
  })
})

describe('stopping', () => {
  it('stops although the database is away, and says what becomes of its lease', async () => {
    const b = bench()
    const worker = await b.run([travel(b, 'only')])
    b.database.breakWith(new Error('the disk is gone'))
    await worker.stop()
    const given = b.logged.filter(({ message }) => message === 'the saga worker could not give its lease back; it ends by itself')
    expect(given).toMatchObject([{ level: 'warn', fields: { worker: 'orders/0', error: 'the disk is gone' } }])
  })

  it('finishes what is in flight, begins nothing new, and leaves the rest to others at once', async () => {
    const b = bench()
    let answer: () => void = () => {}
    const slow = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: () => new Promise<void>((resolve) => (answer = resolve)), undo: nothing('x') })
      .step('flight', { do: () => void b.calls.push('flight'), undo: nothing('x') })
      .done()
    const worker = await b.run([slow])
    await b.database.transaction((tx) => startSaga(tx, slow, { tripId: 't1' }))
    await b.world.advance(0)
    const stopped = worker.stop()
    answer()
    await b.world.advance(10)
    await stopped
    expect(await b.only()).toMatchObject({ status: 'running', step: 'flight' })
    expect(b.calls).toEqual([])
    await b.run([slow], { workerId: 'other' })
    await b.world.advance(0)
    expect(b.calls).toEqual(['flight'])
  })

  it('gives up on what takes longer than `drainMs`; the attempt counts as not made', async () => {
    const b = bench()
    const definition = travel(b, 'a', ['flight'])
    const worker = await b.run([definition], { drainMs: 1_000 })
    await start(b, definition)
    await b.world.advance(0)
    const stopped = worker.stop()
    await b.world.advance(1_000)
    await stopped
    expect(await b.only()).toMatchObject({ status: 'running', step: 'flight', failures: 0 })
  })

  it('gives up on local steps after `drainMs`: the one that hangs, and those behind it that have not begun', async () => {
    const b = bench()
    const reasons: unknown[] = []
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .local('file', {
        do: async (tx, c) => {
          b.calls.push(c.input.tripId)
          await note(tx, `filed ${c.input.tripId}`)
          c.signal.addEventListener('abort', () => reasons.push(c.signal.reason.code))
          return new Promise<never>(() => {})
        },
        undo: nothing('x'),
      })
      .done()
    const worker = await b.run([definition], { drainMs: 1_000, leaseMs: 60_000 })
    // All in one commit: those that follow stand behind the first one's step.
    await Promise.all(['t1', 't2', 't3'].map((tripId) => startSaga(b.database, definition, { tripId })))
    // Long enough for a look for others' sagas, which stands behind it, too.
    await b.world.advance(400)
    let stopped = false
    void worker.stop().then(() => (stopped = true))
    await b.world.advance(900)
    expect(stopped).toBe(false)
    await b.world.advance(150)
    expect(stopped).toBe(true)
    expect([b.calls, reasons]).toEqual([['t1'], ['ERR_WORKER_STOPPED']])
    expect(b.world.pendingTimers()).toBe(0)
    expect(await b.database.effects()).toEqual([])
    expect((await b.admin.list()).map(({ status, failures }) => `${status} ${failures}`)).toEqual(Array(3).fill('running 0'))
  })

  it('forgets what it claimed while it stopped', async () => {
    const b = bench()
    const busy = () => Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 10_000 }))
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: busy, undo: nothing('x') })
      .done()
    const first = await b.run([definition])
    await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(0)
    const over = first.stop()
    await b.world.advance(10)
    await over
    const store = b.database.store(sagaStorePort)
    const { claim } = store
    const asked = Promise.withResolvers<void>()
    const slowly: typeof claim = async (...how) => {
      await asked.promise
      return claim(...how)
    }
    Object.assign(store, { claim: slowly })
    const second = await b.run([definition])
    await b.world.advance(300)
    const stopped = second.stop()
    asked.resolve()
    await b.world.advance(100)
    await stopped
    expect(b.world.pendingTimers()).toBe(0)
    // It was claimed, so there was something to be forgotten.
    expect((await b.only()).worker).toBe('orders/0')
  })
})

describe('definitions', () => {
  it('that a worker does not have: their sagas are left alone and named in the log', async () => {
    const b = bench()
    const old = travel(b, 'old', ['flight'])
    const worker = await b.run([old], { drainMs: 0 })
    const { id } = await start(b, old)
    await b.world.advance(0)
    const stopped = worker.stop()
    await b.world.advance(1)
    await stopped
    await b.run([travel(b, 'new', [], 2)])
    await b.world.advance(10_000)
    expect(await b.only()).toMatchObject({ status: 'running', version: 1 })
    const warning = b.logged.find(({ message }) => message.includes('definition this worker does not have'))
    expect(warning?.fields).toMatchObject({ name: 'trip', version: 1, ids: [id] })
  })

  it('that lost a step: the saga is parked and stored as stuck, and goes on with one that has it', async () => {
    const b = bench()
    const old = travel(b, 'old', ['flight'])
    const worker = await b.run([old], { drainMs: 0 })
    const { id } = await start(b, old)
    await b.world.advance(0)
    const stopped = worker.stop()
    await b.world.advance(1)
    await stopped
    const shrunk = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: () => 1, undo: nothing('x') })
      .local('file', { do: () => 1, undo: nothing('x') })
      .done()
    const second = await b.run([shrunk])
    await b.world.advance(0)
    expect(await b.only()).toMatchObject({ status: 'stuck', step: 'flight', failure: { code: 'ERR_STEP_UNKNOWN' } })
    const again = second.stop()
    await b.world.advance(1)
    await again
    await b.admin.retry(id, { by: 'ada', reason: 'the step is back' })
    await b.run([travel(b, 'new')])
    await b.world.advance(0)
    expect((await b.only()).status).toBe('completed')
  })
})

it('an outage of the database after an effect does not make the worker forget it', async () => {
  const b = bench()
  let answer: () => void = () => {}
  const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
    .step('hotel', {
      do: () => {
        b.calls.push('hotel')
        return new Promise<void>((resolve) => (answer = resolve))
      },
      undo: nothing('x'),
    })
    .done()
  await b.run([definition])
  await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
  await b.world.advance(0)
  b.database.breakWith(new Error('disk away'))
  answer()
  await b.world.advance(1_000)
  b.database.breakWith(undefined)
  await b.world.advance(300)
  expect((await b.only()).status).toBe('completed')
  expect(b.calls).toEqual(['hotel'])
})
