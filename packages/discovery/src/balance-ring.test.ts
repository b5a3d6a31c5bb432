import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mixed } from './balance-hash.ts'
import { hashOfPoint, hashRing } from './balance-ring.ts'

const nameOf = (slot: number): readonly [number, number] => [mixed(slot + 1), mixed(slot + 1_000)]

test('whatever comes and goes, a key finds the slot a sorted list would find, and so does each step from there', () => {
  const change = fc.record({ slot: fc.integer({ min: 0, max: 9 }), points: fc.constantFrom(0, 0, 1, 5, 40, 200) })
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 25, size: 'max' }),
      fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 20, size: 'max' }),
      (changes, keys) => {
        const ring = hashRing()
        const sizes = new Map<number, number>()
        for (const { slot, points } of changes) {
          ring.resize(slot, nameOf(slot), points)
          sizes.set(slot, points)
        }
        const naive = [...sizes].flatMap(([slot, count]) =>
          Array.from({ length: count }, (_, index) => ({ hash: hashOfPoint(...nameOf(slot), index), slot })),
        )
        naive.sort((one, two) => one.hash - two.hash)
        expect(ring.points).toBe(naive.length)
        for (const key of keys) {
          let point = ring.after(key)
          if (naive.length === 0) {
            expect(point).toBe(-1)
            continue
          }
          const at = naive.findIndex(({ hash }) => hash >= key)
          for (let step = 0; step < 5; step += 1) {
            expect(ring.slotOf(point)).toBe(naive[(Math.max(0, at) + step) % naive.length]?.slot)
            point = ring.following(point)
          }
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('holds many points', () => {
  const ring = hashRing()
  for (let slot = 0; slot < 5_000; slot += 1) ring.resize(slot, nameOf(slot), 20)
  expect(ring.points).toBe(100_000)
  const hit = new Set<number>()
  for (let key = 0; key < 100_000; key += 1) hit.add(ring.slotOf(ring.after(mixed(key))))
  expect(hit.size).toBeGreaterThan(4_950)
  for (let slot = 1; slot < 5_000; slot += 1) ring.resize(slot, nameOf(slot), 0)
  for (let key = 0; key < 100; key += 1) expect(ring.slotOf(ring.after(mixed(key)))).toBe(0)
})
