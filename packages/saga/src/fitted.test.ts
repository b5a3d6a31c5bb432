import { refuse } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import type { MigratedSaga, StoredSaga } from './definition.ts'
import { migrated, renameSteps } from './migrate.ts'
import { startSaga } from './start.ts'
import type { Lane, Running, SagaState, Undoing } from './state.ts'
import { nothing } from './steps.ts'
import { bench, line } from './test/bench.ts'

interface Trip {
  tripId: string
}

const key = ({ tripId }: Trip) => tripId
const none = nothing('it only reads')
const busy = () => Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 60_000 }))
const no = () => Promise.reject(Object.assign(new Error('no'), { status: 400 }))
const asItWas = (old: StoredSaga) => ({ state: old.state })

describe('a saga of an older version, in one that does not fit it', () => {
  it('begins what starts together with the step it is at, in the new version', async () => {
    const b = bench()
    const flight = { do: () => void b.calls.push('flight'), undo: none }
    const one = saga<Trip>('trip', { version: 1, key }).step('hotel', { do: busy, undo: none }).step('flight', flight).done()
    const two = saga<Trip>('trip', { version: 2, key, migrate: { 1: asItWas } })
      .all({ hotel: { do: () => void b.calls.push('hotel'), undo: none }, flight })
      .done()
    const dead = line()
    await b.run([one], { line: dead })
    await startSaga(b.database, one, { tripId: 't1' })
    await b.world.advance(100)
    dead.cut()
    await b.run([two])
    await b.until('completed')
    expect(b.calls).toEqual(['hotel', 'flight'])
  })

  it('takes the answer of such a step for what it is: no worker was in the middle of it', async () => {
    const b = bench()
    const undo = (name: string) => () => void b.calls.push(`${name} back`)
    const full = () => {
      b.calls.push('flight')
      return refuse('full')
    }
    const one = saga<Trip>('trip', { version: 1, key })
      .step('hotel', { do: () => new Promise<never>(() => {}), undo: undo('hotel') })
      .step('flight', { do: () => 1, undo: none })
      .done()
    const two = saga<Trip>('trip', { version: 2, key, migrate: { 1: asItWas } })
      .all({ hotel: { do: no, undo: undo('hotel') }, flight: { do: full, undo: undo('flight') } })
      .done()
    const dead = line()
    await b.run([one], { line: dead })
    await startSaga(b.database, one, { tripId: 't1' })
    await b.world.advance(100)
    dead.cut()
    await b.run([two])
    await b.until('compensated')
    expect(b.calls).toEqual(['flight', 'hotel back'])
  })

  it('is compensated when nothing of what is left to be undone is in the new version', async () => {
    const b = bench()
    const without = ({ state }: StoredSaga): MigratedSaga => ({ state: state.status === 'undoing' ? { ...state, left: [] } : state })
    const one = saga<Trip>('trip', { version: 1, key })
      .step('points', { do: () => 1, undo: busy })
      .step('hotel', { do: no, undo: none })
      .done()
    const two = saga<Trip>('trip', { version: 2, key, migrate: { 1: without } })
      .step('hotel', { do: () => 1, undo: none })
      .done()
    const parent = saga<Trip>('parent', { version: 1, key })
      .child('trip', one, { input: (c) => c.input, undo: none })
      .done()
    const dead = line()
    await b.run([one, parent], { line: dead })
    await startSaga(b.database, parent, { tripId: 't1' })
    await b.world.advance(100)
    dead.cut()
    await b.run([two, parent])
    await b.world.advance(120_000)
    // Stored, and told: the one that started it knows.
    expect((await b.admin.list()).map(({ name, version, status }) => `${name} ${version} ${status}`)).toEqual([
      'trip 2 compensated',
      'parent 1 compensated',
    ])
  })

  it('stays what it was, with its names, while the new version lacks a step', async () => {
    const b = bench()
    const book = (c: { id: string; key: string }) => void b.calls.push(c.key.replace(c.id, ''))
    const define = (version: number, names: readonly ['a' | 'b', 'a' | 'b'], last: string) =>
      saga<Trip>('trip', { version, key, migrate: version === 2 ? { 1: (old) => renameSteps(old, { a: 'b', b: 'a' }) } : {} })
        .step(names[0] as 'a', { do: book, undo: book })
        .step(names[1] as 'b', { do: book, undo: book })
        .step(last as 'c', { do: version === 1 ? busy : no, undo: none })
        .done()
    const [first, second] = [line(), line()]
    await b.run([define(1, ['a', 'b'], 'c')], { line: first })
    const { id } = await startSaga(b.database, define(1, ['a', 'b'], 'c'), { tripId: 't1' })
    await b.world.advance(100)
    first.cut()
    await b.run([define(2, ['b', 'a'], 'd')], { line: second })
    await b.world.advance(61_000)
    expect(await b.only()).toMatchObject({
      version: 1,
      failure: { code: 'ERR_STEP_UNKNOWN' },
      state: { status: 'stuck', resume: { touched: ['a', 'b'] } },
    })
    second.cut()
    await b.run([define(2, ['b', 'a'], 'c')])
    await b.admin.retry(id, { by: 'ada', reason: 'the step is back' })
    await b.until('compensated')
    expect(b.calls).toEqual([':a', ':b', ':b', ':a'])
  })
})

describe('what a migration gives', () => {
  const lane = (at: string, more: Partial<Lane> = {}): Lane => ({ at, failures: 0, doubt: false, ...more })
  const running = (lanes: readonly Lane[], ...touched: string[]): Running => ({ status: 'running', lanes, touched })
  const cause = { step: 'hotel', refused: true, code: 'full', message: 'full' }
  const back: Undoing = { status: 'undoing', left: [], open: [], failures: 3, cause, pause: { wakeAt: 5, failure: undefined } }
  const failure = { code: 'X', message: 'x' }
  const step = { do: () => 1, undo: none }

  /** What becomes of it: first a step, then two together, an `each` and the pivot, then two together. */
  function fit(state: SagaState, results: Record<string, unknown> = {}): SagaState {
    const definition = saga<Trip>('trip', { version: 2, key, migrate: { 1: () => ({ state, results }) } })
      .step('car', step)
      .all({ hotel: step, flight: step, train: step })
      .each('seats', () => [1, 2], step)
      .pivot('pay', { do: () => 1 })
      .all({ mail: { do: () => 1 }, text: { do: () => 1 } })
      .done()
    return migrated(definition, { id: 'i', key: 'k', version: 1, state: running([lane('car')]), input: {}, results: {} }).state
  }

  const begun = (at: string) => lane(at, { pause: { wakeAt: 0, failure: undefined } })

  it('gets the lanes that are missing, after those it has; else it is as it is', () => {
    const paused = lane('flight', { failures: 2, pause: { wakeAt: 9, failure } })
    expect(fit(running([paused], 'car'))).toEqual(running([paused, begun('hotel'), begun('train')], 'car'))
    const ended = lane('flight', { ended: true })
    expect(fit(running([ended, lane('hotel')], 'car'))).toEqual(running([ended, lane('hotel'), begun('train')], 'car'))
    expect(fit(running([ended], 'car'))).toMatchObject({ lanes: [ended, begun('hotel'), begun('train')] })
    for (const state of [
      running([lane('car', { doubt: true })]),
      running([lane('seats')], 'car'),
      running([lane('seats[1]', { items: 2 })], 'car', 'seats[0]'),
      running([lane('hotel', { ended: true }), lane('train'), lane('flight')], 'car'),
      { ...back, left: ['car'] },
      { ...back, open: [{ at: 'car', doubt: false }] },
      { status: 'completed' } as const,
    ])
      expect(fit(state)).toEqual(state)
  })

  it('gets none for what was done before: it is touched, or, where nothing will be undone, has its result', () => {
    expect(fit(running([lane('flight')], 'hotel'))).toEqual(running([lane('flight'), begun('train')], 'hotel'))
    expect(fit(running([lane('flight')], 'hotel[0]', 'hotel[1]', 'train'))).toEqual(
      running([lane('flight')], 'hotel[0]', 'hotel[1]', 'train'),
    )
    expect(fit(running([lane('text')]), { mail: 'sent' })).toEqual(running([lane('text')]))
    expect(fit(running([lane('text')]))).toEqual(running([lane('text'), begun('mail')]))
  })

  it('goes on past a group of which everything has ended', () => {
    const ended = (...names: string[]) => names.map((at) => lane(at, { ended: true }))
    expect(fit({ ...running(ended('hotel', 'train', 'flight'), 'car'), firstNames: { car: 'auto' } })).toEqual({
      ...running([lane('seats')], 'car', 'hotel', 'train', 'flight'),
      firstNames: { car: 'auto' },
    })
    expect(fit(running(ended('mail', 'text')))).toEqual({ status: 'completed' })
    expect(fit(running(ended('car')))).toMatchObject({ lanes: [lane('hotel'), lane('flight'), lane('train')] })
  })

  it('is at its end with nothing left to be undone', () => {
    expect(fit(back)).toEqual({ status: 'compensated', cause })
    expect(fit({ status: 'stuck', resume: back, failure })).toEqual({ status: 'compensated', cause })
  })

  it('is seen to while it is stuck, too', () => {
    const stuck = (resume: Running): SagaState => ({ status: 'stuck', resume, failure })
    expect(fit(stuck(running([lane('flight'), lane('train')])))).toEqual(stuck(running([lane('flight'), lane('train'), begun('hotel')])))
    expect(() => fit(stuck(running([])))).toThrow('it is running at no step')
    expect(() => fit(stuck(running([lane('bus')])))).toThrow('no step "bus"')
  })

  it.each([
    ['no lane', running([]), 'it is running at no step; wanted its steps in "lanes"'],
    [
      'lanes that do not start together',
      running([lane('hotel'), lane('seats')]),
      'it is running at "hotel" and "seats", which do not run at the same time; wanted one lane, or one for each step of one "all"',
    ],
    ['lanes of two groups', running([lane('hotel'), lane('mail')]), 'it is running at "hotel" and "mail", which'],
    ['lanes of no group', running([lane('car'), lane('pay')]), 'it is running at "car" and "pay", which'],
    ['a lane twice', running([lane('hotel'), lane('hotel')]), 'it is running at "hotel" and "hotel", which'],
    ['two items', running([lane('seats[0]', { items: 2 }), lane('seats[1]', { items: 2 })]), 'it is running at "seats[0]" and "seats[1]"'],
    ['an item of a step without', running([lane('hotel[1]', { items: 2 })]), 'it is at "hotel[1]", wanted "hotel", which runs once'],
    ['an item of none', running([lane('seats[1]')]), 'it is at "seats[1]" of undefined items, wanted at least 2'],
    ['an item too many', running([lane('seats[2]', { items: 2 })]), 'it is at "seats[2]" of 2 items, wanted at least 3'],
  ])('is refused with %s', (_what, state, message) => {
    const what = 'cannot take saga "i" of "trip" from version 1 to 2: '
    expect(() => fit(state)).toThrow(
      expect.objectContaining({ code: 'ERR_SAGA_MIGRATION', message: expect.stringContaining(what + message) }),
    )
  })
})

describe('what "migrate" gives, whatever the compiler was told', () => {
  const lane = { at: 'hotel', failures: 0, doubt: false }
  const running = { status: 'running', lanes: [lane], touched: [] }
  const wrong: [wanted: string, migrate: () => unknown][] = [
    ['"migrate" gives undefined, wanted an object with a "state"', () => undefined],
    ['"migrate" gives an instance of Promise', () => Promise.reject(new Error('later'))],
    ['"state" is undefined, wanted an object', () => ({})],
    ['"state.status" is "done", wanted one of running, undoing, stuck, completed, compensated', () => ({ state: { status: 'done' } })],
    ['"state.lanes" is undefined, wanted an array', () => ({ state: { status: 'running', touched: [] } })],
    ['"state.lanes[0].failures" is undefined, wanted a whole number from 0', () => ({ state: { ...running, lanes: [{ at: 'hotel' }] } })],
    ['"state.lanes[0].pause.wakeAt" is NaN', () => ({ state: { ...running, lanes: [{ ...lane, pause: { wakeAt: Number.NaN } }] } })],
    ['"state.touched[0]" is 3, wanted a text', () => ({ state: { ...running, touched: [3] } })],
    ['"state.open" is undefined', () => ({ state: { status: 'undoing', left: ['hotel'], failures: 0 } })],
    ['"state.cause" is undefined, wanted an object', () => ({ state: { status: 'compensated' } })],
    [
      '"state.resume.status" is "stuck", wanted one of running, undoing',
      () => ({ state: { status: 'stuck', resume: { status: 'stuck' } } }),
    ],
    ['"results" is null, wanted an object', () => ({ state: running, results: null })],
    ['"more" is a bigint', () => ({ state: { ...running, more: 1n } })],
  ]

  it.each(wrong)('%s', async (wanted, migrate) => {
    const b = bench()
    const version = (number: number, migrate = {}) =>
      saga<Trip>('trip', { version: number, key, migrate })
        .step('hotel', { do: () => void b.calls.push('hotel'), undo: none })
        .done()
    const { id } = await startSaga(b.database, version(1), { tripId: 't1' })
    await b.run([version(2, { 1: migrate })])
    await b.world.advance(1_000)
    expect(await b.admin.list()).toMatchObject([
      { id, status: 'stuck', failure: { code: 'ERR_SAGA_MIGRATION', message: expect.stringContaining(wanted) } },
    ])
    expect(b.logged).toHaveLength(1)
    expect(b.calls).toEqual([])
  })

  it('leaves input and results as they were, where it gives undefined for them', () => {
    const nothingElse: object = { input: undefined, results: undefined }
    const definition = saga<Trip>('trip', { version: 2, key, migrate: { 1: ({ state }) => ({ state, ...nothingElse }) } })
      .step('hotel', { do: () => 1, undo: none })
      .done()
    const old = { id: 'i', key: 't1', version: 1, state: running as Running, input: { tripId: 't1' }, results: { before: 1 } }
    expect(migrated(definition, old)).toMatchObject({ input: { tripId: 't1' }, results: { before: 1 } })
  })
})
