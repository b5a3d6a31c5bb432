import { AsyncLocalStorage } from 'node:async_hooks'
import { refuse, type Transaction } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { participant } from './participant.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type Bench, bench } from './test/bench.ts'
import { addEffect } from './test/database.ts'
import { runSagas } from './worker.ts'

interface Trip {
  tripId: string
}

const trip = () => saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
const write = (tx: Transaction, effect: string) => addEffect(tx, effect)

/** Note, hotel, flight, confirm (pivot), mail; each call is noted. What `answers` has for a call is done instead. */
function travel({ calls }: Bench, answers: Record<string, (attempt: number) => unknown> = {}) {
  const call = (name: string, c: { key: string; attempt: number }) => {
    calls.push(name)
    return answers[name]?.(c.attempt) ?? { key: c.key }
  }
  return trip()
    .local('note', {
      do: (tx, c) => write(tx, `noted ${c.input.tripId}`),
      undo: (tx, c) => write(tx, `cancelled for ${c.reason} at ${c.cause.step}`),
    })
    .step('hotel', { do: (c) => call('hotel', c), undo: (c) => call('hotel back', c) })
    .step('flight', { do: (c) => call('flight', c), undo: (c) => call('flight back', c) })
    .pivot('confirm', { local: (tx, c) => write(tx, `confirmed ${c.key.split(':')[1]}`) })
    .step('mail', { do: (c) => call('mail', c) })
    .done((c) => ({ hotel: c.hotel, tripId: c.input.tripId }))
}

const start = ({ database }: Bench, definition: ReturnType<typeof travel>, tripId = 't1') =>
  database.transaction((tx) => startSaga(tx, definition, { tripId }))

describe('a saga', () => {
  it('runs to its end at once in the process that started it, and stores its results and its output', async () => {
    const b = bench()
    const definition = travel(b)
    await b.run([definition])
    const { id, key, started } = await start(b, definition)
    expect({ key, started }).toEqual({ key: 't1', started: true })
    await b.world.advance(0)
    const shown = await b.only()
    expect(shown).toMatchObject({ id, status: 'completed', output: { tripId: 't1', hotel: { key: `${id}:hotel` } } })
    expect(b.calls).toEqual(['hotel', 'flight', 'mail'])
    expect(await b.database.effects()).toEqual(['noted t1', 'confirmed confirm'])
    expect(shown.history.map(({ step, action, outcome, attempt }) => `${step} ${action} ${outcome} ${attempt}`)).toEqual([
      'note do done 1',
      'hotel do done 1',
      'flight do done 1',
      'confirm do done 1',
      'mail do done 1',
    ])
  })

  it("runs in its worker's context and not in that of the request that started it", async () => {
    const b = bench()
    const request = new AsyncLocalStorage<string>()
    const definition = travel(b, { hotel: () => ({ key: request.getStore() ?? 'no request' }) })
    await b.run([definition])
    await request.run('a request with a deadline', () => start(b, definition))
    await b.world.advance(0)
    expect(await b.only()).toMatchObject({ status: 'completed', output: { hotel: { key: 'no request' } } })
  })

  it('starts once a key', async () => {
    const b = bench()
    const definition = travel(b)
    await b.run([definition])
    const first = await start(b, definition)
    await b.world.advance(0)
    expect(await start(b, definition)).toEqual({ ...first, started: false })
    expect((await start(b, definition, 't2')).started).toBe(true)
    await b.world.advance(0)
    expect((await b.database.effects()).filter((effect) => effect.startsWith('noted'))).toEqual(['noted t1', 'noted t2'])
  })

  it('does not start under a key that a database takes for another one', async () => {
    const b = bench()
    for (const tripId of ['a\ud800', 'a\ud801', '\udc00a', 'a\0b'])
      await expect(startSaga(b.database, travel(b), { tripId })).rejects.toThrow(
        /^cannot start saga "trip": its key is ".*", wanted a text without NUL/,
      )
    expect((await startSaga(b.database, travel(b), { tripId: 'a\ud83d\ude00' })).started).toBe(true)
  })

  it('has keys that its receivers take, however long the name of the step', async () => {
    const b = bench()
    const guarded = (c: { key: string }) =>
      b.database.transaction((tx) => participant(tx, { key: c.key, operation: 'x', kind: 'do' }, () => c.key.length))
    const definition = trip()
      .step('s'.repeat(200) as 's', { do: guarded, undo: nothing('x') })
      .each('e'.repeat(200) as 'e', () => ['a'], { do: guarded, undo: nothing('x') })
      .done((c) => c)
    await b.run([definition])
    await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(0)
    expect(await b.only()).toMatchObject({ status: 'completed', output: { ['s'.repeat(200)]: 237, ['e'.repeat(200)]: [240] } })
  })

  it('does not start when the transaction rolls back', async () => {
    const b = bench()
    const definition = travel(b)
    await b.run([definition])
    const failing = b.database.transaction(async (tx) => {
      await startSaga(tx, definition, { tripId: 't1' })
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    await b.world.advance(1_000)
    expect(b.calls).toEqual([])
    expect(await b.admin.list()).toEqual([])
  })

  it('is undone after a refusal, without retries, and says why to each undo', async () => {
    const b = bench()
    const definition = travel(b, { flight: () => refuse('full', 'no seat left') })
    await b.run([definition])
    await start(b, definition)
    await b.world.advance(0)
    expect(await b.only()).toMatchObject({ status: 'compensated', failure: { code: 'full', message: 'no seat left' } })
    expect(b.calls).toEqual(['hotel', 'flight', 'hotel back'])
    expect(await b.database.effects()).toEqual(['noted t1', 'cancelled for full at flight'])
  })

  it('is undone after its last attempt, the failing step included', async () => {
    const b = bench()
    const fail = () => Promise.reject(Object.assign(new Error('down'), { code: 'ECONNRESET' }))
    const definition = travel(b, { flight: fail })
    await b.run([definition])
    await start(b, definition)
    const shown = await b.until('compensated')
    expect(b.calls).toEqual(['hotel', ...Array(8).fill('flight'), 'flight back', 'hotel back'])
    expect(shown.failure).toEqual({ code: 'ECONNRESET', message: 'down' })
  })

  it('is undone after a refusal whose earlier attempt was lost, the refused step included', async () => {
    const b = bench()
    const flight = (attempt: number) => (attempt === 1 ? Promise.reject(new Error('lost')) : refuse('full'))
    const definition = travel(b, { flight })
    await b.run([definition])
    await start(b, definition)
    await b.until('compensated')
    expect(b.calls).toEqual(['hotel', 'flight', 'flight', 'flight back', 'hotel back'])
  })

  it('is not tried again after an error that blames the request', async () => {
    const b = bench()
    const definition = travel(b, { flight: () => Promise.reject(Object.assign(new Error('bad'), { status: 422 })) })
    await b.run([definition])
    await start(b, definition)
    await b.world.advance(0)
    expect(b.calls).toEqual(['hotel', 'flight', 'flight back', 'hotel back'])
  })

  it('ends an attempt that takes too long, and tells the call by its signal', async () => {
    const b = bench()
    const signals: AbortSignal[] = []
    const remaining: number[] = []
    const definition = trip()
      .step('slow', {
        do: (c) => {
          signals.push(c.signal)
          remaining.push(c.remainingMs)
          return new Promise<never>(() => {})
        },
        undo: () => void b.calls.push('slow back'),
        withinMs: 1_000,
        retry: { attempts: 2 },
      })
      .done()
    await b.run([definition])
    await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
    const shown = await b.until('compensated')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
    expect(remaining).toEqual([1_000, 1_000])
    expect(shown.failure?.code).toBe('ERR_STEP_TIMEOUT')
    expect(b.calls).toEqual(['slow back'])
  })

  it('waits as long as the other side asks', async () => {
    const b = bench()
    const hotel = (attempt: number) =>
      attempt === 1 ? Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 7_000 })) : undefined
    const definition = travel(b, { hotel })
    await b.run([definition])
    await start(b, definition)
    await b.world.advance(6_900)
    expect(b.calls).toEqual(['hotel'])
    expect(await b.only()).toMatchObject({ status: 'waiting', step: 'hotel', failures: 1 })
    await b.world.advance(200)
    expect((await b.only()).status).toBe('completed')
  })

  it('goes on past the pivot however often it fails, and raises alerts', async () => {
    const b = bench()
    const mail = (attempt: number) => (attempt <= 20 ? Promise.reject(new Error('down')) : undefined)
    const definition = travel(b, { mail })
    await b.run([definition])
    await start(b, definition)
    await b.until('completed')
    expect(b.calls.filter((call) => call === 'mail')).toHaveLength(21)
    expect(b.logged.filter(({ level }) => level === 'error')).toHaveLength(2)
    expect(b.calls.some((call) => call.includes('back'))).toBe(false)
  })
})

describe('a local step', () => {
  it('leaves nothing of an attempt that fails or is refused', async () => {
    const b = bench()
    let attempts = 0
    const definition = trip()
      .local('note', {
        do: (tx) => {
          write(tx, `attempt ${++attempts}`)
          if (attempts === 1) throw new Error('deadlock')
          return attempts === 2 ? refuse('no') : undefined
        },
        undo: nothing('it was never there'),
      })
      .done()
    await b.run([definition])
    await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
    await b.until('compensated')
    expect(attempts).toBe(2)
    expect(await b.database.effects()).toEqual([])
  })

  it('that takes too long fails, tells so by its signal, and leaves nothing, also of what it does afterwards', async () => {
    const b = bench()
    const signals: AbortSignal[] = []
    const later: Promise<unknown>[] = []
    const definition = trip()
      .local('note', {
        do: (tx, c) => {
          signals.push(c.signal)
          const slow = write(tx, `attempt ${c.attempt}`).then(() => new Promise<void>((resolve) => b.world.after(1_500, resolve)))
          const ends = slow.then(() => tx.sql`select 1`)
          later.push(ends)
          return ends
        },
        undo: (tx) => write(tx, 'never there'),
        withinMs: 1_000,
        retry: { attempts: 2 },
      })
      .done()
    await b.run([definition])
    await startSaga(b.database, definition, { tripId: 't1' })
    // No look at it meanwhile: this database is one connection, which the step has.
    await b.world.advance(5_000)
    const { status, failure, history } = await b.only()
    expect(status).toBe('compensated')
    expect(signals.map(({ aborted, reason }) => [aborted, reason.code])).toEqual(Array(2).fill([true, 'ERR_STEP_TIMEOUT']))
    expect(failure?.message).toBe('step "note" took longer than 1000 ms to do; nothing of it is stored')
    expect(history.map(({ action, outcome }) => `${action} ${outcome}`)).toEqual(['do failed', 'do failed'])
    const afterwards = await Promise.allSettled(later)
    expect(afterwards.map((one) => one.status === 'rejected' && one.reason.code)).toEqual(Array(2).fill('ERR_TRANSACTION_OVER'))
    expect(await b.database.effects()).toEqual([])
  })

  it('has a time limit for its undo, too, and none that is left behind', async () => {
    const b = bench()
    let undone = 0
    const definition = trip()
      .local('note', {
        do: async () => {},
        undo: () => (++undone === 1 ? new Promise<never>(() => {}) : Promise.resolve()),
        withinMs: 1_000,
      })
      .step('hotel', { do: () => refuse('full'), undo: nothing('x') })
      .done()
    const worker = await b.run([definition])
    await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(2_000)
    expect((await b.only()).status).toBe('compensated')
    const stopped = worker.stop()
    await b.world.advance(10)
    await stopped
    expect(b.world.pendingTimers()).toBe(0)
  })

  it('is done once although the answer of its commit was lost', async () => {
    const b = bench()
    let lose = true
    const definition = trip()
      .local('note', {
        do(tx) {
          write(tx, 'noted')
          if (lose) b.database.loseAnswer(tx, new Error('connection lost'))
          lose = false
        },
        undo: nothing('x'),
      })
      .step('hotel', { do: () => void b.calls.push('hotel'), undo: nothing('x') })
      .done()
    await b.run([definition])
    await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
    await b.until('completed')
    expect(await b.database.effects()).toEqual(['noted'])
    expect(b.calls).toEqual(['hotel'])
  })
})

describe('results', () => {
  it('that JSON cannot carry fail the step by name, at once, and it is undone', async () => {
    const b = bench()
    const definition = trip()
      .step('hotel', { do: () => ({ since: new Date(0) }), undo: (c) => void b.calls.push(`back ${c.hotel}`) })
      .done()
    await b.run([definition])
    await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
    await b.world.advance(0)
    const { failure } = await b.only()
    expect(failure?.code).toBe('ERR_RESULT_NOT_JSON')
    expect(failure?.message).toContain('the result of step "hotel" as JSON: "since" is an instance of Date')
    expect(b.calls).toEqual(['back undefined'])
  })

  it('that are nothing stay nothing', async () => {
    const b = bench()
    const seen: unknown[] = []
    const definition = trip()
      .step('a', { do: () => undefined, undo: nothing('x') })
      .step('b', { do: () => null, undo: nothing('x') })
      .step('c', { do: (c) => void seen.push(c.a, c.b), undo: nothing('x') })
      .done()
    await b.run([definition])
    await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
    await b.world.advance(0)
    expect(seen).toEqual([undefined, null])
  })

  it('of an output that cannot be had do not keep the saga from its end', async () => {
    const b = bench()
    const definition = trip()
      .step('a', { do: () => 1, undo: nothing('x') })
      .done(() => {
        throw new Error('no output today')
      })
    await b.run([definition])
    await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))
    await b.world.advance(0)
    expect(await b.only()).toMatchObject({ status: 'completed', output: undefined })
    expect(b.logged[0]?.message).toBe('a saga has ended without its output')
  })

  it('input that JSON cannot carry is refused when starting', async () => {
    const b = bench()
    const definition = saga<{ n: bigint }>('big', { version: 1, key: String })
      .step('a', { do: () => 1, undo: nothing('x') })
      .done()
    const starting = b.database.transaction((tx) => startSaga(tx, definition, { n: 1n }))
    await expect(starting).rejects.toMatchObject({ code: 'ERR_INPUT_NOT_JSON', message: expect.stringContaining('"n" is a bigint') })
  })

  it('and input that are too deep for JSON are refused by name, with the beginning of where', async () => {
    const b = bench()
    const nested = (levels: number) => Array.from({ length: levels }).reduce<unknown>((inner) => [inner], 1)
    const definition = saga<{ deep: unknown }>('deep', { version: 1, key: () => 'k' })
      .step('a', { do: () => ({ deep: nested(20_000) }), undo: nothing('x') })
      .done()
    const where = `"deep${'[0]'.repeat(32)}…" is more than 1000 levels deep`
    const starting = startSaga(b.database, definition, { deep: nested(20_000) })
    await expect(starting).rejects.toMatchObject({ code: 'ERR_INPUT_NOT_JSON', message: expect.stringContaining(where) })
    await expect(startSaga(b.database, definition, { deep: nested(1_000) })).rejects.toMatchObject({ code: 'ERR_INPUT_NOT_JSON' })
    await b.run([definition])
    await startSaga(b.database, definition, { deep: nested(999) })
    await b.world.advance(0)
    const { failure, input } = await b.only()
    expect(failure).toMatchObject({ code: 'ERR_RESULT_NOT_JSON', message: expect.stringContaining(where) })
    expect(input).toEqual({ deep: nested(999) })
  })
})

describe('runSagas', () => {
  it('makes at most `concurrency` steps at the same time', async () => {
    const b = bench()
    let now = 0
    let most = 0
    const finish: (() => void)[] = []
    const definition = trip()
      .step('a', {
        do: async () => {
          most = Math.max(most, ++now)
          await new Promise<void>((resolve) => finish.push(resolve))
          now -= 1
        },
        undo: nothing('x'),
      })
      .done()
    await b.run([definition], { concurrency: 3 })
    for (let n = 0; n < 8; n += 1) await b.database.transaction((tx) => startSaga(tx, definition, { tripId: `${n}` }))
    for (let round = 0; round < 10; round += 1) {
      await b.world.advance(0)
      for (const one of finish.splice(0)) one()
    }
    await b.world.advance(0)
    expect(most).toBe(3)
    expect(await b.admin.list({ status: 'completed' })).toHaveLength(8)
  })

  it('has at most `maxSagas` in memory, and leaves the others to whoever has room', async () => {
    const b = bench()
    const held = (who: string) =>
      trip()
        .step('a', { do: (c) => new Promise<never>(() => b.calls.push(`${who} ${c.input.tripId}`)), undo: nothing('x') })
        .done()
    const small = await b.run([held('small')], { maxSagas: 2 })
    for (let n = 0; n < 5; n += 1) await startSaga(b.database, held('small'), { tripId: `${n}` })
    await b.world.advance(1_000)
    expect((await small.health?.())?.detail).toContain('2 running, 0 waiting')
    await b.run([held('other')], { workerId: 'other' })
    await b.world.advance(1_000)
    expect(b.calls.map((call) => call.split(' ')[0])).toEqual(['small', 'small', 'other', 'other', 'other'])
    expect(new Set(b.calls.map((call) => call.split(' ')[1])).size).toBe(5)
  })

  it('has no more of those that are started at once, and room again for as many as were not started after all', async () => {
    const b = bench()
    const held = trip()
      .step('a', { do: (c) => new Promise<never>(() => b.calls.push(c.input.tripId)), undo: nothing('x') })
      .done()
    await b.run([held], { maxSagas: 3, pollMs: 100 })
    const broken = b.database.transaction(async (tx) => {
      await startSaga(tx, held, { tripId: 'broken' })
      throw new Error('rolled back')
    })
    await expect(broken).rejects.toThrow('rolled back')
    await Promise.all(['1', '2', '3', '4'].map((tripId) => startSaga(b.database, held, { tripId })))
    await b.world.advance(50)
    expect(b.calls).toEqual(['1', '2'])
    await b.world.advance(1_500)
    expect(b.calls).toEqual(['1', '2', '3'])
  })

  it('says how many run, wait and are stuck', async () => {
    const b = bench()
    const definition = travel(b, { hotel: () => Promise.reject(Object.assign(new Error('x'), { retryAfterMs: 4_000 })) })
    const worker = await b.run([definition])
    await start(b, definition)
    await b.world.advance(0)
    expect(await worker.health?.()).toEqual({ healthy: true, detail: '0 running, 1 waiting, 0 stuck, as orders/0' })
  })

  it('refuses options out of range and two definitions of one version', () => {
    const b = bench()
    expect(() => runSagas([], { concurrency: 0 })).toThrow('cannot run sagas: "concurrency" is 0, wanted a whole number from 1 to 10000')
    expect(() => runSagas([], { leaseMs: 99 })).toThrow(RangeError)
    expect(() => runSagas([], { workerId: '' })).toThrow(TypeError)
    expect(() => runSagas([travel(b), travel(b)])).toThrow('two definitions of version 1 of "trip"')
  })

  it('leaves no timer behind when it is stopped', async () => {
    const b = bench()
    const definition = travel(b, { hotel: () => Promise.reject(new Error('x')) })
    const worker = await b.run([definition])
    await start(b, definition)
    await b.world.advance(0)
    const stopped = worker.stop()
    await b.world.advance(10)
    await stopped
    expect(b.world.pendingTimers()).toBe(0)
  })
})
