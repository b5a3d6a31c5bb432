import fc from 'fast-check'
import { expect, it } from 'vitest'
import { httpDate } from './http-date.ts'

const WANTED = Date.parse('1994-11-06T08:49:37Z')

it.each([
  ['Sun, 06 Nov 1994 08:49:37 GMT', WANTED],
  ['sun, 06 nov 1994 08:49:37 gmt', WANTED],
  ['Sunday, 06-Nov-94 08:49:37 GMT', WANTED],
  ['Sun Nov  6 08:49:37 1994', WANTED],
  ['Wednesday, 06-Nov-30 08:49:37 GMT', Date.parse('2030-11-06T08:49:37Z')],
  ['Sat, 31 Dec 2016 23:59:60 GMT', Date.parse('2017-01-01T00:00:00Z')],
  ['Sun, 06 Nov 1994 08:49:37', undefined],
  ['Sun, 06 Nov 1994 08:49:37 +0100', undefined],
  ['Sun, 06 Nov 1994 08:49:37 PST', undefined],
  ['Sun, 6 Nov 1994 08:49:37 GMT', undefined],
  ['Sun, 31 Feb 1994 08:49:37 GMT', undefined],
  ['Sun, 00 Nov 1994 08:49:37 GMT', undefined],
  ['Sun, 06 Nov 1994 24:00:00 GMT', undefined],
  ['Sun, 06 Nov 1994 08:61:00 GMT', undefined],
  ['Sun, 06 Foo 1994 08:49:37 GMT', undefined],
  ['2026-11-26T12:00:00Z', undefined],
  ['2099 GMT', undefined],
  ['1 GMT', undefined],
  ['0', undefined],
  ['-1', undefined],
  ['', undefined],
])('reads %s', (text, wanted) => {
  expect(httpDate(text)).toBe(wanted)
})

it('reads what toUTCString writes, and nothing of other texts', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
      expect(httpDate(new Date(seconds * 1_000).toUTCString())).toBe(seconds * 1_000)
    }),
  )
  fc.assert(fc.property(fc.string(), (text) => httpDate(text) === undefined))
})
