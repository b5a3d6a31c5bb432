import fc from 'fast-check'
import { expect, test } from 'vitest'
import { outlierLimit } from './outliers.ts'
import { outlierBook } from './outliers-book.ts'
import { outliersOf } from './outliers-sweep.ts'

const limit = outlierLimit('test')

/** A book, and who may be chosen by what it said. */
function open(count: number, limits = limit) {
  const usable = new Set<number>()
  const book = outlierBook(limits, (slot) => {
    if (book.isAvoided(slot) && !book.panics) usable.delete(slot)
    else usable.add(slot)
  })
  for (let slot = 0; slot < count; slot += 1) {
    book.enter()
    usable.add(slot)
  }
  const fail = (slot: number, now: number, times = 1) => {
    for (let time = 0; time < times; time += 1) book.learn(slot, { ok: false, admitted: now }, now)
  }
  return { book, usable, fail }
}

test('one that fails three times in a row is avoided, and is back after a second', () => {
  const { book, usable, fail } = open(20)
  fail(4, 0, 2)
  expect(usable.size).toBe(20)
  expect(book.learn(4, { ok: false, admitted: 0 }, 0)).toEqual([{ slot: 4, forMs: 1_000 }])
  expect([usable.has(4), book.returnsAt]).toEqual([false, 1_000])
  book.letReturn(1_000)
  expect([usable.has(4), book.returnsAt]).toEqual([true, Number.POSITIVE_INFINITY])
})

test('a tenth at most is avoided, one at least: the others that fail stay', () => {
  const { usable, fail } = open(20)
  for (let slot = 0; slot < 20; slot += 1) fail(slot, 0, 5)
  expect(usable.size).toBe(18)
  const few = open(3)
  for (let slot = 0; slot < 3; slot += 1) few.fail(slot, 0, 5)
  expect(few.usable.size).toBe(2)
})

test('when those in use leave and less than half remain, all are used; when enough are back, the avoided ones are out again', () => {
  const { book, usable, fail } = open(20)
  fail(0, 0, 3)
  fail(1, 0, 3)
  for (let slot = 2; slot < 19; slot += 1) {
    book.leave(slot)
    usable.delete(slot)
  }
  expect([book.panics, usable.size]).toEqual([true, 3])
  book.enter()
  usable.add(2)
  expect([book.panics, [...usable].sort()]).toEqual([false, [19, 2]])
})

test('one that fails half of the time, never three times in a row, is found after the interval', () => {
  const { book, usable } = open(10)
  let found: readonly { slot: number }[] = []
  for (let call = 0; call <= 1_200 && found.length === 0; call += 1) {
    const now = call * 10
    for (let slot = 0; slot < 10 && found.length === 0; slot += 1)
      found = book.learn(slot, { ok: slot !== 3 || call % 2 === 0, admitted: now }, now)
  }
  expect(found).toEqual([{ slot: 3, forMs: 1_000 }])
  expect(usable.has(3)).toBe(false)
})

test('failures an hour old are not judged', () => {
  const { book } = open(10)
  for (let call = 0; call < 200; call += 1)
    for (let slot = 0; slot < 10; slot += 1) book.learn(slot, { ok: slot !== 3 || call % 2 === 0, admitted: 0 }, 0)
  expect(book.learn(0, { ok: true, admitted: 3_600_000 }, 3_600_000)).toEqual([])
})

/** The same rules on plain records, everything computed anew each time. */
function naiveBook(limits: typeof limit) {
  interface Host {
    slot: number
    streak: number
    until: number
    times: number
    ok: number
    failed: number
  }
  let hosts: Host[] = []
  let sweepAt: number | undefined
  const out = (now: number) => hosts.filter(({ until }) => now < until)
  const eject = (host: Host, now: number) => {
    const quiet = host.times === 0 ? 0 : Math.floor((now - host.until) / limits.maxMs)
    host.times = Math.max(0, host.times - quiet) + 1
    host.until = now + Math.min(limits.maxMs, limits.baseMs * 2 ** (host.times - 1))
    host.streak = limits.failures - 1
  }
  const hasRoom = (now: number) => hosts.length > 1 && out(now).length < Math.max(1, Math.floor(hosts.length * limits.maxShare))
  return {
    enter: (slot: number) => void hosts.push({ slot, streak: 0, until: Number.NEGATIVE_INFINITY, times: 0, ok: 0, failed: 0 }),
    leave(slot: number) {
      hosts = hosts.filter((host) => host.slot !== slot)
    },
    learn(slot: number, ok: boolean, admitted: number, now: number) {
      if (sweepAt !== undefined && now >= sweepAt) {
        const judged = now < sweepAt + limits.intervalMs ? hosts.filter((host) => host.ok + host.failed > 0) : []
        // Of those who fail alike the first slot goes first, whoever entered first.
        const bySlot = judged.toSorted((one, two) => one.slot - two.slot)
        for (const worst of outliersOf(bySlot, limits)) {
          const host = hosts.find((each) => each.slot === worst)
          if (host && now >= host.until && hasRoom(now)) eject(host, now)
        }
        for (const host of hosts) Object.assign(host, { ok: 0, failed: 0 })
        sweepAt = now + limits.intervalMs
      }
      const host = hosts.find((each) => each.slot === slot)
      if (!host || admitted < host.until) return
      sweepAt ??= now + limits.intervalMs
      if (ok) host.ok += 1
      else host.failed += 1
      host.streak = ok ? 0 : Math.min(limits.failures, host.streak + 1)
      if (host.streak >= limits.failures && hasRoom(now)) eject(host, now)
    },
    usable(now: number): number[] {
      const healthy = hosts.filter(({ until }) => now >= until)
      const all = healthy.length < hosts.length * limits.panicShare ? hosts : healthy
      return all.map(({ slot }) => slot).sort((a, b) => a - b)
    },
  }
}

test('whatever happens, who may be chosen is whom the rules, applied anew each time, leave', () => {
  const limits = outlierLimit('test', {
    maxShare: 0.4,
    intervalMs: 500,
    baseMs: 100,
    maxMs: 2_000,
    successRate: { minimumCalls: 4, minimumHosts: 2, deviations: 0.7 },
    failureRate: { minimumCalls: 3, minimumHosts: 2, threshold: 0.6 },
  })
  const slot = fc.integer({ min: 0, max: 7 })
  const happening = fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ kind: fc.constant('call' as const), slot, ok: fc.boolean(), agoMs: fc.constantFrom(0, 0, 30, 300) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('enter' as const, 'leave' as const), slot }) },
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(0, 1, 20, 150, 700), happening), { maxLength: 120, size: 'max' }), (happenings) => {
      const { book, usable } = open(6, limits)
      const naive = naiveBook(limits)
      const there = new Set([0, 1, 2, 3, 4, 5])
      for (const one of there) naive.enter(one)
      let now = 0
      for (const [dtMs, event] of happenings) {
        now += dtMs
        if (now >= book.returnsAt) book.letReturn(now)
        if (event.kind === 'call') {
          if (!there.has(event.slot)) continue
          book.learn(event.slot, { ok: event.ok, admitted: now - event.agoMs }, now)
          naive.learn(event.slot, event.ok, now - event.agoMs, now)
        } else if (event.kind === 'enter' && !there.has(event.slot)) {
          there.add(event.slot)
          book.enter()
          usable.add(event.slot)
          naive.enter(event.slot)
        } else if (event.kind === 'leave' && there.has(event.slot)) {
          there.delete(event.slot)
          book.leave(event.slot)
          usable.delete(event.slot)
          naive.leave(event.slot)
        }
        expect([...usable].sort((a, b) => a - b)).toEqual(naive.usable(now))
      }
    }),
    { numRuns: 500 },
  )
})
