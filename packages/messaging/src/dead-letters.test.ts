import { type Database, type ManualWorld, manualWorld, type StorePort } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { consume } from './consume.ts'
import { type DeadLetters, deadLetters } from './dead-letters.ts'
import { type KeyQueue, keyQueuePort } from './ports.ts'
import { contextOf, type TestDatabase, testDatabase } from './test/database.ts'
import { seatTaken, taken } from './test/events.ts'
import { memoryBus } from './test/memory-bus.ts'

const eva = { by: 'eva', reason: 'looked at' }

/** A consumer whose handler never succeeds, with a dead letter for each of `seats`, and then one event more behind each. */
async function setUp(
  seats: readonly string[],
): Promise<{ world: ManualWorld; database: TestDatabase; letters: DeadLetters; stop(): Promise<void> }> {
  const world = manualWorld()
  const database = testDatabase(world)
  const bus = memoryBus()
  const fail = async () => {
    throw new Error('broken')
  }
  const component = consume(seatTaken, fail, { retry: { attempts: 1 } })
  await component.start(contextOf(world, { database, bus }))
  await bus.deliver(...seats.map((seat) => taken(seat, 1)), ...seats.map((seat) => taken(seat, 2)))
  return { world, database, letters: deadLetters(database, { world }), stop: async () => component.stop() }
}

/** The database where somebody else is always faster with one letter. */
function beatenAt(position: number, database: Database): Database {
  const queue = database.store(keyQueuePort)
  const claim: KeyQueue['claim'] = async (tx, letter) => letter.position !== position && queue.claim(tx, letter)
  // The one port that is not as it was.
  const store = <T>(port: StorePort<T>) => (port.name === keyQueuePort.name ? ({ ...queue, claim } as T) : database.store(port))
  return { ...database, store }
}

describe('dead letters', () => {
  it('can be decided about after the clock was set back by an hour', async () => {
    const { world, letters, stop } = await setUp(['A1', 'B1'])
    world.jump(-3_600_000)
    expect(await letters.redrive({ key: 'A1' }, { ...eva, dryRun: true })).toEqual({ ids: [1], dryRun: true })
    expect(await letters.redrive({ id: 1 }, eva)).toEqual({ ids: [1], dryRun: false })
    expect(await letters.discard({}, eva)).toMatchObject({ ids: expect.arrayContaining([2]) })
    await stop()
  })

  it.each<[string, object]>([
    ['id', { id: undefined }],
    ['key, type', { key: undefined, type: null }],
    ['keys', { keys: ['A1'] }],
  ])('are not all taken for meant by a filter that names %s and says nothing', async (names, filter) => {
    const { letters, stop } = await setUp(['A1', 'B1'])
    for (const action of ['redrive', 'discard'] as const)
      await expect(letters[action](filter, eva)).rejects.toThrow(
        new TypeError(`cannot ${action}: the filter says nothing by "${names}", wanted an id, group, type, key or reason, or {} for all`),
      )
    expect(await letters.history()).toEqual([])
    expect(await letters.redrive({ key: 'A1', type: undefined }, eva)).toMatchObject({ ids: [expect.any(Number)] })
    await stop()
  })

  it.each([0, -1, 1.5, Number.POSITIVE_INFINITY, Number.NaN])('are not listed %d at most', async (limit) => {
    const { letters, stop } = await setUp([])
    const wanted = new RangeError(`cannot list dead letters: "limit" is ${limit}, wanted a whole number from 1`)
    await expect(letters.list({ limit })).rejects.toThrow(wanted)
    await expect(letters.history(limit)).rejects.toThrow(RangeError)
    await stop()
  })

  it.each([undefined, Number.NaN, 1.5, 0])('are none with the number %s, and it is said so', async (id) => {
    const { letters, stop } = await setUp(['A1'])
    // A program without types may give what a look-up did not find.
    const number = id as number
    await expect(letters.show(number)).rejects.toThrow(`cannot show a dead letter: "id" is ${id}, wanted a whole number from 1`)
    await expect(letters.edit(number, { id: 'A1', n: 2 }, eva)).rejects.toThrow(`cannot edit a dead letter: "id" is ${id}`)
    await stop()
  })

  it('are not edited to data that JSON cannot hold, and it is said which', async () => {
    const { letters, stop } = await setUp(['A1'])
    const loop: { self?: object } = {}
    loop.self = loop
    for (const data of [{ n: 1n }, loop, { toJSON: () => JSON.parse('rubbish') }])
      await expect(letters.edit(1, data, eva)).rejects.toThrow(/^cannot edit dead letter 1: the data cannot be written as JSON: /)
    await expect(letters.edit(1, undefined, eva)).rejects.toThrow(
      'cannot edit dead letter 1: the data is undefined, wanted what JSON can hold',
    )
    expect(await letters.show(1)).toMatchObject({ envelope: { data: { id: 'A1', n: 1 } }, history: [] })
    await stop()
  })

  it('says what was decided, and not what somebody else was faster with', async () => {
    const { world, database, letters, stop } = await setUp(['A1', 'B1'])
    const slower = deadLetters(beatenAt(1, database), { world })
    expect(await slower.discard({}, eva)).toEqual({ ids: [2], dryRun: false })
    expect(await slower.redrive({ id: 1 }, eva)).toEqual({ ids: [], dryRun: false })
    expect(await letters.history()).toMatchObject([{ action: 'discard', deadLetter: 2 }])
    await stop()
  })

  it('are those of when it is decided: what dies meanwhile behind a discarded one stays', async () => {
    const seats = Array.from({ length: 450 }, (_, n) => `S${n}`)
    const { world, database, letters, stop } = await setUp(seats)
    // The consumer goes on between the transactions that decide.
    const transaction: Database['transaction'] = (body) => database.transaction(body).finally(() => world.advance(1_000))
    const dead = (await letters.list({ limit: 1_000 })).map(({ id }) => id)
    expect(dead).toHaveLength(450)
    expect(await deadLetters({ ...database, transaction }, { world }).discard({}, eva)).toEqual({ ids: dead, dryRun: false })
    await world.advance(5_000)
    expect(await letters.stats()).toMatchObject([{ parkedKeys: 450, deadLetters: 450, waiting: 0 }])
    await stop()
  })
})
