import { type Database, isRefusal, manualWorld, silentLogger, type Transaction } from '@banyan/core'
import { sqlite } from '@banyan/sqlite'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { explainSaga } from './explain.ts'
import { byValue, ISOLATIONS, isolationWarnings, rereadValue } from './isolation.ts'
import { lockOf, releaseLock, semanticLock, semanticLocks } from './semantic-lock.ts'
import { shapeOf } from './shape.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { bench } from './test/bench.ts'
import { versionFile, waitingOperations } from './version-file.ts'

const world = manualWorld()
let database: Database
beforeEach(() => {
  database = sqlite(':memory:', { world, log: silentLogger })
})

const inTransaction = <T>(body: (tx: Transaction) => Promise<T>): Promise<T> => database.transaction(body)
const order = { entity: 'order', id: '7' }

describe('semanticLock', () => {
  it('locks for one saga, which may ask again, and refuses others with who has it', async () => {
    const first = await inTransaction((tx) => semanticLock(tx, { ...order, saga: 's1', stash: { status: 'open' } }))
    expect(first).toEqual({ ...order, saga: 's1', stash: { status: 'open' }, at: world.now() })
    const refused = await inTransaction((tx) => semanticLock(tx, { ...order, saga: 's2' }))
    expect(refused).toMatchObject({ refused: 'locked', detail: expect.stringContaining('order "7" is locked by saga "s1"') })
    const waiting = inTransaction((tx) => semanticLock(tx, { ...order, saga: 's2', whenLocked: 'retry' }))
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_LOCKED', status: 409, retryAfterMs: 100 })
  })

  it('with "retry" lets the step of another saga try again until it is released', async () => {
    const b = bench()
    const definition = saga<{ id: string }>('change', { version: 1, key: ({ id }) => id })
      .local('lock', {
        do: async (tx, c) => void (await semanticLock(tx, { ...order, saga: c.id, whenLocked: 'retry' })),
        undo: nothing('x'),
      })
      .done()
    await b.run([definition])
    await b.database.transaction((tx) => semanticLock(tx, { ...order, saga: 's1' }))
    await startSaga(b.database, definition, { id: 'c1' })
    await b.world.advance(250)
    expect(await b.only()).toMatchObject({ status: 'waiting', failure: { code: 'ERR_LOCKED' } })
    await b.database.transaction((tx) => releaseLock(tx, { ...order, saga: 's1' }))
    await b.until('completed', 5_000)
  })

  it('keeps the first stash through repetitions, and gives it back to the undo, once', async () => {
    await inTransaction((tx) => semanticLock(tx, { ...order, saga: 's1', stash: { status: 'open' } }))
    const again = await inTransaction((tx) => semanticLock(tx, { ...order, saga: 's1', stash: { status: 'pending' } }))
    if (isRefusal(again)) throw new Error('wanted the lock')
    expect(again.stash?.status).toBe('open')
    expect(await inTransaction((tx) => releaseLock(tx, { ...order, saga: 's2' }))).toBeUndefined()
    expect(await inTransaction((tx) => releaseLock<{ status: string }>(tx, { ...order, saga: 's1' }))).toEqual({ status: 'open' })
    expect(await inTransaction((tx) => releaseLock(tx, { ...order, saga: 's1' }))).toBeUndefined()
    expect(isRefusal(await inTransaction((tx) => semanticLock(tx, { ...order, saga: 's2' })))).toBe(false)
  })

  it('shows readers who has locked what', async () => {
    expect(await inTransaction((tx) => lockOf(tx, 'order', '7'))).toBeUndefined()
    await inTransaction((tx) => semanticLock(tx, { ...order, saga: 's1' }))
    await inTransaction((tx) => semanticLock(tx, { entity: 'customer', id: 'ada', saga: 's1' }))
    expect(await inTransaction((tx) => lockOf(tx, 'order', '7'))).toMatchObject({ saga: 's1', stash: undefined })
    expect((await semanticLocks(database)).map(({ entity }) => entity)).toEqual(['customer', 'order'])
    expect(await semanticLocks(database, { entity: 'order', saga: 's1' })).toHaveLength(1)
    expect(await semanticLocks(database, { saga: 's2' })).toEqual([])
  })

  it('refuses names and stashes that cannot be kept', async () => {
    await expect(inTransaction((tx) => semanticLock(tx, { ...order, saga: '' }))).rejects.toThrow(TypeError)
    const date = inTransaction((tx) => semanticLock(tx, { ...order, saga: 's1', stash: { at: new Date(0) } }))
    await expect(date).rejects.toMatchObject({ code: 'ERR_RESULT_NOT_JSON' })
    await expect(semanticLocks(database, { limit: 0 })).rejects.toThrow(RangeError)
  })
})

describe('versionFile', () => {
  const account = { entity: 'account', id: 'a' }
  const applyTo = (done: number[], version: number, operation = { n: version }) =>
    inTransaction((tx) => versionFile(tx, { ...account, version, operation }, ({ n }) => void done.push(n)))

  it('applies operations in their order, each once, in whatever order and however often they come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(100), { maxLength: 30 }), async (count, picks) => {
        database = sqlite(':memory:', { world, log: silentLogger })
        const done: number[] = []
        const versions = Array.from({ length: count }, (_, index) => index + 1)
        for (const pick of picks) await applyTo(done, (pick % count) + 1)
        for (const version of versions.toReversed()) await applyTo(done, version)
        expect(done).toEqual(versions)
        await database.close()
      }),
      { numRuns: 50 },
    )
  })

  it('says what it has applied, and what waits', async () => {
    const done: number[] = []
    expect(await applyTo(done, 3)).toEqual({ applied: [], version: 0 })
    expect(await inTransaction((tx) => waitingOperations(tx, account))).toEqual([{ version: 3, operation: { n: 3 }, at: world.now() }])
    expect(await applyTo(done, 1)).toEqual({ applied: [1], version: 1 })
    expect(await applyTo(done, 2)).toEqual({ applied: [2, 3], version: 3 })
    expect(await applyTo(done, 2)).toEqual({ applied: [], version: 3 })
    expect(await inTransaction((tx) => waitingOperations(tx, account))).toEqual([])
  })

  it('takes back all of a call when one operation fails', async () => {
    const done: number[] = []
    await applyTo(done, 2)
    const failing = inTransaction((tx) =>
      versionFile(tx, { ...account, version: 1, operation: { n: 1 } }, ({ n }) => {
        if (n === 2) throw new Error('no')
      }),
    )
    await expect(failing).rejects.toThrow('no')
    expect(await applyTo(done, 1)).toEqual({ applied: [1, 2], version: 2 })
  })

  it('refuses two operations of one version, and versions that are none', async () => {
    await applyTo([], 2)
    await expect(applyTo([], 2, { n: 5 })).rejects.toMatchObject({ code: 'ERR_KEY_REUSED', status: 422 })
    await expect(applyTo([], 0)).rejects.toThrow(RangeError)
    const missing = inTransaction((tx) => versionFile(tx, { ...account, version: 1, operation: undefined }, () => {}))
    await expect(missing).rejects.toThrow('"operation" is missing')
  })
})

describe('rereadValue', () => {
  const write = (expected: object, current: object) =>
    inTransaction((tx) => rereadValue(tx, { what: 'order "7"', expected, reread: async () => current }, () => 'written'))

  it('writes when what was read is still so, whatever the order of its properties', async () => {
    expect(await write({ status: 'open', total: 5 }, { total: 5, status: 'open' })).toBe('written')
  })

  it('refuses when it has changed', async () => {
    expect(await write({ status: 'open' }, { status: 'cancelled' })).toEqual({
      refused: 'changed',
      detail: 'order "7" has changed since it was read',
    })
  })
})

describe('byValue', () => {
  const named = (name: string, version: number) =>
    saga<{ id: string; cents: number }>(name, { version, key: ({ id }) => id })
      .local('note', { do: () => 1, undo: nothing('a test') })
      .done()
  const [quick, careful] = [named('pay', 1), named('pay', 2)]

  it('takes the first choice that says yes, else the last', () => {
    const pick = byValue([{ when: ({ cents }) => cents < 100, saga: quick }, { saga: careful }])
    expect([pick({ id: 'a', cents: 99 }).version, pick({ id: 'a', cents: 100 }).version]).toEqual([1, 2])
  })

  it('takes yes and no alone for an answer', () => {
    const slow = () => Promise.reject(new Error('asked somebody')) as never
    const pick = byValue([{ when: slow, saga: quick }, { saga: careful }])
    expect(() => pick({ id: 'a', cents: 1 })).toThrow(
      'cannot choose by value: the "when" of version 1 of "pay" gives an instance of Promise, wanted true or false',
    )
  })

  it('refuses choices that leave inputs out, are never reached, or would start twice for one key', () => {
    expect(() => byValue([{ when: () => true, saga: quick }])).toThrow('some inputs would have no saga')
    expect(() => byValue([{ saga: quick }, { saga: careful }])).toThrow('version 1 has no "when" and is not the last')
    expect(() => byValue([{ when: () => true, saga: named('pay', 2) }, { saga: careful }])).toThrow(
      'two definitions of version 2 of "pay"; workers would run one for both',
    )
    expect(byValue([{ when: () => false, saga: careful }, { saga: careful }])({ id: 'a', cents: 1 })).toBe(careful)
    expect(() => byValue([{ when: () => true, saga: named('other', 1) }, { saga: quick }])).toThrow('give them one name and two versions')
  })
})

describe('isolationWarnings', () => {
  const step = (place: 'before' | 'pivot' | 'after', isolation: (typeof ISOLATIONS)[number], undoable = true) => ({
    ...{ name: 's', place, undoable, touches: { order: isolation } },
  })

  it('warns of entities without isolation, before the pivot and past it', () => {
    expect(isolationWarnings([step('before', 'none'), step('after', 'none')])).toEqual([
      'step "s" touches "order" without isolation: others may read what is taken back later, or write what its undo overwrites',
      'step "s" touches "order" without isolation: it may overwrite what another saga has written since this one read it',
    ])
  })

  it('warns of isolation that does not work where it stands', () => {
    expect(isolationWarnings([step('before', 'pessimistic-view')])[0]).toContain('move it past the pivot')
    expect(isolationWarnings([step('before', 'semantic-lock', false)])[0]).toContain('nobody releases it')
  })

  it('says nothing of isolation that works', () => {
    const fine = ISOLATIONS.filter((one) => one !== 'none').map((isolation) => step('after', isolation))
    expect(isolationWarnings([...fine, step('before', 'semantic-lock'), step('before', 'commutative-update')])).toEqual([])
  })
})

describe('touches', () => {
  it('is kept with a step, and explainSaga warns of what has no isolation', () => {
    const shared = saga<{ id: string }>('trip', { version: 1, key: ({ id }) => id })
      .local('room', { do: () => 1, undo: () => {}, touches: { room: 'semantic-lock' } })
      .step('guest', { do: () => 1, undo: () => {}, touches: { guest: 'none' } })
      .pivot('confirm', { do: () => 1 })
      .done()
    expect(shapeOf(shared).steps.map(({ touches }) => touches)).toEqual([{ room: 'semantic-lock' }, { guest: 'none' }, undefined])
    expect(explainSaga(shared).warnings).toContainEqual(expect.stringContaining('step "guest" touches "guest" without isolation'))
    expect(explainSaga(shared).warnings.join()).not.toContain('"room"')
  })

  it('refuses an isolation that is none', () => {
    const wrong = () =>
      saga<{ id: string }>('trip', { version: 1, key: ({ id }) => id })
        // @ts-expect-error: no such isolation
        .local('room', { do: () => 1, undo: nothing('a test'), touches: { room: 'lock' } })
    expect(wrong).toThrow('step "room": it touches "room" by "lock", wanted one of semantic-lock,')
  })
})
