import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import type { AnySaga, Saga, StoredSaga } from './definition.ts'
import { migrated, renameSteps } from './migrate.ts'
import { participant } from './participant.ts'
import { startSaga } from './start.ts'
import type { Running, SagaState, Undoing } from './state.ts'
import { nothing } from './steps.ts'
import { type Bench, bench, line } from './test/bench.ts'

interface Trip {
  tripId: string
}

const key = ({ tripId }: Trip) => tripId
const none = nothing('it only reads')
const ada = { by: 'ada', reason: 'a good customer' }
const hang = () => new Promise<never>(() => {})
const renaming = (names: Readonly<Record<string, string>>) => (old: StoredSaga) => renameSteps(old, names)

/** Starts a saga of the first version, which dies after a while; then `later` run. */
async function passOn(b: Bench, first: Saga<Trip>, ...later: AnySaga[]): Promise<string> {
  const dead = line()
  await b.run([first], { line: dead })
  const { id } = await startSaga(b.database, first, { tripId: 't1' })
  await b.world.advance(100)
  dead.cut()
  await b.run(later)
  return id
}

/** A payment whose other side does each thing once a key. */
const money = ({ database, calls }: Bench) => ({
  do: (c: { key: string }) =>
    database.transaction((tx) => participant(tx, { key: c.key, operation: 'money', kind: 'do' }, () => void calls.push('charged'))),
  undo: (c: { key: string }) =>
    database.transaction((tx) => participant(tx, { key: c.key, operation: 'money', kind: 'undo' }, () => void calls.push('refunded'))),
})

/** Steps that note the keys they are given. */
function noting({ calls }: Bench) {
  const note = (what: string) => (c: { id: string; key: string }) => void calls.push(`${what} ${c.key.replace(c.id, '')}`)
  return { do: note('do'), undo: note('undo') }
}

describe('a step that a migration renames', () => {
  it('is undone under the key that it was done with', async () => {
    const b = bench()
    const one = saga<Trip>('order', { version: 1, key }).step('money', money(b)).step('ship', { do: hang, undo: none }).done()
    const two = saga<Trip>('order', { version: 2, key, migrate: { 1: renaming({ money: 'payment' }) } })
      .step('payment', money(b))
      .step('ship', { do: () => Promise.reject(Object.assign(new Error('no'), { status: 400 })), undo: none })
      .done()
    await passOn(b, one, two)
    const { history } = await b.until('compensated')
    expect(b.calls).toEqual(['charged', 'refunded'])
    // People read the name that it has when they read it.
    expect(history.map(({ action, step }) => `${action} ${step}`)).toEqual(['do money', 'migrate ship', 'do ship', 'undo payment'])
  })

  it('is tried again under the key of the attempt that was cut off', async () => {
    const b = bench()
    const { do: charge, undo } = money(b)
    const one = saga<Trip>('order', { version: 1, key })
      .step('money', { do: (c) => charge(c).then(hang), undo })
      .done()
    const two = saga<Trip>('order', { version: 2, key, migrate: { 1: renaming({ money: 'payment' }) } })
      .step('payment', { do: charge, undo })
      .done()
    await passOn(b, one, two)
    await b.until('completed')
    expect(b.calls).toEqual(['charged'])
  })

  it('keeps the key of each of its items, those to come included', async () => {
    const b = bench()
    const items = () => ['a', 'b', 'c']
    const { do: book, undo } = noting(b)
    const one = saga<Trip>('trip', { version: 1, key })
      .each('seats', items, { do: (c, _item, index) => (index === 1 ? hang() : book(c)), undo })
      .done()
    const two = saga<Trip>('trip', { version: 2, key, migrate: { 1: renaming({ seats: 'places' }) } })
      .each('places', items, { do: book, undo })
      .step('hotel', { do: () => Promise.reject(Object.assign(new Error('no'), { status: 400 })), undo: none })
      .done()
    await passOn(b, one, two)
    await b.until('compensated')
    const done = ['do :seats[0]', 'do :seats[1]', 'do :seats[2]']
    expect(b.calls).toEqual([...done, 'undo :seats[2]', 'undo :seats[1]', 'undo :seats[0]'])
  })

  it('starts its child once, and takes it back', async () => {
    const b = bench()
    const room = saga<Trip>('room', { version: 1, key })
      .sleep('rest', 60_000)
      .step('book', { do: () => void b.calls.push('booked'), undo: () => void b.calls.push('given back') })
      .done()
    const child = { input: (c: { input: Trip }) => c.input, undo: () => void b.calls.push('undone') }
    const one = saga<Trip>('order', { version: 1, key }).child('kid', room, child).done()
    const two = saga<Trip>('order', { version: 2, key, migrate: { 1: renaming({ kid: 'booking' }) } })
      .child('booking', room, child)
      .approve('boss', { withinMs: 600_000, otherwise: 'undo' })
      .done()
    const id = await passOn(b, one, two, room)
    await b.world.advance(100_000)
    expect(b.calls).toEqual(['booked'])
    await b.admin.reject(id, ada)
    await b.world.advance(10_000)
    expect(b.calls).toEqual(['booked', 'undone'])
  })

  it('hears answers that were given before the migration, and after it', async () => {
    const b = bench()
    const soon = { withinMs: 600_000, otherwise: 'undo' } as const
    const one = saga<Trip>('order', { version: 1, key }).approve('boss', soon).approve('owner', soon).done()
    const two = saga<Trip>('order', { version: 2, key, migrate: { 1: renaming({ boss: 'manager', owner: 'board' }) } })
      .approve('manager', soon)
      .approve('board', soon)
      .done()
    const worker = await b.run([one])
    const { id } = await startSaga(b.database, one, { tripId: 't1' })
    await b.world.advance(100)
    const stopped = worker.stop()
    await b.world.advance(100)
    await stopped
    await b.admin.approve(id, ada)
    await b.run([two])
    await b.world.advance(1_000)
    expect(await b.only()).toMatchObject({ version: 2, status: 'waiting', step: 'board', results: { manager: ada } })
    await b.admin.approve(id, ada)
    await b.world.advance(1_000)
    expect(await b.only()).toMatchObject({ version: 2, status: 'completed', results: { board: ada } })
  })

  it('keeps its key over several versions, also one whose migration writes the state anew', async () => {
    const b = bench()
    const { do: book, undo } = noting(b)
    const busy = () => Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 30_000 }))
    const anew = ({ state }: StoredSaga) => {
      if (state.status !== 'running') throw new Error('it does not run')
      const { lanes, touched } = state
      return { state: { status: 'running', lanes, touched } as const }
    }
    const define = (version: number, hotel: string, migrate = {}, full = false) =>
      saga<Trip>('trip', { version, key, migrate })
        .step(hotel as 'a', { do: book, undo })
        .step('flight', { do: full ? () => Promise.reject(Object.assign(new Error('no'), { status: 400 })) : busy, undo: none })
        .done()
    const [first, second] = [line(), line()]
    await b.run([define(1, 'a')], { line: first })
    await startSaga(b.database, define(1, 'a'), { tripId: 't1' })
    await b.world.advance(100)
    first.cut()
    await b.run([define(2, 'b', { 1: renaming({ a: 'b' }) })], { line: second })
    await b.world.advance(60_000)
    expect(await b.only()).toMatchObject({ version: 2, state: { touched: ['b'] } })
    second.cut()
    await b.run([define(3, 'b', { 2: anew }, true)])
    await b.until('compensated')
    expect(b.calls).toEqual(['do :a', 'undo :a'])
  })

  it('stops a saga whose new version has another step of its first name, which would go out under the same key', async () => {
    const b = bench()
    const one = saga<Trip>('order', { version: 1, key }).step('money', money(b)).step('ship', { do: hang, undo: none }).done()
    const two = saga<Trip>('order', { version: 2, key, migrate: { 1: renaming({ money: 'payment' }) } })
      .step('payment', money(b))
      .step('ship', { do: () => 1, undo: none })
      .step('money', money(b))
      .done()
    const id = await passOn(b, one, two)
    await b.until('stuck')
    expect((await b.admin.show(id)).failure).toEqual({
      code: 'ERR_SAGA_MIGRATION',
      message:
        `cannot take saga "${id}" of "order" from version 1 to 2: step "payment" goes on under the key of "money", its first name; ` +
        'wanted another name for the new "money"',
    })
  })
})

describe('renaming', () => {
  const stored = (state: SagaState, results = {}): StoredSaga => ({ id: 'i', key: 'k', version: 1, state, input: {}, results })
  const at = (lane: string, ...touched: string[]): Running => ({
    status: 'running',
    lanes: [{ at: lane, failures: 0, doubt: false }],
    touched,
  })
  /** After some renamings, one after another. */
  const renamed = (state: SagaState, ...renamings: Record<string, string>[]): StoredSaga => {
    let old = stored(state)
    for (const names of renamings) old = { ...old, state: renameSteps(old, names).state }
    return old
  }

  it('adds up over versions, and back to the first name it leaves no record', () => {
    expect(renamed(at('a'), { a: 'b' }, { b: 'c' }).state).toEqual({ ...at('c'), firstNames: { c: 'a' } })
    expect(renamed(at('z'), { a: 'b' }, { b: 'c' }).state).toEqual({ ...at('z'), firstNames: { c: 'a' } })
    expect(renamed(at('z'), { a: 'b' }, { x: 'y' }).state).toEqual({ ...at('z'), firstNames: { b: 'a', y: 'x' } })
    const back = saga<Trip>('x', { version: 2, key, migrate: { 1: renaming({ b: 'a' }) } })
      .step('a', { do: () => 1, undo: none })
      .done()
    expect(migrated(back, renamed(at('a'), { a: 'b' })).state).toEqual(at('a'))
  })

  it('may swap names', () => {
    const state = { ...at('a', 'b'), firstNames: { a: 'b', b: 'a' } }
    expect(renamed(at('b', 'a'), { a: 'b', b: 'a' }).state).toEqual(state)
    expect(renamed(state, { a: 'b', b: 'a' }).state).toEqual({ ...at('b', 'a'), firstNames: {} })
  })

  it("may be written for several older versions at once: the name that a saga has used was the step's", () => {
    const both = { a: 'c', b: 'c' }
    expect(renamed(at('a'), both).state).toMatchObject({ firstNames: { c: 'a' } })
    expect(renamed(at('b'), both).state).toMatchObject({ firstNames: { c: 'b' } })
    expect(renamed(at('a'), { a: 'b' }, both).state).toMatchObject({ firstNames: { c: 'a' } })
    expect(renamed(at('c'), both).state).toEqual({ ...at('c'), firstNames: {} })
  })

  it('takes a name over from a step that is no more', () => {
    expect(renamed(at('a'), { x: 'b' }, { a: 'b' }).state).toEqual({ ...at('b'), firstNames: { b: 'a' } })
  })

  it('refuses to give two steps one name', () => {
    expect(() => renamed(at('b', 'a'), { a: 'b' })).toThrow('steps "a" and "b" would both be "b"; wanted another name for one of them')
    expect(() => renameSteps(stored(at('a'), { b: 1 }), { a: 'b' })).toThrow(TypeError)
  })

  it('is the same on the way back and of a stuck one; the step it failed at has its new name, too', () => {
    const cause = { step: 'a', refused: false, code: 'X', message: 'x' }
    const back: Undoing = { status: 'undoing', left: ['s[1]', 's[0]', 'a'], open: [{ at: 's[1]', doubt: true }], failures: 1, cause }
    const wanted = { left: ['t[1]', 't[0]', 'b'], open: [{ at: 't[1]', doubt: true }], cause: { ...cause, step: 'b' } }
    const names = { a: 'b', s: 't' }
    expect(renamed(back, names).state).toEqual({ ...back, ...wanted, firstNames: { b: 'a', t: 's' } })
    const stuck: SagaState = { status: 'stuck', resume: back, failure: cause }
    expect(renamed(stuck, names).state).toMatchObject({ resume: { ...wanted, firstNames: { b: 'a', t: 's' } } })
    expect(renamed(stuck, names, { b: 'c' }).state).toMatchObject({ resume: { firstNames: { c: 'a', t: 's' } } })
  })

  it('takes a step for nothing else, whatever it is called', () => {
    expect(renamed(at('constructor'), { toString: 'a' }).state).toMatchObject({
      lanes: [{ at: 'constructor' }],
      firstNames: { a: 'toString' },
    })
  })
})
