import { event, type Schema } from '@banyan/core'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { saga } from './define.ts'
import type { Saga } from './definition.ts'
import { type Approval, nothing } from './steps.ts'

interface Trip {
  tripId: string
  seats: string[]
}

const trip = () => saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
const none = nothing('x')

it('constructs may be put together, and each has its type', () => {
  const schema: Schema<{ by: string }> = {
    '~standard': { version: 1, vendor: 'x', validate: (value) => ({ value: value as { by: string } }) },
  }
  const approved = event('trip.approved', { schema, key: ({ by }) => by })
  const inner = saga<{ n: number }>('inner', { version: 1, key: ({ n }) => `${n}` })
    .step('one', { do: () => 1, undo: none })
    .done((c) => ({ one: c.one }))
  const definition = trip()
    .wait('word', { for: approved, where: (c) => c.input.tripId, withinMs: 1_000, otherwise: 'undo' })
    .wait('hint', { for: approved, where: (c) => c.word.by, withinMs: 1_000, otherwise: 'continue' })
    .approve('boss', { withinMs: 1_000, otherwise: 'undo' })
    .approve('owner', { withinMs: 1_000, otherwise: 'continue' })
    .child('inner', inner, {
      input: (c) => ({ n: c.input.seats.length }),
      undo(c) {
        expectTypeOf(c.inner).toEqualTypeOf<{ one: number } | undefined>()
        return 1
      },
    })
    .pivot('pay', { do: () => 1 })
    .when(
      'thanks',
      () => true,
      (branch) => branch.step('mail', { do: () => 'sent' }).sleep('rest', 5),
    )
    .all({ a: { do: () => 1 }, b: { do: () => 'b' } })
    .each('cards', () => [1, 2], {
      do(_c, card) {
        expectTypeOf(card).toEqualTypeOf<number>()
        return `${card}`
      },
    })
    .wait('echo', { for: approved, where: () => 'x', withinMs: 5, otherwise: 'continue' })
    .child('again', inner, { input: () => ({ n: 1 }) })
    .done((c) => {
      expectTypeOf(c.word).toEqualTypeOf<{ by: string }>()
      expectTypeOf(c.hint).toEqualTypeOf<{ by: string } | undefined>()
      expectTypeOf(c.boss).toEqualTypeOf<Approval>()
      expectTypeOf(c.owner).toEqualTypeOf<Approval | undefined>()
      expectTypeOf(c.inner).toEqualTypeOf<{ one: number }>()
      expectTypeOf(c.mail).toEqualTypeOf<string | undefined>()
      expectTypeOf(c.cards).toEqualTypeOf<readonly string[]>()
      expectTypeOf(c.a).toEqualTypeOf<number>()
      return c.again.one
    })
  expectTypeOf(definition).toEqualTypeOf<Saga<Trip, number>>()
  expect(
    definition.steps.map(({ name, kind, place, inside, group }) => [name, kind, place, inside?.[0] ?? group].filter(Boolean).join(' ')),
  ).toEqual([
    'word wait before',
    'hint wait before',
    'boss approve before',
    'owner approve before',
    'inner child before',
    'pay remote pivot',
    'thanks when after',
    'mail remote after thanks',
    'rest sleep after thanks',
    'a remote after a',
    'b remote after a',
    'cards remote after',
    'echo wait after',
    'again child after',
  ])
})

describe('does not compile, and does not run', () => {
  const past = () => trip().pivot('pay', { do: () => 1 })
  const schema: Schema<{ by: string }> = {
    '~standard': { version: 1, vendor: 'x', validate: (value) => ({ value: value as { by: string } }) },
  }
  const approved = event('trip.approved', { schema, key: ({ by }) => by })

  it('what may fail for good past the pivot', () => {
    // @ts-expect-error 'undo' is not 'continue'
    expect(() => past().wait('w', { for: approved, where: () => '', withinMs: 1, otherwise: 'undo' })).toThrow(
      `wanted otherwise: 'continue'`,
    )
    // @ts-expect-error 'boss' stands past the pivot 'pay'
    expect(() => past().approve('boss', { withinMs: 1, otherwise: 'continue' })).toThrow('nobody can say no there')
    // @ts-expect-error step 'a' stands at or past the pivot
    expect(() => past().all({ a: { do: () => 1, undo: () => {} } })).toThrow('step "a": it stands at or past the pivot')
  })

  it('an undo that is missing, and a name that is there', () => {
    // @ts-expect-error Property 'undo' is missing
    expect(() => trip().all({ a: { do: () => 1 } })).toThrow('step "a": "undo" is missing')
    // @ts-expect-error Property 'undo' is missing
    expect(() => trip().each('a', () => [1], { do: () => 1 })).toThrow('step "a": "undo" is missing')
    const one = trip().step('a', { do: () => 1, undo: none })
    // @ts-expect-error the saga has a step 'a' already
    expect(() => one.all({ a: { do: () => 1, undo: none } })).toThrow('another step has this name')
    // @ts-expect-error the saga has a step 'a' already
    expect(() => one.sleep('a', 1)).toThrow('another step has this name')
    const twice = () =>
      one.when(
        'b',
        () => true,
        // @ts-expect-error the saga has a step 'a' already
        (branch) => branch.sleep('a', 1),
      )
    expect(twice).toThrow('another step has this name')
  })

  it('a pivot, or an end, inside a branch; another builder; nothing in it', () => {
    const pivot = () =>
      trip().when(
        'b',
        () => true,
        // @ts-expect-error a branch before the pivot ends before the pivot
        (branch) => branch.pivot('p', { do: () => 1 }),
      )
    expect(pivot).toThrow('pivot "p" stands inside a "when"')
    const end = () =>
      trip().when(
        'b',
        () => true,
        // @ts-expect-error a branch is no saga
        (branch) => branch.done(),
      )
    expect(end).toThrow('"when" "b" has no steps')
    const other = () =>
      trip()
        .step('a', { do: () => 1, undo: none })
        .when(
          'b',
          () => false,
          // @ts-expect-error another builder than the branch: what it adds would run whatever is decided
          () => trip().sleep('c', 1).sleep('d', 1).sleep('e', 1),
        )
    expect(other).toThrow('"when" "b" gives back another builder than its branch')
    const empty = () =>
      trip().when(
        'b',
        () => true,
        (branch) => branch,
      )
    expect(empty).toThrow('"when" "b" has no steps')
    expect(() => trip().all({})).toThrow('an "all" has no steps')
  })
})
