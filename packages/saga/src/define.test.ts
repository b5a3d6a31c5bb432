import type { Refusal, Transaction } from '@banyan/core'
import { describe, expect, expectTypeOf, it } from 'vitest'
import type { UndoCause } from './context.ts'
import { saga } from './define.ts'
import type { Saga } from './definition.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'

interface Trip {
  tripId: string
  guests: number
}

const trip = () => saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })

type Room = { room: number } | Refusal<'full'>
const book = async (): Promise<Room> => ({ room: 7 })
const none = nothing('it only reads')

describe('the context', () => {
  it('has the results of earlier steps without their refusals', () => {
    const definition = trip()
      .local('note', { do: (tx, c) => [expectTypeOf(tx).toEqualTypeOf<Transaction>(), c.input.guests].length, undo: none })
      .step('hotel', {
        do: (c) => {
          expectTypeOf(c.note).toEqualTypeOf<number>()
          expectTypeOf(c.input).toEqualTypeOf<Trip>()
          return book()
        },
        undo: (c) => {
          expectTypeOf(c.hotel).toEqualTypeOf<{ room: number } | undefined>()
          expectTypeOf(c.note).toEqualTypeOf<number>()
          expectTypeOf(c.reason).toEqualTypeOf<string>()
          expectTypeOf(c.cause).toEqualTypeOf<UndoCause>()
        },
      })
      .pivot('pay', { local: (_tx, c) => c.hotel.room })
      .step('send', { do: (c) => ({ text: `room ${c.pay}` }), withinMs: 1_000 })
      .local('file', { do: async (_tx, c) => void c.send.text })
      .done((c) => {
        expectTypeOf(c.file).toEqualTypeOf<undefined>()
        return { text: c.send.text }
      })
    expectTypeOf(definition).toEqualTypeOf<Saga<Trip, { text: string }>>()
    expect(definition.steps.map(({ name, kind, place }) => `${name} ${kind} ${place}`)).toEqual([
      'note local before',
      'hotel remote before',
      'pay local pivot',
      'send remote after',
      'file local after',
    ])
    expect(definition.keyOf({ tripId: 't1', guests: 2 })).toBe('t1')
  })

  it('needs no pivot and no output', () => {
    const definition = trip().step('hotel', { do: book, undo: none }).done()
    expectTypeOf(definition).toEqualTypeOf<Saga<Trip, undefined>>()
    expect(definition.steps).toHaveLength(1)
  })
})

// Each of these is also refused when it runs, for those who write JavaScript.
describe('does not compile, and does not run', () => {
  it('a step before the pivot without an undo', () => {
    // @ts-expect-error Property 'undo' is missing
    expect(() => trip().step('hotel', { do: book })).toThrow('step "hotel": "undo" is missing')
    // @ts-expect-error Property 'undo' is missing
    expect(() => trip().local('note', { do: () => 1 })).toThrow('step "note": "undo" is missing')
  })

  it('an undo at or past the pivot', () => {
    // @ts-expect-error step 'pay' stands at or past the pivot
    expect(() => trip().pivot('pay', { do: () => 1, undo: () => {} })).toThrow('step "pay": it stands at or past the pivot')
    const past = trip().pivot('pay', { do: () => 1 })
    // @ts-expect-error step 'send' stands at or past the pivot
    expect(() => past.step('send', { do: () => 2, undo: () => {} })).toThrow('step "send": it stands at or past the pivot')
    // @ts-expect-error step 'file' stands at or past the pivot
    expect(() => past.local('file', { do: () => 2, undo: none })).toThrow('step "file": it stands at or past the pivot')
  })

  it('a second pivot', () => {
    const past = trip().pivot('pay', { do: () => 1 })
    // @ts-expect-error 'ship' cannot be the pivot: 'pay' is
    expect(() => past.pivot('ship', { do: () => 1 })).toThrow('"ship" would be a second pivot')
  })

  it('a name that is used already', () => {
    const one = trip().step('hotel', { do: book, undo: none })
    // @ts-expect-error the saga has a step 'hotel' already
    expect(() => one.step('hotel', { do: book, undo: none })).toThrow('step "hotel": another step has this name')
    // @ts-expect-error the saga has a step 'hotel' already
    expect(() => one.pivot('hotel', { do: book })).toThrow('another step has this name')
  })

  it('a name that the context uses itself', () => {
    // @ts-expect-error 'input' cannot be a step
    expect(() => trip().step('input', { do: book, undo: none })).toThrow('step "input": the context has something of this name')
    // @ts-expect-error what is set under it is no property
    expect(() => trip().step('__proto__', { do: book, undo: none })).toThrow('step "__proto__": the context has something of this name')
  })

  it('a pivot that is both local and not', () => {
    // @ts-expect-error `local` and `do` exclude each other
    trip().pivot('pay', { do: () => 1, local: () => 1 })
    // @ts-expect-error neither of the two
    expect(() => trip().pivot('pay', {})).toThrow('step "pay": "do" is missing')
  })
})

describe('does not compile', () => {
  it('reading a later step', () => {
    // @ts-expect-error Property 'flight' does not exist
    trip().step('hotel', { do: (c) => c.flight, undo: none })
  })

  it("trusting one's own result in undo", () => {
    // @ts-expect-error 'c.hotel' is possibly 'undefined'
    trip().step('hotel', { do: () => ({ room: 7 }), undo: (c) => c.hotel.room })
  })

  it('reading the result of a refusal', () => {
    const one = trip().step('hotel', { do: book, undo: none })
    // @ts-expect-error Property 'refused' does not exist
    one.pivot('pay', { do: (c) => c.hotel.refused })
  })

  it('an output that is a promise', () => {
    const one = trip().step('hotel', { do: book, undo: none })
    // @ts-expect-error what 'done' gives is stored as it is: wanted no promise
    one.done(async (c) => c.hotel.room)
    // @ts-expect-error what 'done' gives is stored as it is: wanted no promise
    one.pivot('pay', { do: book }).done((c) => (c.input.guests > 1 ? c.pay : Promise.resolve(c.pay)))
    expectTypeOf(one.done((c) => JSON.parse(`${c.hotel.room}`))).toEqualTypeOf<Saga<Trip, ReturnType<typeof JSON.parse>>>()
  })

  it('a reason outside undo', () => {
    // @ts-expect-error Property 'reason' does not exist
    trip().step('hotel', { do: (c) => c.reason, undo: none })
  })
})

describe('does not compile, wherever the input was made', () => {
  const definition = trip().step('hotel', { do: book, undo: none }).done()
  const part = { tripId: 't1' }
  const read: unknown = JSON.parse('{}')

  it('starting a saga with an input that is not its own', () => {
    const starts = (tx: Transaction) => [
      // @ts-expect-error Property 'guests' is missing
      startSaga(tx, definition, part),
      // @ts-expect-error 'undefined' is not assignable to 'Trip'
      startSaga(tx, definition, undefined),
      // @ts-expect-error 'unknown' is not assignable to 'Trip'
      startSaga(tx, definition, read),
    ]
    expectTypeOf(starts).toBeFunction()
  })

  it('starting a child with an input that is not its own', () => {
    const parent = saga<{ tripId: string }>('parent', { version: 1, key: (input) => input.tripId })
    // @ts-expect-error Property 'guests' is missing
    parent.child('inside', definition, { input: () => part, undo: none })
    // @ts-expect-error Property 'guests' is missing
    parent.pivot('pay', { do: book }).child('inside', definition, { input: () => ({ tripId: 't1' }) })
  })
})

describe('is refused when it is defined', () => {
  it('a number out of its range', () => {
    const step = { do: book, undo: none }
    expect(() => saga('trip', { version: 0, key: String })).toThrow(
      'cannot define saga "trip": "version" is 0, wanted a whole number from 1',
    )
    expect(() => trip().step('hotel', { ...step, withinMs: 0.5 })).toThrow('step "hotel": "withinMs" is 0.5')
    expect(() => trip().step('hotel', { ...step, retry: { attempts: 0 } })).toThrow('"retry.attempts" is 0')
    expect(() => trip().step('hotel', { ...step, undoRetry: { baseMs: 100, capMs: 99 } })).toThrow(
      '"undoRetry.capMs" is 99, wanted a whole number from 100',
    )
  })

  it('a name that a database takes for another one', () => {
    const wanted = 'wanted a text without NUL and without halves of surrogate pairs'
    expect(() => saga('trip\ud800', { version: 1, key: String })).toThrow(`"name" is "trip\\ud800", ${wanted}`)
    expect(() => trip().step('hotel\0', { do: book, undo: none })).toThrow(wanted)
  })

  it('a saga without a name or without steps', () => {
    expect(() => saga('', { version: 1, key: String })).toThrow('"name" is ""')
    expect(() => trip().done()).toThrow('cannot define saga "trip": it has no steps')
  })
})
