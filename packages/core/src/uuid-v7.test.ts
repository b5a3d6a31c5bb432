import fc from 'fast-check'
import { expect, test } from 'vitest'
import { uuidV7 } from './uuid-v7.ts'

const bytes = fc.uint8Array({ minLength: 10, maxLength: 10 })
const times = fc.integer({ min: 0, max: 2 ** 48 - 1 })

test('is written as RFC 9562 has it in its example', () => {
  const random = Uint8Array.from([0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f])
  expect(uuidV7(0x017f22e279b0, random)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
})

test('always has version 7, variant 10 and the time in front', () => {
  fc.assert(
    fc.property(times, bytes, (time, random) => {
      const id = uuidV7(time, random)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(time)
    }),
  )
})

test('a later time sorts behind an earlier one, whatever the random bytes', () => {
  fc.assert(
    fc.property(times, times, bytes, bytes, (a, b, randomA, randomB) => {
      fc.pre(a < b)
      expect(uuidV7(a, randomA) < uuidV7(b, randomB)).toBe(true)
    }),
  )
})
