import { type Refusal, refuse } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import type { SagaCodec } from './definition.ts'
import { sagas } from './recover.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type Bench, bench } from './test/bench.ts'

interface Trip {
  tripId: string
}
const ada = { by: 'ada', reason: 'seen to by phone' }

/** Stuck at undoing the flight, until `mended` is set. */
async function stuckUndo() {
  const b = bench()
  const mended = { yes: false }
  const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
    .step('hotel', { do: () => 1, undo: () => void b.calls.push('hotel back') })
    .step('flight', {
      do: () => 1,
      undo() {
        b.calls.push('flight back')
        if (!mended.yes) throw new Error('the airline does not answer')
      },
      undoRetry: { attempts: 2 },
    })
    .step('car', { do: () => refuse('none-left'), undo: nothing('x') })
    .done()
  await b.run([definition])
  const { id } = await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
  await b.until('stuck')
  return { ...b, mended, id }
}

/** Stuck at a pivot in another system, refused after an attempt whose outcome is unknown. */
async function stuckPivot() {
  const b: Bench = bench()
  const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
    .step('hotel', { do: () => 1, undo: (c) => void b.calls.push(`hotel back for ${c.reason}`) })
    .pivot('pay', { do: (c) => (c.attempt === 1 ? Promise.reject(new Error('lost')) : refuse('declined')) })
    .step('mail', { do: () => void b.calls.push('mail') })
    .done()
  await b.run([definition])
  const { id } = await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
  await b.until('stuck')
  return { ...b, id }
}

describe('a stuck saga', () => {
  it('is listed with its step and its error, and raised an alert', async () => {
    const { admin, logged } = await stuckUndo()
    expect(await admin.list({ status: 'stuck' })).toMatchObject([
      { name: 'trip', key: 't1', status: 'stuck', step: 'flight', failures: 2, failure: { message: 'the airline does not answer' } },
    ])
    expect(await admin.list({ status: 'completed' })).toEqual([])
    expect(logged.filter(({ level }) => level === 'error')).toHaveLength(1)
  })

  it('runs nothing until somebody decides', async () => {
    const { world, calls } = await stuckUndo()
    await world.advance(300_000)
    expect(calls).toEqual(['flight back', 'flight back'])
  })

  it('goes on by retry', async () => {
    const { admin, id, mended, until, calls } = await stuckUndo()
    mended.yes = true
    expect(await admin.retry(id, ada)).toMatchObject({ status: 'undoing', step: 'flight', failures: 0 })
    await until('compensated')
    expect(calls).toEqual(['flight back', 'flight back', 'flight back', 'hotel back'])
  })

  it('goes on by skip, and who decided, when and why is kept', async () => {
    const { admin, id, until, calls, world } = await stuckUndo()
    const at = world.now()
    await admin.skip(id, ada)
    const shown = await until('compensated')
    expect(calls).toEqual(['flight back', 'flight back', 'hotel back'])
    expect(shown.decisions).toEqual([{ saga: id, action: 'skip', step: 'flight', by: 'ada', why: 'seen to by phone', at }])
    expect(await admin.decisions()).toEqual(shown.decisions)
  })

  it('cannot be turned round twice', async () => {
    const { admin, id } = await stuckUndo()
    await expect(admin.undo(id, ada)).rejects.toThrow('it is stuck at step "flight" on its way back')
  })
})

describe('a pivot in doubt', () => {
  it('goes forward by skip', async () => {
    const { admin, id, until, calls } = await stuckPivot()
    await admin.skip(id, ada)
    await until('completed')
    expect(calls).toEqual(['mail'])
  })

  it('goes back by undo', async () => {
    const { admin, id, until, calls } = await stuckPivot()
    await admin.undo(id, ada)
    const shown = await until('compensated')
    expect(calls).toEqual(['hotel back for ERR_UNDONE_BY_HAND'])
    expect(shown.failure?.message).toBe('ada: seen to by phone')
  })
})

describe('the last step of a saga, decided by hand', () => {
  /** Stuck at its last step, a pivot in doubt; `parent` waits for it. */
  async function stuckLast(codec?: SagaCodec) {
    const b = bench()
    const child = saga<Trip>('child', { version: 1, key: ({ tripId }) => tripId, ...(codec && { codec }) })
      .step('hotel', { do: () => 7, undo: nothing('x') })
      .pivot('pay', {
        do: (c): Promise<string | Refusal> => (c.attempt === 1 ? Promise.reject(new Error('lost')) : Promise.resolve(refuse('declined'))),
      })
      .done((c) => `room ${c.hotel}, paid by ${c.pay}`)
    const parent = saga<Trip>('parent', { version: 1, key: ({ tripId }) => tripId })
      .child('inside', child, { input: (c) => c.input, undo: nothing('x') })
      .done((c) => c.inside)
    await b.run([parent, child])
    await startSaga(b.database, parent, { tripId: 't1' })
    await b.world.advance(30_000)
    const [stuck] = await b.admin.list({ name: 'child' })
    expect(stuck).toMatchObject({ status: 'stuck', step: 'pay' })
    return { ...b, id: stuck?.id ?? '' }
  }

  async function outputs({ admin }: Bench) {
    const all = await Promise.all((await admin.list()).map(({ id }) => admin.show(id)))
    return all.map(({ name, status, output }) => [name, status, output])
  }

  /** With another key it cannot read what it has written. */
  function codecWithKey() {
    const lock: { key: string; codec: SagaCodec } = { key: 'k', codec: { encode: (text) => `${lock.key}${text}`, decode } }
    function decode(text: string) {
      if (!text.startsWith(lock.key)) throw new Error('the key is gone')
      return text.slice(lock.key.length)
    }
    return lock
  }

  it('leads to the output of what there is, for the saga that waits for it, too', async () => {
    const b = await stuckLast()
    await b.admin.override(b.id, 'cheque', ada)
    await b.world.advance(1_000)
    const output = 'room 7, paid by cheque'
    expect(await outputs(b)).toEqual([
      ['child', 'completed', output],
      ['parent', 'completed', output],
    ])
    expect((await b.admin.show(b.id)).history.at(-1)).toMatchObject({ step: 'pay', action: 'do', outcome: 'done', status: 'completed' })
  })

  it('does not need the codec where it is skipped, and is not to be cancelled then', async () => {
    const codec = { encode: (text: string) => text.toUpperCase(), decode: (text: string) => text.toLowerCase() }
    const b = await stuckLast(codec)
    await b.admin.skip(b.id, ada)
    await expect(b.admin.cancel(b.id, ada)).rejects.toMatchObject({ code: 'ERR_SAGA_PAST_PIVOT' })
    await b.world.advance(1_000)
    expect((await outputs(b)).map(([, status]) => status)).toEqual(['completed', 'completed'])
  })

  it('is the end also of a saga that nobody can read any more, without its output', async () => {
    const b = bench()
    const lock = codecWithKey()
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId, codec: lock.codec })
      .pivot('pay', { do: (c): Promise<Refusal> => (c.attempt === 1 ? Promise.reject(new Error('lost')) : Promise.resolve(refuse('no'))) })
      .done((c) => `trip ${c.input.tripId}`)
    await b.run([definition])
    const { id } = await startSaga(b.database, definition, { tripId: 't1' })
    await b.until('stuck')
    lock.key = 'another'
    await b.admin.skip(id, ada)
    await b.world.advance(1_000)
    const { status, history } = await b.admin.show(id)
    expect([status, history.at(-1)]).toMatchObject(['completed', { step: 'pay', outcome: 'done', code: 'ERR_SAGA_UNREADABLE' }])
  })

  it('is the end also where it was the last item of several, and a new version takes the saga over', async () => {
    const b = bench()
    const lock = codecWithKey()
    const seats = (version: number) =>
      saga<Trip>('trip', {
        version,
        key: ({ tripId }) => tripId,
        codec: lock.codec,
        migrate: { [version - 1]: ({ state }) => ({ state }) },
      })
        .each('seats', () => [1, 2], { do: (_c, seat) => (seat === 2 ? new Promise(() => {}) : seat), undo: nothing('x') })
        .done((c) => c.seats.length)
    const first = await b.run([seats(2)], { drainMs: 0 })
    const { id } = await startSaga(b.database, seats(2), { tripId: 't1' })
    await b.world.advance(1_000)
    const stopped = first.stop()
    await b.world.advance(1_000)
    await stopped
    lock.key = 'another'
    const second = await b.run([seats(2)])
    await b.until('stuck')
    await second.stop()
    lock.key = 'k'
    await b.admin.skip(id, ada)
    await b.run([seats(3)])
    await b.world.advance(1_000)
    expect(await sagas(b.database, { definitions: [seats(3)] }).show(id)).toMatchObject({ status: 'completed', version: 3, output: 2 })
  })
})

describe('decisions', () => {
  it('are refused for sagas that are not stuck, not there, or decided twice at once', async () => {
    const { admin, id, mended } = await stuckUndo()
    mended.yes = true
    const both = await Promise.allSettled([admin.retry(id, ada), admin.skip(id, ada)])
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    await expect(admin.retry(id, ada)).rejects.toMatchObject({ code: 'ERR_SAGA_STATE', status: 409 })
    await expect(admin.retry('nobody', ada)).rejects.toMatchObject({ code: 'ERR_SAGA_UNKNOWN', status: 404 })
    await expect(admin.show('nobody')).rejects.toThrow('there is no saga "nobody" in this database')
    expect(await admin.decisions()).toHaveLength(1)
    const limit = 'cannot list decisions: "limit" is -1, wanted a whole number from 1 to 10000'
    await expect(admin.decisions(undefined, -1)).rejects.toThrow(limit)
  })

  it('need a name and a reason', async () => {
    const { admin, id } = await stuckUndo()
    await expect(admin.retry(id, { by: '', reason: 'x' })).rejects.toThrow('"by" is ""')
    await expect(admin.retry(id, { by: 'ada', reason: '' })).rejects.toThrow('"reason" is ""')
  })
})

describe('a saga stuck on its way forward', () => {
  /** A child that was undone past the pivot: nothing will change that. */
  async function stuckForward() {
    const b = bench()
    const child = saga<{ n: number }>('child', { version: 1, key: ({ n }) => `${n}` })
      .step('one', { do: () => refuse('no'), undo: nothing('x') })
      .done(() => 5)
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .pivot('pay', { do: () => 1 })
      .child('inside', child, { input: () => ({ n: 1 }) })
      .step('mail', { do: (c) => void b.calls.push(`mail ${c.inside} for ${c.input.tripId}`) })
      .done()
    await b.run([definition, child])
    const { id } = await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(0)
    return { ...b, id }
  }

  it('goes on with a result given by hand, and what was given is kept', async () => {
    const { admin, id, calls, world } = await stuckForward()
    expect(await admin.show(id)).toMatchObject({ status: 'stuck', step: 'inside', failure: { code: 'ERR_REFUSED_LATE' } })
    await admin.override(id, 9, ada)
    await world.advance(0)
    expect(calls).toEqual(['mail 9 for t1'])
    expect((await admin.show(id)).decisions).toMatchObject([{ action: 'override', step: 'inside', detail: '9' }])
  })

  it('goes on with another input, and the one before is kept', async () => {
    const { admin, id, calls, world } = await stuckForward()
    await admin.edit(id, { tripId: 't2' }, ada)
    await world.advance(0)
    expect((await admin.show(id)).status).toBe('stuck')
    await admin.skip(id, ada)
    await world.advance(0)
    expect(calls).toEqual(['mail undefined for t2'])
    expect((await admin.show(id)).decisions.map(({ action, detail }) => [action, detail])).toEqual([
      ['skip', undefined],
      ['edit', '{"tripId":"t1"}'],
    ])
    expect((await admin.show(id)).key).toBe('t1')
  })

  it('cannot be overridden where there is no result, nor with what is no JSON', async () => {
    const { admin, id } = await stuckUndo()
    await expect(admin.override(id, 1, ada)).rejects.toThrow('stuck at undoing step "flight", which has no result')
    const forward = await stuckForward()
    await expect(forward.admin.override(forward.id, new Date(), ada)).rejects.toMatchObject({ code: 'ERR_INPUT_NOT_JSON' })
  })
})
