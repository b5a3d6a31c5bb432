import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editDistance, nearest } from './nearest.ts'

describe('the nearest word', () => {
  it.each([
    ['lsit', 'list'],
    ['redirve', 'redrive'],
    ['on', 'one'],
  ])('of "%s" is "%s"', (word, wanted) => {
    expect(nearest(word, ['one', 'each', 'list', 'redrive'])).toBe(wanted)
  })

  it('is none when nothing is near', () => {
    expect(nearest('zebra', ['one', 'each'])).toBeUndefined()
  })

  it('has a distance that is symmetric, and 0 only for the word itself', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (one, other) => {
        expect(editDistance(one, other)).toBe(editDistance(other, one))
        expect(editDistance(one, other) === 0).toBe(one === other)
      }),
    )
  })
})
