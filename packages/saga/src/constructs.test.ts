import { refuse } from '@banyan/core'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { saga } from './define.ts'
import type { Saga } from './definition.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type Bench, bench } from './test/bench.ts'

interface Trip {
  tripId: string
  seats: string[]
}

const trip = () => saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
const none = nothing('x')

async function run(b: Bench, definition: Saga<Trip>, input: Partial<Trip> = {}) {
  await b.run([definition])
  const { id } = await startSaga(b.database, definition, { tripId: 't1', seats: [], ...input })
  await b.world.advance(0)
  return id
}

function note<T>({ calls }: Bench, call: string, value: T): T {
  calls.push(call)
  return value
}

/** A call that ends when the test says so. */
function gate({ calls }: Bench) {
  const waiting = new Map<string, (value: unknown) => void>()
  return {
    open: (name: string, value: unknown = name) => waiting.get(name)?.(value),
    call<T = string>(name: string): Promise<T> {
      calls.push(name)
      return new Promise((resolve) => waiting.set(name, resolve as (value: unknown) => void))
    },
  }
}

describe('all', () => {
  const three = (b: Bench, { call } = gate(b)) =>
    trip()
      .step('note', { do: () => 'n', undo: () => void b.calls.push('note back') })
      .all({
        hotel: {
          do(c) {
            expectTypeOf(c.note).toEqualTypeOf<string>()
            return call<{ room: number }>('hotel')
          },
          undo: () => void b.calls.push('hotel back'),
        },
        flight: { do: () => call<string>('flight'), undo: () => void b.calls.push('flight back') },
        car: { do: () => call<string>('car'), undo: () => void b.calls.push('car back') },
      })
      .step('last', { do: (c) => call(`last after ${c.hotel.room} ${c.flight} ${c.car}`), undo: none })
      .done((c) => c.hotel.room)

  it('begins nothing anew while the refusal of another is being stored, and undoes what may have happened', async () => {
    const b = bench()
    const { call, open } = gate(b)
    let attempts = 0
    const once = async () => {
      attempts += 1
      b.calls.push(`hotel ${attempts}`)
      if (attempts === 1) throw new Error('no answer')
    }
    const definition = trip()
      .all({
        hotel: { do: once, undo: () => void b.calls.push('hotel back') },
        flight: { do: () => call('flight'), undo: () => void b.calls.push('flight back') },
      })
      .done()
    await run(b, definition)
    let release = () => {}
    const held = b.database.transaction(() => new Promise<void>((resolve) => (release = resolve)))
    open('flight', refuse('full'))
    await b.world.advance(1_000)
    expect(b.calls).toEqual(['hotel 1', 'flight'])
    release()
    await held
    await b.world.advance(1_000)
    expect(b.calls).toEqual(['hotel 1', 'flight', 'hotel back'])
  })

  it('makes its calls at the same time, and goes on when all have worked', async () => {
    const b = bench()
    const calls = gate(b)
    await run(b, three(b, calls))
    expect(b.calls).toEqual(['hotel', 'flight', 'car'])
    calls.open('car')
    calls.open('hotel', { room: 7 })
    await b.world.advance(0)
    expect(b.calls).toHaveLength(3)
    calls.open('flight')
    await b.world.advance(0)
    expect(b.calls[3]).toBe('last after 7 flight car')
  })

  it('has the same in steps, where an undo knows its own result', async () => {
    const b = bench()
    const definition = trip()
      .together((group) =>
        group
          .step('hotel', {
            do: async (c) => ({ room: c.input.seats.length }),
            undo: (c) => note(b, `back ${c.hotel?.room}`, c.hotel?.room),
          })
          .step('flight', { do: () => (b.calls.length === 0 ? refuse('full') : 'seat'), undo: none }),
      )
      .done((c) => {
        expectTypeOf(c.hotel.room).toEqualTypeOf<number>()
        return c.flight
      })
    await run(b, definition)
    expect(definition.steps.map(({ group }) => group)).toEqual(['hotel', 'hotel'])
    expect(b.calls).toEqual(['back 0'])
  })

  it('is undone in reverse order of start, once what is on its way has ended', async () => {
    const b = bench()
    const calls = gate(b)
    await run(b, three(b, calls))
    calls.open('car')
    calls.open('flight', refuse('full'))
    await b.world.advance(0)
    // The hotel may still be booked: undoing it now could come before that.
    expect(b.calls).toEqual(['hotel', 'flight', 'car'])
    calls.open('hotel', { room: 7 })
    await b.world.advance(0)
    expect(b.calls.slice(3)).toEqual(['car back', 'hotel back', 'note back'])
    expect(await b.only()).toMatchObject({ status: 'compensated', results: { hotel: { room: 7 } }, failure: { code: 'full' } })
  })

  it('leaves out the others that are refused on their way', async () => {
    const b = bench()
    const calls = gate(b)
    await run(b, three(b, calls))
    for (const name of ['hotel', 'car', 'flight']) calls.open(name, refuse('full'))
    await b.world.advance(0)
    expect(b.calls.slice(3)).toEqual(['note back'])
  })

  it('goes on after a crash with those that are not done', async () => {
    const b = bench()
    const before = gate(b)
    const worker = await b.run([three(b, before)], { drainMs: 0 })
    await startSaga(b.database, three(b, before), { tripId: 't1', seats: [] })
    await b.world.advance(0)
    before.open('flight', 'seat 9')
    await b.world.advance(0)
    const stopped = worker.stop()
    await b.world.advance(1)
    await stopped
    const after = gate(b)
    await b.run([three(b, after)])
    await b.world.advance(0)
    expect(b.calls.slice(3)).toEqual(['hotel', 'car'])
    after.open('hotel', { room: 1 })
    after.open('car')
    await b.world.advance(0)
    expect(b.calls.at(-1)).toBe('last after 1 seat 9 car')
  })
})

describe('when', () => {
  const maybe = (b: Bench) =>
    trip()
      .step('note', { do: () => 1, undo: () => void b.calls.push('note back') })
      .when(
        'insured',
        (c) => {
          expectTypeOf(c.note).toEqualTypeOf<number>()
          return c.input.seats.length > 1
        },
        (branch) =>
          branch.step('policy', { do: () => note(b, 'policy', 'p1'), undo: () => void b.calls.push('policy back') }).step('mail', {
            do(c) {
              expectTypeOf(c.policy).toEqualTypeOf<string>()
              return note(b, 'mail', 1)
            },
            undo: none,
          }),
      )
      .step('end', {
        do: (c) => {
          expectTypeOf(c.policy).toEqualTypeOf<string | undefined>()
          expectTypeOf(c.insured).toEqualTypeOf<boolean>()
          b.calls.push(`end ${c.insured} ${c.policy}`)
          return c.input.tripId === 'bad' ? refuse('no') : 1
        },
        undo: none,
      })
      .done()

  it('runs its steps when the predicate says so, and records the decision', async () => {
    const b = bench()
    await run(b, maybe(b), { seats: ['a', 'b'] })
    expect(b.calls).toEqual(['policy', 'mail', 'end true p1'])
    expect((await b.only()).results).toMatchObject({ insured: true, policy: 'p1' })
  })

  it('leaves them out otherwise, also when undoing', async () => {
    const b = bench()
    await run(b, maybe(b), { tripId: 'bad' })
    expect(b.calls).toEqual(['end false undefined', 'note back'])
    expect((await b.only()).results).toMatchObject({ insured: false })
  })
})

describe('each', () => {
  const seats = (b: Bench) =>
    trip()
      .each('seats', (c) => c.input.seats, {
        do(c, seat, index) {
          expectTypeOf(seat).toEqualTypeOf<string>()
          b.calls.push(`${seat} ${index} ${c.key.split(':')[1]}`)
          return seat === 'bad' ? refuse('taken') : `ticket ${seat}`
        },
        undo(c, seat, index) {
          expectTypeOf(c.seats).toEqualTypeOf<readonly (string | undefined)[] | undefined>()
          b.calls.push(`${seat} back ${c.seats?.[index]}`)
        },
      })
      .done((c) => c.seats.join())

  it('makes a call for each item under its own key, and gives a list', async () => {
    const b = bench()
    await run(b, seats(b), { seats: ['a', 'b'] })
    expect(b.calls).toEqual(['a 0 seats[0]', 'b 1 seats[1]'])
    expect(await b.only()).toMatchObject({ status: 'completed', output: 'ticket a,ticket b' })
  })

  it('undoes the items that were done, the last one first', async () => {
    const b = bench()
    await run(b, seats(b), { seats: ['a', 'b', 'bad', 'c'] })
    expect(b.calls.slice(3)).toEqual(['b back ticket b', 'a back ticket a'])
  })

  it('gives an empty list for no items', async () => {
    const b = bench()
    await run(b, seats(b))
    expect(await b.only()).toMatchObject({ status: 'completed', output: '' })
  })
})

describe('sleep', () => {
  const slow = (b: Bench, duration: number | ((c: { note: number }) => number)) =>
    trip()
      .step('note', { do: () => 60_000, undo: none })
      .sleep('rest', duration)
      .step('end', { do: () => void b.calls.push('end'), undo: none })
      .done()

  it('waits in the database when it is long, and in memory when it is short', async () => {
    const b = bench()
    const worker = await b.run([slow(b, (c) => c.note)])
    await startSaga(
      b.database,
      slow(b, (c) => c.note),
      { tripId: 't1', seats: [] },
    )
    await b.world.advance(0)
    expect(await b.only()).toMatchObject({ status: 'waiting', step: 'rest', worker: undefined, wakeAt: b.world.now() + 60_000 })
    expect((await worker.health?.())?.detail).toContain('0 running, 0 waiting')
    await b.world.advance(59_900)
    expect(b.calls).toEqual([])
    await b.world.advance(400)
    expect(b.calls).toEqual(['end'])
  })

  it('goes on after a restart when its time has come meanwhile', async () => {
    const b = bench()
    const worker = await b.run([slow(b, 2_000)])
    await startSaga(b.database, slow(b, 2_000), { tripId: 't1', seats: [] })
    await b.world.advance(0)
    expect((await worker.health?.())?.detail).toContain('0 running, 1 waiting')
    const stopped = worker.stop()
    await b.world.advance(0)
    await stopped
    await b.world.advance(10_000)
    await b.run([slow(b, 2_000)])
    await b.world.advance(0)
    expect(b.calls).toEqual(['end'])
  })

  it.each([-3_600_000, 3_600_000])(
    'in memory goes by a clock that does not jump, also when the other one is set by %d ms',
    async (byMs) => {
      const b = bench()
      await b.run([slow(b, 2_000)])
      await startSaga(b.database, slow(b, 2_000), { tripId: 't1', seats: [] })
      await b.world.advance(100)
      b.world.jump(byMs)
      await b.world.advance(1_800)
      expect(b.calls).toEqual([])
      await b.world.advance(100)
      expect(b.calls).toEqual(['end'])
    },
  )

  it('is not over because the time for all of it was, before the clock was set back', async () => {
    const b = bench()
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId, deadlineMs: 1_000 })
      .sleep('rest', 2_000)
      .step('end', { do: () => void b.calls.push('end'), undo: none })
      .done()
    await run(b, definition)
    b.world.jump(-3_600_000)
    await b.world.advance(1_900)
    expect(b.calls).toEqual([])
  })

  it('stays in memory however long that may be, and looks no more often than each day', async () => {
    const b = bench()
    const worker = await b.run([slow(b, 90 * 24 * 3_600_000)], { parkAfterMs: 2 ** 45 })
    await startSaga(b.database, slow(b, 90 * 24 * 3_600_000), { tripId: 't1', seats: [] })
    const delays: number[] = []
    const { after } = b.world
    const noted: typeof after = (delayMs, fire) => {
      delays.push(delayMs)
      return after(delayMs, fire)
    }
    Object.assign(b.world, { after: noted })
    await b.world.advance(100)
    expect((await worker.health?.())?.detail).toContain('0 running, 1 waiting')
    expect(Math.max(...delays)).toBeLessThanOrEqual(24 * 3_600_000)
  })

  it('is undone when its length is no number', async () => {
    const b = bench()
    await run(
      b,
      slow(b, () => Number.NaN),
    )
    const message = 'the duration of step "rest" is NaN, wanted a number of milliseconds from 0 to 31536000000000'
    expect(await b.only()).toMatchObject({ status: 'compensated', failure: { code: 'ERR_DECISION_INVALID', message } })
  })
})

describe('a decision that is none undoes the saga at once, and says what is wanted', () => {
  // As a program in JavaScript would write it.
  const loose = <T>(given: () => unknown) => given as () => T
  const rejects = () => Promise.reject(new Error('later'))

  async function refused(define: (start: ReturnType<typeof trip>) => { done(): Saga<Trip> }) {
    const b = bench()
    await run(b, define(trip()).done())
    await b.world.advance(1_000)
    const { status, failure, history } = await b.only()
    expect({ status, code: failure?.code, attempts: history.length }).toEqual({
      status: 'compensated',
      code: 'ERR_DECISION_INVALID',
      attempts: 1,
    })
    return failure?.message
  }

  it.each<[string, () => unknown, string]>([
    ['a set', () => new Set(['a']), 'an instance of Set'],
    ['a promise', rejects, 'an instance of Promise'],
    ['a text', () => 'ab', '"ab"'],
    ['nothing', () => undefined, 'undefined'],
    ['an object', () => ({ 0: 'a', length: 1 }), 'an object'],
  ])('items that are %s', async (_what, items, what) => {
    const message = await refused((start) => start.each('seats', loose<string[]>(items), { do: () => 1, undo: none }))
    expect(message).toBe(`the items of step "seats" are ${what}, wanted an array`)
  })

  it.each<[string, () => unknown, string]>([
    ['a promise', rejects, 'an instance of Promise'],
    ['a text', () => 'yes', '"yes"'],
    ['nothing', () => undefined, 'undefined'],
  ])('a predicate that gives %s', async (_what, predicate, what) => {
    const message = await refused((start) =>
      start.when('insured', loose<boolean>(predicate), (branch) => branch.step('policy', { do: () => 1, undo: none })),
    )
    expect(message).toBe(`the predicate of step "insured" gives ${what}, wanted true or false`)
  })

  it('a duration that is a promise', async () => {
    const message = await refused((start) => start.sleep('rest', loose<number>(rejects)))
    expect(message).toContain('the duration of step "rest" is an instance of Promise')
  })
})
