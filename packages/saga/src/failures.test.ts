// What handlers throw and give back comes from other systems, and is whatever it is: an attempt ends by it, and its end is stored.
import type { Refusal } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import type { SagaOptions } from './definition.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type Bench, bench } from './test/bench.ts'

interface Trip {
  tripId: string
}

const trip = (options: Partial<SagaOptions<Trip>> = {}) => saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId, ...options })
const none = nothing('x')

/** A saga of one step that acts so, twice at most. */
async function acted(act: () => unknown, b: Bench = bench()) {
  const definition = trip()
    .step('hotel', { do: act, undo: none, retry: { attempts: 2 } })
    .done()
  await b.run([definition])
  await startSaga(b.database, definition, { tripId: 't1' })
  await b.world.advance(1_000)
  return b.only()
}

const fails = () => {
  throw new Error('trap')
}
const throws = (thrown: unknown) => () => {
  throw thrown
}
const DAY_MS = 24 * 60 * 60 * 1_000

describe('what a step throws', () => {
  it.each<[string, unknown, { code: string; message: string }]>([
    ['an object without prototype', Object.create(null), { code: 'ERR_UNKNOWN', message: '{}' }],
    [
      'a proxy that throws when it is looked at',
      new Proxy({}, { has: fails, get: fails, getPrototypeOf: fails }),
      { code: 'ERR_UNKNOWN', message: 'a value that cannot be shown' },
    ],
    [
      'an error with getters that throw',
      Object.defineProperty(new RangeError('far'), 'retryAfterMs', { get: fails }),
      { code: 'RangeError', message: 'far' },
    ],
    [
      'an error whose message is the body of an answer',
      Object.assign(new Error('x'), { message: { errors: ['no'] } }),
      { code: 'Error', message: '{"errors":["no"]}' },
    ],
    ['an error whose name is no text', Object.assign(new Error('x'), { name: Symbol('n') }), { code: 'Symbol(n)', message: 'x' }],
    ['a half of a surrogate pair', Object.assign(new Error('\ud800'), { code: '\udc00' }), { code: '\ufffd', message: '\ufffd' }],
  ])('%s is tried again, and stored as texts', async (_what, thrown, failure) => {
    const shown = await acted(throws(thrown))
    expect(shown).toMatchObject({ status: 'compensated', failure })
    expect(shown.history.map(({ outcome, code, message }) => ({ outcome, code, message }))).toEqual(
      Array(2).fill({ outcome: 'failed', ...failure }),
    )
  })

  it('what cannot even be looked at ends an attempt of a local step as any other', async () => {
    const b = bench()
    const definition = trip()
      .local('hotel', { do: throws(new Proxy({}, { has: fails, get: fails, getPrototypeOf: fails })), undo: none, retry: { attempts: 2 } })
      .done()
    await b.run([definition])
    await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(1_000)
    expect(await b.only()).toMatchObject({ status: 'compensated', failure: { code: 'ERR_UNKNOWN' } })
    expect(b.logged.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('a message of megabytes is cut', async () => {
    const { failure, history } = await acted(throws(Object.assign(new Error('m'.repeat(5_000_000)), { code: 'C'.repeat(1_000) })))
    expect(failure?.message).toBe(`${'m'.repeat(1_999)}…`)
    expect([failure?.code.length, history[0]?.message?.length, history[0]?.code?.length]).toEqual([200, 2_000, 200])
  })

  it.each([1e23, Number.MAX_VALUE])('an error that asks for a pause of %d ms gets a year', async (retryAfterMs) => {
    const b = bench()
    const { status, wakeAt, createdAt } = await acted(throws(Object.assign(new Error('x'), { retryAfterMs })), b)
    expect(status).toBe('waiting')
    expect((wakeAt ?? 0) - createdAt).toBe(365 * DAY_MS)
  })

  it('an error that blames the request and says when to ask again is tried again', async () => {
    let attempts = 0
    const shown = await acted(() => {
      attempts += 1
      if (attempts === 1) throw Object.assign(new Error('locked'), { status: 409, retryAfterMs: 100 })
      return 'there'
    })
    expect(shown).toMatchObject({ status: 'completed', results: { hotel: 'there' } })
  })
})

describe('what a step gives back', () => {
  it.each<[string, unknown, string]>([
    ['a number', 42, '42'],
    ['an object', { left: 2 }, '{"left":2}'],
    ['very long', 'd'.repeat(2_001), `${'d'.repeat(1_999)}…`],
  ])('a refusal whose detail is %s is a refusal, and stored as texts', async (_what, detail, message) => {
    expect(await acted(() => ({ refused: 'full', detail }))).toMatchObject({ status: 'compensated', failure: { code: 'full', message } })
  })

  it('a refusal that is thrown is one, too', async () => {
    expect(await acted(throws({ refused: 'full', detail: [1] } as unknown as Refusal))).toMatchObject({
      failure: { code: 'full', message: '[1]' },
    })
  })
})

describe('what "done" throws', () => {
  it.each<[string, unknown]>([
    ['an object without prototype', Object.create(null)],
    ['a proxy that throws when it is looked at', new Proxy({}, { has: fails, get: fails, getPrototypeOf: fails })],
  ])('%s does not keep the saga from its end, and nothing is done twice', async (_what, thrown) => {
    const b = bench()
    const definition = trip()
      .step('hotel', { do: () => void b.calls.push('hotel'), undo: none })
      .done(throws(thrown))
    await b.run([definition])
    await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(20_000)
    const { status, history } = await b.only()
    expect([status, ...b.calls]).toEqual(['completed', 'hotel'])
    expect(history.at(-1)).toMatchObject({ code: 'ERR_OUTPUT', message: expect.stringContaining('"done" threw: ') })
  })
})

it('a promise where a value is wanted ends the process neither now nor when it rejects', async () => {
  const rejects = () => Promise.reject(new Error('later'))
  const b = bench()
  const definition = trip()
    .step('hotel', { do: () => ({ room: rejects() }), undo: none })
    .done()
  await b.run([definition])
  await startSaga(b.database, definition, { tripId: 't1' })
  await b.world.advance(100)
  expect((await b.only()).failure?.message).toContain('"room" is an instance of Promise')
})

it('an input that "migrate" gives and JSON cannot carry stops the saga, once', async () => {
  const b = bench()
  const rest = (version: number, migrate: SagaOptions<Trip>['migrate'] = {}) => trip({ version, migrate }).sleep('rest', 60_000).done()
  const worker = await b.run([rest(1)])
  await startSaga(b.database, rest(1), { tripId: 't1' })
  await b.world.advance(0)
  const stopped = worker.stop()
  await b.world.advance(100)
  await stopped
  await b.run([rest(2, { 1: ({ state }) => ({ state, input: new Date(0) }) })])
  await b.world.advance(100_000)
  expect(await b.only()).toMatchObject({ status: 'stuck', failure: { code: 'ERR_SAGA_MIGRATION' } })
  expect(b.logged.map(({ message }) => message)).toEqual(['a saga is stuck: somebody has to decide, see "banyan saga show"'])
})
