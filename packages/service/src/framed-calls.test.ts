import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CallTable } from './framed-calls.ts'

test('whatever comes and goes, it holds what a map would', () => {
  // Few numbers, so that they meet again; some far apart that fall on the same places.
  const number = fc.oneof(
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 0, max: 20 }).map((step) => (step * 0x0100_0000) >>> 0),
    fc.nat(0xffff_ffff),
  )
  const event = fc.record({ kind: fc.constantFrom('add', 'add', 'delete'), number })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200, size: 'max' }), (events) => {
      const table = new CallTable<string>()
      const map = new Map<number, string>()
      for (const { kind, number } of events) {
        if (kind === 'delete') {
          table.delete(number)
          map.delete(number)
        } else if (!map.has(number)) {
          table.add(number, `call ${number}`)
          map.set(number, `call ${number}`)
        }
        expect(table.size).toBe(map.size)
        expect(table.get(number)).toBe(map.get(number))
      }
      for (const known of map.keys()) expect(table.get(known)).toBe(map.get(known))
      expect(table.values().sort()).toEqual([...map.values()].sort())
    }),
    { numRuns: 300 },
  )
})
