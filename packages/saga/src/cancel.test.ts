import { describe, expect, it } from 'vitest'
import { decideIn } from './decide.ts'
import { saga } from './define.ts'
import type { SagaOptions } from './definition.ts'
import { startSaga } from './start.ts'
import { type SagaRecord, sagaArchivePort } from './store.ts'
import { type Bench, bench, line } from './test/bench.ts'

interface Trip {
  tripId: string
}

const ada = { by: 'ada', reason: 'the customer wants out' }

/** Hotel, flight, pay (pivot), mail; those in `hang` answer when `open` is called. */
function travel(b: Bench, hang: readonly string[], options: Partial<SagaOptions<Trip>> = {}) {
  const open = new Map<string, (value?: unknown) => void>()
  const call = (name: string) => {
    b.calls.push(name)
    return hang.includes(name) ? new Promise<unknown>((resolve) => open.set(name, resolve)) : undefined
  }
  const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId, ...options })
    .step('hotel', { do: () => call('hotel'), undo: () => call('hotel back') })
    .step('flight', { do: () => call('flight'), undo: () => call('flight back'), retry: { attempts: 3, baseMs: 1_000 } })
    .pivot('pay', { do: () => call('pay') })
    .step('mail', { do: () => call('mail'), retry: { attempts: 2 } })
    .done()
  return { definition, open }
}

async function begin(b: Bench, hang: readonly string[], options: Partial<SagaOptions<Trip>> = {}) {
  const { definition, open } = travel(b, hang, options)
  const worker = await b.run([definition], { drainMs: 0 })
  const { id } = await startSaga(b.database, definition, { tripId: 't1' })
  await b.world.advance(0)
  return { definition, open, worker, id }
}

describe('cancel', () => {
  it('undoes a saga once its attempt in flight has ended, that step included', async () => {
    const b = bench()
    const { open, id } = await begin(b, ['flight'])
    expect(await b.admin.cancel(id, ada)).toMatchObject({ status: 'undoing', step: 'flight', worker: 'orders/0' })
    await b.world.advance(1_000)
    expect(b.calls).toEqual(['hotel', 'flight'])
    open.get('flight')?.()
    await b.world.advance(0)
    expect(b.calls.slice(2)).toEqual(['flight back', 'hotel back'])
    expect(await b.only()).toMatchObject({
      status: 'compensated',
      failure: { code: 'ERR_SAGA_CANCELLED', message: 'ada: the customer wants out' },
      decisions: [{ action: 'cancel', step: 'flight', by: 'ada' }],
    })
  })

  it('undoes a saga that pauses at once, and attempts nothing of it any more', async () => {
    const b = bench()
    const { open, id } = await begin(b, ['flight'])
    open.get('flight')?.(Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 10_000 })))
    await b.world.advance(0)
    expect(await b.only()).toMatchObject({ status: 'waiting', worker: 'orders/0' })
    await b.admin.cancel(id, ada)
    await b.world.advance(0)
    expect(b.calls.slice(2)).toEqual(['flight back', 'hotel back'])
    await b.world.advance(20_000)
    expect(b.calls).toHaveLength(4)
  })

  it('undoes one that pauses in a worker elsewhere', async () => {
    const b = bench()
    const { open, id, definition } = await begin(b, ['flight'])
    open.get('flight')?.(Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 10_000 })))
    await b.world.advance(0)
    // Without a word to the workers of this process.
    await b.database.transaction(async (tx) => {
      const record = await b.database.store(sagaArchivePort).find(tx, id)
      await decideIn(tx, record as SagaRecord, definition, definition, { id, action: 'cancel', decided: ada })
    })
    // That a pause is over is known to its worker alone: from elsewhere it cannot be seen whether the next attempt is on its way.
    await b.world.advance(9_000)
    expect(b.calls).toHaveLength(2)
    await b.world.advance(1_000)
    expect(b.calls.slice(2)).toEqual(['flight back', 'hotel back'])
    await b.world.advance(20_000)
    expect(b.calls).toHaveLength(4)
  })

  it('undoes nothing elsewhere while an attempt is in flight, whatever the clock says of the pause before it', async () => {
    const b = bench()
    const answers = [() => Promise.reject(new Error('down')), () => new Promise<never>(() => {})]
    const flight = () => {
      b.calls.push('flight')
      return answers.shift()?.()
    }
    const trip = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('flight', { do: flight, undo: () => void b.calls.push('flight back') })
      .done()
    const first = line()
    await b.run([trip], { workerId: 'a', line: first })
    const { id } = await startSaga(b.database, trip, { tripId: 't1' })
    await b.world.advance(0)
    await b.run([trip], { workerId: 'b' })
    b.world.jump(-2_000)
    await b.world.advance(200)
    // So that the other one is first to look for what has no owner.
    first.cut()
    await b.admin.cancel(id, ada)
    await b.world.advance(1_000)
    expect(b.calls).toEqual(['flight', 'flight'])
  })

  it('undoes a saga whose worker died, without waiting for it', async () => {
    const b = bench()
    const { definition, id, worker } = await begin(b, ['flight'])
    const stopped = worker.stop()
    await b.world.advance(1)
    await stopped
    await b.admin.cancel(id, ada)
    await b.run([definition])
    await b.world.advance(0)
    expect(b.calls.slice(2)).toEqual(['flight back', 'hotel back'])
  })

  it('leaves out what was never begun', async () => {
    const b = bench()
    const { definition } = travel(b, [])
    const { id } = await startSaga(b.database, definition, { tripId: 't1' })
    // No worker has ever had it, and left its shape.
    await expect(b.admin.cancel(id, ada)).rejects.toThrow('no worker has ever run version 1 of "trip"')
    const worker = await b.run([definition], { concurrency: 1 })
    await b.world.advance(0)
    await worker.stop()
    const second = await startSaga(b.database, definition, { tripId: 't2' })
    await b.admin.cancel(second.id, ada)
    b.calls.length = 0
    await b.run([definition])
    await b.world.advance(0)
    expect(b.calls).toEqual([])
    expect(await b.admin.show(second.id)).toMatchObject({ status: 'compensated' })
  })

  it('is refused at and past the pivot, and changes nothing', async () => {
    const b = bench()
    const { open, id } = await begin(b, ['pay', 'mail'])
    const refused = { code: 'ERR_SAGA_PAST_PIVOT', status: 409 }
    await expect(b.admin.cancel(id, ada)).rejects.toMatchObject(refused)
    open.get('pay')?.()
    await b.world.advance(0)
    await expect(b.admin.cancel(id, ada)).rejects.toMatchObject(refused)
    open.get('mail')?.()
    await b.world.advance(0)
    await expect(b.admin.cancel(id, ada)).rejects.toMatchObject(refused)
    expect(await b.only()).toMatchObject({ status: 'completed', decisions: [] })
  })

  it('is refused on the way back', async () => {
    const b = bench()
    const { open, id } = await begin(b, ['flight', 'hotel back'])
    open.get('flight')?.({ refused: 'full' })
    await b.world.advance(0)
    await expect(b.admin.cancel(id, ada)).rejects.toThrow('it is on its way back, or there, already')
  })
})

describe('a deadline', () => {
  it('undoes a saga before its pivot, and cuts the attempt short', async () => {
    const b = bench()
    await begin(b, ['flight'], { deadlineMs: 4_000 })
    await b.world.advance(3_900)
    expect(b.calls).toEqual(['hotel', 'flight'])
    await b.world.advance(200)
    expect(b.calls.slice(2)).toEqual(['flight back', 'hotel back'])
    expect(await b.only()).toMatchObject({ status: 'compensated', failure: { code: 'ERR_SAGA_DEADLINE' } })
  })

  it('undoes one that is parked, too', async () => {
    const b = bench()
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId, deadlineMs: 30_000 })
      .step('hotel', { do: () => void b.calls.push('hotel'), undo: () => void b.calls.push('hotel back') })
      .sleep('rest', 100_000)
      .done()
    await b.run([definition])
    await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(29_000)
    expect(b.calls).toEqual(['hotel'])
    await b.world.advance(1_500)
    expect(b.calls).toEqual(['hotel', 'hotel back'])
  })

  it('only raises an alert past the pivot', async () => {
    const b = bench()
    const { open } = await begin(b, ['mail'], { deadlineMs: 4_000 })
    await b.world.advance(40_000)
    expect(b.logged.filter(({ message }) => message.includes('is late'))).toHaveLength(1)
    open.get('mail')?.()
    await b.world.advance(0)
    expect((await b.only()).status).toBe('completed')
  })
})

describe('a clock that jumps', () => {
  it('an hour back does not make a pause longer', async () => {
    const b = bench()
    const { open } = await begin(b, ['flight'])
    open.get('flight')?.(Promise.reject(new Error('down')))
    await b.world.advance(0)
    expect((await b.only()).status).toBe('waiting')
    b.world.jump(-3_600_000)
    await b.world.advance(1_100)
    expect(b.calls).toEqual(['hotel', 'flight', 'flight'])
  })

  it('an hour back does not make a pause longer that another life began', async () => {
    const b = bench()
    const { open, definition, worker } = await begin(b, ['flight'])
    open.get('flight')?.(Promise.reject(new Error('down')))
    await b.world.advance(0)
    const stopped = worker.stop()
    await b.world.advance(0)
    await stopped
    b.world.jump(-3_600_000)
    await b.run([definition], { parkAfterMs: 2_000 })
    await b.world.advance(2_500)
    expect(b.calls).toEqual(['hotel', 'flight', 'flight'])
  })

  it('an hour either way does not keep a dead worker its sagas', async () => {
    for (const by of [-3_600_000, 3_600_000]) {
      const b = bench()
      const { definition, worker } = await begin(b, ['flight'])
      // Silent from now on, as a process that was killed: its lease is not given back.
      const row = await b.database.read((tx) => tx.sql<{ expires_at: number }>`select expires_at from banyan_saga_workers`)
      const stopped = worker.stop()
      await b.world.advance(1)
      await stopped
      await b.database.transaction((tx) => tx.sql`update banyan_saga_workers set epoch = 1, expires_at = ${row[0]?.expires_at ?? 0}`)
      b.world.jump(by)
      await b.run([definition], { workerId: 'other' })
      await b.world.advance(2_500)
      expect(b.calls, `${by}`).toEqual(['hotel', 'flight', 'flight'])
    }
  })
})
