import fc from 'fast-check'
import { expect, it } from 'vitest'
import { short } from './short.ts'

it('leaves up to 500 characters as they are', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 500 }), (text) => {
      expect(short(text)).toBe(text)
    }),
  )
})

it('makes the same 501 characters of the same longer text, and others of another', () => {
  const long = 'k'.repeat(501)
  expect(short(long)).toHaveLength(501)
  expect(short(long)).toBe(short('k'.repeat(501)))
  expect(short(long)).not.toBe(short(`${long}k`))
  expect(short(long).startsWith('kkk')).toBe(true)
})

it('takes at most 1,400 bytes, whatever the characters, and cuts none in half', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 501, maxLength: 2_000 }), (text) => {
      expect(Buffer.byteLength(short(text))).toBeLessThanOrEqual(1_400)
      expect(short(text).isWellFormed()).toBe(true)
    }),
  )
})
