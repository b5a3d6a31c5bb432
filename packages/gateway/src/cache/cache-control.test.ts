import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cacheControlOf, secondsOf } from './cache-control.ts'

const read = (...values: string[]) => Object.fromEntries(cacheControlOf(values.flatMap((value) => ['Cache-Control', value])))

it.each([
  ['max-age=60', { 'max-age': '60' }],
  ['Max-Age=60 , PUBLIC', { 'max-age': '60', public: '' }],
  ['private="set-cookie, x", no-store', { private: 'set-cookie, x', 'no-store': '' }],
  ['max-age="60"', { 'max-age': '60' }],
  ['max-age=1, max-age=2', { 'max-age': '1' }],
  ['max-age =  5', { 'max-age': '5' }],
  ['max-age = "5" , x= , y = ', { 'max-age': '5', x: '', y: '' }],
  [',, ,public,', { public: '' }],
  ['a b c, public', { public: '' }],
  ['=5, public', { public: '' }],
  ['max-age', { 'max-age': '' }],
  ['no-store; max-age=0', { 'no-store': '' }],
  ['max-age=60; Private', { private: '' }],
  ['max-age=60;no-store', { 'max-age': '60;no-store', 'no-store': '' }],
  ['max-age=60 no-store, public', { 'no-store': '', public: '' }],
  ['private="set-cookie', { private: '' }],
  ['x="no-store", public', { x: 'no-store', public: '' }],
  ['x-no-store y, max-age=1', { 'max-age': '1' }],
  ['\u0000max-age=60, no-cache=', { 'no-cache': '' }],
  ['__proto__=1, constructor', { ['__proto__']: '1', constructor: '' }],
  ['', {}],
])('reads %s', (value, wanted) => {
  expect(read(value)).toEqual(wanted)
})

it('reads what is not well-formed in a time that grows as its length does', () => {
  const before = performance.now()
  for (const head of ['', 'a', 'a=', 'a="', 'a=b', 'a="b"']) {
    for (const filling of [' ', 'a', ',', '="', '\\', 'a ']) read(`${head}${filling.repeat(150_000)}"x`)
  }
  expect(performance.now() - before).toBeLessThan(10_000)
})

it('reads several headers as one', () => {
  expect(read('public', 'max-age=3')).toEqual({ public: '', 'max-age': '3' })
})

it.each([
  ['max-age=60', 60],
  ['max-age=99999999999999999999', 2 ** 31],
  ['max-age=-1', 0],
  ['max-age=1.5', 0],
  ['max-age=soon', 0],
  ['max-age', 0],
  ['public', undefined],
])('has the seconds of %s, and what is wrong as told', (value, seconds) => {
  expect(secondsOf(cacheControlOf(['cache-control', value]), 'max-age', 0)).toBe(seconds)
})

it('reads anything in a time that grows with its length, and says nothing that is not there', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (value) => {
      for (const name of cacheControlOf(['cache-control', value]).keys()) expect(value.toLowerCase()).toContain(name)
    }),
  )
  const begun = performance.now()
  cacheControlOf(['cache-control', `${'a='.repeat(50_000)}"`])
  cacheControlOf(['cache-control', `a="${'\\'.repeat(100_001)}`])
  expect(performance.now() - begun).toBeLessThan(5_000)
})
