import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type Bench, bench, line } from './test/bench.ts'

interface Trip {
  readonly tripId: string
  /** How many calls it takes. */
  readonly calls: number
}

/** As many calls as its input says, one after another; `concurrency` of the kind. */
function chain({ calls }: Bench, name: string, concurrency?: number) {
  return saga<Trip>(name, { version: 1, key: ({ tripId }) => tripId, ...(concurrency !== undefined && { concurrency }) })
    .each('call', (c) => Array.from({ length: c.input.calls }, (_, n) => n), {
      do: (c) => void calls.push(c.input.tripId),
      undo: nothing('x'),
    })
    .done()
}

async function startMany({ database }: Bench, definition: ReturnType<typeof chain>, count: number, calls: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await startSaga(database, definition, { tripId: `long ${n}`, calls })
}

/** How often each name is among the first of `calls`. */
function counts(calls: readonly string[]): number[] {
  return [...Map.groupBy(calls, (call) => call).values()].map(({ length }) => length)
}

describe('with more sagas than slots', () => {
  it('a short saga started after a burst of long ones ends before the burst does', async () => {
    const b = bench()
    const definition = chain(b, 'trip')
    await startMany(b, definition, 60, 10)
    await startSaga(b.database, definition, { tripId: 'short', calls: 1 })
    await b.run([definition], { concurrency: 2 })
    await b.world.advance(100)
    expect(b.calls).toHaveLength(601)
    expect(await b.admin.list({ status: 'completed', limit: 100 })).toHaveLength(61)
    // In the first round: every saga has first learned how many calls it is to make.
    expect(b.calls.indexOf('short')).toBeLessThanOrEqual(61)
  })

  it('all have made a step before one makes its third', async () => {
    const b = bench()
    const definition = chain(b, 'trip')
    await startMany(b, definition, 40, 5)
    await b.run([definition], { concurrency: 3 })
    await b.world.advance(100)
    for (const round of [1, 2, 3, 4, 5]) {
      const seen = counts(b.calls.slice(0, round * 40))
      expect(seen).toHaveLength(40)
      // Slots come free in the order in which steps end, which may differ from that of their start by the number of slots.
      expect(Math.max(...seen) - Math.min(...seen)).toBeLessThanOrEqual(1)
    }
  })

  it('those of a dead process take turns too', async () => {
    const b = bench()
    const dead = line()
    const definition = chain(b, 'trip')
    await startMany(b, definition, 30, 4)
    await b.run([definition], { line: dead, concurrency: 4 })
    dead.cut()
    await b.world.advance(0)
    await b.run([definition], { concurrency: 2 })
    await b.world.advance(100)
    expect(new Set(b.calls.slice(0, 31)).size).toBeGreaterThanOrEqual(30)
    expect(await b.admin.list({ status: 'completed', limit: 100 })).toHaveLength(30)
  })

  it('a kind has its turn although the line of another one is long, and keeps its limit', async () => {
    const b = bench()
    let flying = 0
    let most = 0
    const limited = saga<Trip>('limited', { version: 1, key: ({ tripId }) => tripId, concurrency: 1 })
      .step('a', {
        do: async (c) => {
          most = Math.max(most, ++flying)
          b.calls.push(c.input.tripId)
          await Promise.resolve()
          flying -= 1
        },
        undo: nothing('x'),
      })
      .done()
    const definition = chain(b, 'trip')
    await startMany(b, definition, 60, 3)
    for (const tripId of ['x', 'y', 'z']) await startSaga(b.database, limited, { tripId, calls: 1 })
    await b.run([definition, limited], { concurrency: 2 })
    await b.world.advance(100)
    expect(most).toBe(1)
    expect(await b.admin.list({ status: 'completed', limit: 100 })).toHaveLength(63)
    // Its three steps, one after another, before the long line has come round: the kinds take turns.
    expect(b.calls.indexOf('z')).toBeLessThan(30)
  })
})

it('a saga that is cancelled while it stands in line makes no further step', async () => {
  const b = bench()
  const finish: (() => void)[] = []
  const held = (name: string) => ({
    do: (c: { input: Trip }) => {
      b.calls.push(`${c.input.tripId} ${name}`)
      return `${c.input.tripId} ${name}` === 'slow a' ? new Promise<void>((resolve) => finish.push(resolve)) : undefined
    },
    undo: (c: { input: Trip }) => void b.calls.push(`${c.input.tripId} ${name} back`),
  })
  const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
    .step('a', held('a'))
    .step('b', held('b'))
    .done()
  await b.run([definition], { concurrency: 1 })
  const { id } = await startSaga(b.database, definition, { tripId: 'quick', calls: 0 })
  await startSaga(b.database, definition, { tripId: 'slow', calls: 0 })
  await b.world.advance(10)
  expect(b.calls).toEqual(['quick a', 'slow a'])
  await b.admin.cancel(id, { by: 'ada', reason: 'the customer wants out' })
  for (const one of finish.splice(0)) one()
  await b.world.advance(10)
  expect((await b.admin.show(id)).status).toBe('compensated')
  expect(b.calls.filter((call) => call.startsWith('quick') && call.includes(' b') && !call.includes('back'))).toEqual([])
})

describe('whose time is over while it stands in line', () => {
  function slow(b: Bench, finish: (() => void)[]) {
    const call = (tripId: string, name: string) => {
      b.calls.push(`${tripId} ${name}`)
      return tripId === 'first' ? new Promise<void>((resolve) => finish.push(resolve)) : undefined
    }
    return saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId, deadlineMs: 1_000 })
      .step('a', { do: (c) => call(c.input.tripId, 'a'), undo: (c) => void b.calls.push(`${c.input.tripId} a back`) })
      .local('note', { do: (_, c) => void b.calls.push(`${c.input.tripId} note`), undo: nothing('x') })
      .together((g) => g.step('b', bothWays(b, 'b')).step('c', bothWays(b, 'c')))
      .done()
  }
  const bothWays = (b: Bench, name: string) => ({
    do: (c: { input: Trip }) => void b.calls.push(`${c.input.tripId} ${name}`),
    undo: (c: { input: Trip }) => void b.calls.push(`${c.input.tripId} ${name} back`),
  })

  it('is not begun any more, and is undone', async () => {
    const b = bench()
    const finish: (() => void)[] = []
    const definition = slow(b, finish)
    await b.run([definition], { concurrency: 1 })
    await startSaga(b.database, definition, { tripId: 'first', calls: 0 })
    await b.world.advance(0)
    for (const tripId of ['second', 'third']) await startSaga(b.database, definition, { tripId, calls: 0 })
    await b.world.advance(1_500)
    for (const one of finish) one()
    await b.world.advance(100)
    expect(b.calls.filter((call) => !call.startsWith('first'))).toEqual([])
    const all = await b.admin.list()
    expect(all.map(({ status, failure }) => `${status} ${failure?.code}`)).toEqual(Array(3).fill('compensated ERR_SAGA_DEADLINE'))
  })

  it('ends with the undo of what it has done, wherever it stood', async () => {
    // The clock is set on while the sagas take turns: after so many calls.
    for (let after = 1; after < 16; after += 1) {
      const b = bench()
      const definition = slow(b, [])
      const { push } = b.calls
      b.calls.push = (...calls) => {
        if (b.calls.length + calls.length === after) b.world.jump(5_000)
        return push.apply(b.calls, calls)
      }
      for (const tripId of ['one', 'two', 'three', 'four']) await startSaga(b.database, definition, { tripId, calls: 0 })
      await b.run([definition], { concurrency: 1 })
      await b.world.advance(500)
      const all = await b.admin.list()
      expect(all.map(({ status }) => status).filter((status) => status !== 'completed' && status !== 'compensated')).toEqual([])
      for (const { key, status } of all) {
        const own = b.calls.filter((call) => call.startsWith(`${key} `)).map((call) => call.slice(key.length + 1))
        const begun = own.filter((call) => call !== 'note' && !call.endsWith('back'))
        const undone = own.filter((call) => call.endsWith('back')).map((call) => call.slice(0, -5))
        expect(`${after} ${key} ${undone}`).toBe(`${after} ${key} ${status === 'completed' ? [] : begun.toReversed()}`)
      }
    }
  })
})
