import { expect, expectTypeOf, test } from 'vitest'
import { isRefusal, type Refusal, refuse } from './refusal.ts'

test('a refusal carries its reason, typed, and a detail if there is one', () => {
  const refusal = refuse('out-of-stock', 'only 2 left')
  expectTypeOf(refusal).toEqualTypeOf<Refusal<'out-of-stock'>>()
  expect(refusal).toEqual({ refused: 'out-of-stock', detail: 'only 2 left' })
  expect(Object.keys(refuse('declined'))).toEqual(['refused'])
})

test('a refusal is known by its shape, also after a way through JSON', () => {
  expect(isRefusal(JSON.parse(JSON.stringify(refuse('declined'))))).toBe(true)
  for (const other of [undefined, null, 'refused', 7, {}, [], { refused: true }, { refused: undefined }, new Error('refused')]) {
    expect(isRefusal(other)).toBe(false)
  }
})

test('isRefusal narrows a result to what is left', () => {
  const answer = refuse('declined') as { total: number } | Refusal<'declined'>
  if (isRefusal(answer)) expectTypeOf(answer).toEqualTypeOf<Refusal<'declined'>>()
  else expectTypeOf(answer).toEqualTypeOf<{ total: number }>()
  expect(isRefusal(answer)).toBe(true)
})
