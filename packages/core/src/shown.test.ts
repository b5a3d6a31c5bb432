import { expect, it } from 'vitest'
import { event } from './event.ts'
import { shown } from './shown.ts'

it.each([
  ['80', '"80"'],
  ['', '""'],
  [80, '80'],
  [Number.NaN, 'NaN'],
  [undefined, 'undefined'],
  [null, 'null'],
])('shows %j as %s', (value, text) => {
  expect(shown(value)).toBe(text)
})

it('shows what has no text, and never throws', () => {
  const throwing = {
    toString() {
      throw new Error('trap')
    },
  }
  for (const value of [Object.create(null), throwing]) expect(shown(value)).toBe('a value that cannot be shown')
  expect(() => event('order.placed', { version: Object.create(null), schema: {} as never, key: () => 'k' })).toThrow(RangeError)
})

it('makes it plain that a version is a text where a number is wanted', () => {
  const options = { version: '1' as unknown as number, schema: {} as never, key: () => 'k' }
  expect(() => event('order.placed', options)).toThrow('"version" is "1", wanted a whole number from 1')
})
