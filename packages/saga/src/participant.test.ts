import { manualWorld, refuse, type Transaction } from '@banyan/core'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { participant, participantState } from './participant.ts'
import { addEffect, testDatabase } from './test/database.ts'

function receiver() {
  const world = manualWorld()
  const database = testDatabase(world)
  const effects = () => database.effects()
  const write = (tx: Transaction, effect: string) => addEffect(tx, effect)
  const reserve = (key: string, seats: number = 1, answer: unknown = { seats }) =>
    database.transaction((tx) =>
      participant(tx, { key, operation: 'seats', kind: 'do', fingerprint: { seats, of: 'show' } }, () => {
        write(tx, `reserved ${seats}`)
        return answer
      }),
    )
  const release = (key: string) =>
    database.transaction((tx) =>
      participant(tx, { key, operation: 'seats', kind: 'undo' }, (done: { seats: number }) => {
        write(tx, `released ${done.seats}`)
        return { released: done.seats }
      }),
    )
  const state = (key: string) => database.transaction((tx) => participantState(tx, key))
  return { world, database, effects, reserve, release, state }
}

describe('do', () => {
  it('runs once a key; repetitions get the stored result', async () => {
    const { reserve, effects, state } = receiver()
    expect(await reserve('k', 2)).toEqual({ seats: 2 })
    expect(await reserve('k', 2)).toEqual({ seats: 2 })
    expect(await effects()).toEqual(['reserved 2'])
    expect(await state('k')).toMatchObject({ operation: 'seats', state: 'done', result: { seats: 2 } })
  })

  it('runs once among many at the same time', async () => {
    const { reserve, effects } = receiver()
    await Promise.all(Array.from({ length: 10 }, () => reserve('k')))
    expect(await effects()).toEqual(['reserved 1'])
  })

  it('stores and repeats refusals', async () => {
    const { reserve, effects, state } = receiver()
    expect(await reserve('k', 1, refuse('sold-out'))).toEqual({ refused: 'sold-out' })
    expect(await reserve('k', 1)).toEqual({ refused: 'sold-out' })
    expect(await effects()).toHaveLength(1)
    expect((await state('k'))?.state).toBe('refused')
  })

  it('repeats nothing as nothing', async () => {
    const { database } = receiver()
    const ask = (key: string, answer: unknown) =>
      database.transaction((tx) => participant(tx, { key, operation: 'o', kind: 'do' }, () => answer))
    expect([await ask('u', undefined), await ask('u', 1)]).toEqual([undefined, undefined])
    expect([await ask('n', null), await ask('n', 1)]).toEqual([null, null])
  })

  it('leaves the key unused when the body throws', async () => {
    const { database, reserve, state } = receiver()
    const failing = database.transaction((tx) =>
      participant(tx, { key: 'k', operation: 'seats', kind: 'do' }, () => Promise.reject(new Error('no'))),
    )
    await expect(failing).rejects.toThrow('no')
    expect(await state('k')).toBeUndefined()
    expect(await reserve('k')).toEqual({ seats: 1 })
  })

  it('refuses a key that came with another content or for another operation, with status 422', async () => {
    const { database, reserve, effects } = receiver()
    await reserve('k', 1)
    await expect(reserve('k', 2)).rejects.toMatchObject({
      code: 'ERR_KEY_REUSED',
      status: 422,
      message: 'cannot use key "k" again: it was used with another content; take a new key',
    })
    const other = database.transaction((tx) => participant(tx, { key: 'k', operation: 'meals', kind: 'do' }, () => 1))
    await expect(other).rejects.toThrow('it was used for "seats", not for "meals"')
    expect(await effects()).toEqual(['reserved 1'])
  })

  it('takes the same content in another order for the same', async () => {
    const { database } = receiver()
    const ask = (fingerprint: unknown) =>
      database.transaction((tx) => participant(tx, { key: 'k', operation: 'o', kind: 'do', fingerprint }, () => 'first'))
    await ask({ a: 1, b: { c: [1, 2], d: undefined } })
    expect(await ask({ b: { c: [1, 2] }, a: 1 })).toBe('first')
    await expect(ask({ a: 1, b: { c: [2, 1] } })).rejects.toMatchObject({ code: 'ERR_KEY_REUSED' })
  })

  it('refuses a result that cannot be stored', async () => {
    const { database } = receiver()
    const storing = database.transaction((tx) => participant(tx, { key: 'k', operation: 'o', kind: 'do' }, () => ({ at: new Map() })))
    await expect(storing).rejects.toMatchObject({ code: 'ERR_RESULT_NOT_JSON' })
    const match = { found: 'order 7'.match(/(?<number>\d)/) }
    const matching = database.transaction((tx) => participant(tx, { key: 'm', operation: 'o', kind: 'do' }, () => match))
    // JSON would keep its items, and a repetition would miss the group.
    await expect(matching).rejects.toThrow('"found" is an array with the property "index" beside its items')
  })
})

describe('undo', () => {
  it('runs once, with the result of do', async () => {
    const { reserve, release, effects, state } = receiver()
    await reserve('k', 3)
    expect(await release('k')).toEqual({ released: 3 })
    expect(await release('k')).toEqual({ released: 3 })
    expect(await effects()).toEqual(['reserved 3', 'released 3'])
    expect((await state('k'))?.state).toBe('undone')
  })

  it('of what was never done runs nothing, and a do that comes late is refused', async () => {
    const { reserve, release, effects, state } = receiver()
    expect(await release('k')).toBeUndefined()
    expect(await release('k')).toBeUndefined()
    expect(await reserve('k')).toMatchObject({ refused: 'cancelled' })
    expect(await effects()).toEqual([])
    expect((await state('k'))?.state).toBe('cancelled')
  })

  it('of what was refused runs nothing', async () => {
    const { reserve, release, effects } = receiver()
    await reserve('k', 1, refuse('sold-out'))
    expect(await release('k')).toBeUndefined()
    expect(await effects()).toEqual(['reserved 1'])
  })

  it('makes a repeated do refused, too', async () => {
    const { reserve, release, effects } = receiver()
    await reserve('k')
    await release('k')
    expect(await reserve('k')).toMatchObject({ refused: 'cancelled' })
    expect(await effects()).toEqual(['reserved 1', 'released 1'])
  })

  it('that throws can be tried again', async () => {
    const { database, reserve, release, effects } = receiver()
    await reserve('k')
    const failing = database.transaction((tx) =>
      participant(tx, { key: 'k', operation: 'seats', kind: 'undo' }, () => Promise.reject(new Error('no'))),
    )
    await expect(failing).rejects.toThrow('no')
    await release('k')
    expect(await effects()).toEqual(['reserved 1', 'released 1'])
  })
})

describe('keys', () => {
  it('are forgotten after their time, two with each new one', async () => {
    const { world, reserve, state } = receiver()
    for (const key of ['a', 'b', 'c']) await reserve(key)
    await world.advance(31 * 24 * 3_600_000)
    await reserve('d')
    expect([await state('a'), await state('b')]).toEqual([undefined, undefined])
    expect(await state('c')).toBeDefined()
    await reserve('e')
    expect(await state('c')).toBeUndefined()
    expect(await state('d')).toBeDefined()
  })

  it('are remembered as long as their own operation says, whatever another one says', async () => {
    const { world, database, reserve, effects } = receiver()
    const ask = (key: string) =>
      database.transaction((tx) => participant(tx, { key, operation: 'meals', kind: 'do', retentionMs: 1_000 }, () => 'a meal'))
    await reserve('k')
    await ask('m1')
    await world.advance(2_000)
    await ask('m2')
    expect(await database.transaction((tx) => participantState(tx, 'm1'))).toBeUndefined()
    await reserve('k')
    expect(await effects()).toEqual(['reserved 1'])
  })

  it('are remembered from their last use, also where that was a repetition', async () => {
    const { world, reserve, release, effects } = receiver()
    const days = (count: number) => world.advance(count * 24 * 3_600_000)
    await reserve('k')
    await release('gone')
    for (let round = 0; round < 2; round += 1) {
      await days(20)
      await reserve('k')
      await release('gone')
    }
    await days(20)
    await reserve('k')
    expect(await reserve('gone')).toMatchObject({ refused: 'cancelled' })
    expect(await effects()).toEqual(['reserved 1'])
  })

  it('are not written by each of many repetitions', async () => {
    const { world, database, reserve } = receiver()
    const usedAt = async () => (await database.transaction((tx) => participantState(tx, 'k')))?.at ?? 0
    await reserve('k')
    const first = await usedAt()
    await world.advance(60_000)
    await reserve('k')
    expect(await usedAt()).toBe(first)
    await world.advance(3 * 24 * 3_600_000)
    await reserve('k')
    expect(await usedAt()).toBe(world.now())
  })

  it('are forgotten with new ones, and not with each of many repetitions', async () => {
    const { world, database } = receiver()
    const ask = (key: string) =>
      database.transaction((tx) => participant(tx, { key, operation: 'meals', kind: 'do', retentionMs: 1_000 }, () => 'a meal'))
    const giveBack = (key: string) =>
      database.transaction((tx) => participant(tx, { key, operation: 'meals', kind: 'undo', retentionMs: 1_000 }, () => undefined))
    const isKnown = async (key = 'old') => (await database.transaction((tx) => participantState(tx, key))) !== undefined
    await ask('old')
    await world.advance(900)
    await ask('k')
    await world.advance(900)
    await ask('k')
    expect(await isKnown()).toBe(true)
    await ask('new')
    expect(await isKnown()).toBe(false)
    await world.advance(1_100)
    await giveBack('never asked for')
    expect(await isKnown('new')).toBe(false)
  })

  it('are texts of 1 to 255 characters', async () => {
    const { reserve } = receiver()
    await expect(reserve('')).rejects.toThrow('cannot guard a participant: "key" is "", wanted a text of 1 to 255 characters')
    await expect(reserve('x'.repeat(256))).rejects.toThrow(TypeError)
  })

  it('may be those of any step and item, however long its name', async () => {
    const { database } = receiver()
    const key = `${'0'.repeat(36)}:${'n'.repeat(200)}[${Number.MAX_SAFE_INTEGER}]`
    expect(key).toHaveLength(255)
    const done = database.transaction((tx) => participant(tx, { key, operation: 'seats', kind: 'do' }, () => 'done'))
    await expect(done).resolves.toBe('done')
  })

  it.each(['k\ud800', 'k\0'])('are none that a database takes for another one: %j', async (key) => {
    const { reserve } = receiver()
    await expect(reserve(key)).rejects.toThrow('wanted a text without NUL and without halves of surrogate pairs')
  })
})

it('has the types of its bodies', () => {
  const asDo = (tx: Transaction) => participant(tx, { key: 'k', operation: 'o', kind: 'do' }, async () => ({ n: 1 }))
  const asUndo = (tx: Transaction) => participant(tx, { key: 'k', operation: 'o', kind: 'undo' }, (done: { n: number }) => done.n)
  expectTypeOf(asDo).returns.resolves.toEqualTypeOf<{ n: number } | import('@banyan/core').Refusal<'cancelled'>>()
  expectTypeOf(asUndo).returns.resolves.toEqualTypeOf<number | undefined>()
})
