import fc from 'fast-check'
import { expect, test } from 'vitest'
import { after, fresh, isAvoided, isPanic, mostAvoided, outlierLimit, type Standing } from './outliers.ts'

const limit = outlierLimit('test')
const yes = () => true
const fail = (standing: Standing, now: number, mayAvoid = yes) => after(standing, { ok: false, admitted: now }, now, mayAvoid, limit)
const succeed = (standing: Standing, now: number) => after(standing, { ok: true, admitted: now }, now, yes, limit)
const failing = (times: number, from = fresh, now = 0) =>
  Array.from({ length: times }).reduce<Standing>((standing) => fail(standing, now), from)

test('avoids after three failures in a row, not after two and a success', () => {
  expect(isAvoided(failing(2), 0)).toBe(false)
  expect(isAvoided(failing(3), 999)).toBe(true)
  expect(isAvoided(failing(3), 1_000)).toBe(false)
  expect(isAvoided(failing(2, succeed(failing(2), 0)), 0)).toBe(false)
})

test('back from being avoided, one failure avoids it again, for twice as long each time, up to the longest', () => {
  let standing = failing(3)
  const times = [standing.until]
  for (let round = 0; round < 7; round += 1) {
    const now = standing.until
    standing = fail(standing, now)
    times.push(standing.until - now)
  }
  expect(times).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
})

test('a quiet half minute takes one doubling off', () => {
  const twice = fail(failing(3), 1_000)
  const later = fail(twice, twice.until + 30_000)
  expect(later.until - (twice.until + 30_000)).toBe(2_000)
})

test('an answer to a call from before it was avoided says nothing', () => {
  const avoided = failing(3)
  expect(after(avoided, { ok: false, admitted: 0 }, 1_500, yes, limit)).toBe(avoided)
  expect(after(avoided, { ok: true, admitted: 0 }, 1_500, yes, limit)).toBe(avoided)
})

test('is not avoided when too many are already, but as soon as there is room', () => {
  const full = fail(failing(2), 0, () => false)
  expect(isAvoided(full, 0)).toBe(false)
  expect(isAvoided(fail(full, 1), 1)).toBe(true)
})

test('whatever comes, it is avoided for at most the longest time, and only after a failure', () => {
  const outcome = fc.record({ ok: fc.boolean(), dtMs: fc.integer({ min: 0, max: 5_000 }), agoMs: fc.integer({ min: 0, max: 2_000 }) })
  fc.assert(
    fc.property(fc.array(outcome), (outcomes) => {
      let [standing, now] = [fresh, 0]
      let streak = 0
      for (const { ok, dtMs, agoMs } of outcomes) {
        now += dtMs
        const before = standing
        standing = after(before, { ok, admitted: now - agoMs }, now, yes, limit)
        if (now - agoMs >= before.until) streak = ok ? 0 : streak + 1
        if (standing.until === before.until) continue
        expect(ok).toBe(false)
        expect(streak).toBeGreaterThanOrEqual(before.times === 0 ? limit.failures : 1)
        expect(standing.until - now).toBeLessThanOrEqual(limit.maxMs)
        expect(standing.until - now).toBeGreaterThanOrEqual(limit.baseMs)
      }
    }),
  )
})

test('at most a tenth are avoided, but one of two or more; never the only one; none when the share is 0', () => {
  expect([0, 1, 2, 3, 19, 20, 29, 100].map((count) => mostAvoided(count, limit))).toEqual([0, 0, 1, 1, 1, 2, 2, 10])
  expect(mostAvoided(100, outlierLimit('test', { maxShare: 0 }))).toBe(0)
})

test('with less than half left, all are used', () => {
  expect([isPanic(2, 1, limit), isPanic(3, 2, limit), isPanic(10, 5, limit), isPanic(10, 6, limit)]).toEqual([false, true, false, true])
})

test('options out of range are refused by name', () => {
  const refused = (options: Parameters<typeof outlierLimit>[1], message: string) =>
    expect(() => outlierLimit('create upstream "a"', options)).toThrow(message)
  refused({ maxMs: 10 }, '"outliers.maxMs" is 10, wanted 1000 to')
  refused({ intervalMs: 1 }, '"outliers.intervalMs" is 1')
  refused({ panicShare: 2 }, '"outliers.panicShare" is 2')
  refused({ successRate: { minimumHosts: 0 } }, '"outliers.successRate.minimumHosts" is 0')
  refused({ failureRate: { threshold: Number.NaN } }, '"outliers.failureRate.threshold" is NaN')
})
