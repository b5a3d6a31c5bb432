import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mixed } from './balance-hash.ts'
import { addTo, equal, instanceOf, site } from './test/balance-bench.ts'

const keys = Array.from({ length: 20_000 }, (_, index) => mixed(index + 1))

test.each([5, 20, 100])('of %i hosts, one more moves its own share of the keys, and all of them to itself', (count) => {
  const { balancer, table } = site('consistent-hash', equal(count))
  const before = keys.map((key) => balancer.next(0, key))
  addTo(table, balancer, count, instanceOf('new'))
  const after = keys.map((key) => balancer.next(0, key))
  const moved = keys.filter((_, at) => before[at] !== after[at])
  const share = moved.length / keys.length
  expect(share).toBeGreaterThan(0.6 / (count + 1))
  expect(share).toBeLessThan(1.5 / (count + 1))
  for (const [at, slot] of after.entries()) expect(slot === before[at] || slot === count).toBe(true)
  balancer.weigh(count, 0)
  expect(keys.map((key) => balancer.next(0, key))).toEqual(before)
})

test('processes that heard of the same hosts in another order, and of others before, agree', () => {
  const one = site('consistent-hash', equal(12))
  const two = site('consistent-hash', [])
  addTo(two.table, two.balancer, 40, instanceOf('gone', { weight: 900 }))
  for (const slot of [...equal(12).keys()].reverse()) addTo(two.table, two.balancer, slot, instanceOf(`i${slot}`))
  two.balancer.weigh(40, 0)
  for (const key of keys) expect(two.balancer.next(0, key)).toBe(one.balancer.next(0, key))
})

test('keys go by weight', () => {
  const shares = site('consistent-hash', [1, 1, 2, 4]).shares(20_000)
  for (const [slot, part] of [1 / 8, 1 / 8, 1 / 4, 1 / 2].entries()) {
    expect((shares[slot] ?? 0) / 20_000).toBeGreaterThan(part * 0.6)
    expect((shares[slot] ?? 0) / 20_000).toBeLessThan(part * 1.5)
  }
})

test('one key that all calls are about fills its host to the bound, then the next ones; freed, it is at home again', () => {
  const { balancer, begin, end, table } = site('consistent-hash', equal(10))
  const home = balancer.next(0, 77)
  const taken = Array.from({ length: 100 }, () => {
    const slot = balancer.next(0, 77)
    begin(slot)
    return slot
  })
  expect(taken[0]).toBe(home)
  const counts = equal(10).map((_, slot) => taken.filter((each) => each === slot).length)
  expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil(1.25 * 10))
  for (const slot of taken) end(slot, true, 1, 0)
  expect(table.totalInFlight).toBe(0)
  expect(balancer.next(0, 77)).toBe(home)
})

test('whatever calls come and end, none has more in flight than its bound when it gets one more', () => {
  const step = fc.record({ key: fc.integer({ min: 0, max: 5 }), ends: fc.integer({ min: 0, max: 3 }) })
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
      fc.array(step, { maxLength: 80, size: 'max' }),
      (weights, steps) => {
        const { balancer, begin, end } = site('consistent-hash', weights)
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const open: number[] = []
        for (const { key, ends } of steps) {
          for (let count = 0; count < ends; count += 1) {
            const slot = open.shift()
            if (slot !== undefined) end(slot, true, 1, 0)
          }
          const slot = balancer.next(0, mixed(key))
          const bound = Math.ceil((1.25 * (open.length + 1) * (weights[slot] ?? 0)) / total)
          expect(open.filter((each) => each === slot).length).toBeLessThan(bound)
          begin(slot)
          open.push(slot)
        }
      },
    ),
    { numRuns: 200 },
  )
})
