import type { Instance } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Listing } from './consul-instance.ts'
import { after, unheard, type WatchEvent, type WatchState } from './watch-state.ts'

const limit = { share: 0.15, verifyMs: 5_000 }
const instance = (id: string): Instance => ({ id, service: 'orders', host: '127.0.0.1', port: 1 })
const range = (count: number) => Array.from({ length: count }, (_, index) => `i${String(index).padStart(2, '0')}`)

function listed(index: number, healthy: readonly string[], failing: readonly string[] = []): WatchEvent {
  const listing: Listing = { index, healthy: healthy.map(instance), failing: new Set(failing) }
  return { type: 'listed', listing }
}
const failed: WatchEvent = { type: 'failed' }
const run = (events: readonly (readonly [number, WatchEvent])[], from: WatchState = unheard) =>
  events.reduce((state, [now, event]) => after(state, event, now, limit), from)
const idsOf = (state: WatchState) => state.snapshot.instances.map(({ id }) => id)

const ten = run([[0, listed(5, range(10))]])

test('knowing that there are none is knowing', () => {
  expect(run([[0, listed(1, [])]]).snapshot).toEqual({ instances: [], revision: 1, stale: false })
})

test('one that fails goes at once', () => {
  expect(idsOf(run([[1, listed(6, range(9), ['i09'])]], ten))).toEqual(range(9))
})

test('many that fail at once are kept, and go when the registry says so still after the delay', () => {
  const held = run([[1, listed(6, range(5), range(10).slice(5))]], ten)
  expect(held.snapshot).toBe(ten.snapshot)
  const early = run([[5_000, listed(7, range(5), range(10).slice(5))]], held)
  expect(idsOf(early)).toEqual(range(10))
  expect(idsOf(run([[5_001, listed(7, range(5), range(10).slice(5))]], early))).toEqual(range(5))
})

test('many that fail one after the other are kept like many at once', () => {
  const events = range(10).map((_, lost) => [lost, listed(6 + lost, range(10).slice(0, 10 - lost), range(10).slice(10 - lost))] as const)
  expect(idsOf(run(events, ten))).toEqual(range(9))
})

test('a share is one of all there were at the start: two of fourteen, one after the other, both go', () => {
  const fourteen = run([[0, listed(5, range(14))]])
  const one = run([[1, listed(6, range(13), ['i13'])]], fourteen)
  expect(idsOf(run([[2, listed(7, range(12), ['i12', 'i13'])]], one))).toEqual(range(12))
})

test('those kept that come back are kept no longer; a new one is there at once', () => {
  const held = run([[1, listed(6, range(5), range(10).slice(5))]], ten)
  const back = run([[2, listed(7, [...range(10), 'new'])]], held)
  expect(idsOf(back)).toEqual([...range(10), 'new'])
  expect(back.held).toBeUndefined()
})

test('those that were taken out on purpose go at once, however many', () => {
  expect(idsOf(run([[1, listed(6, [])]], ten))).toEqual([])
})

test('a registry that comes back empty is not believed at once', () => {
  const broken = run([[1, failed]], ten)
  expect(broken.snapshot).toEqual({ ...ten.snapshot, stale: true })
  const back = run([[2, listed(1, [])]], broken)
  expect(back.snapshot).toEqual(ten.snapshot)
  expect(idsOf(run([[3, listed(2, ['i00'])]], back))).toEqual(range(10))
  expect(idsOf(run([[5_002, listed(2, ['i00'])]], back))).toEqual(['i00'])
})

test('an index that goes back counts as a break even when the connection held', () => {
  expect(idsOf(run([[1, listed(2, [])]], ten))).toEqual(range(10))
})

test('a share of 1 believes everything', () => {
  const state = after(ten, listed(6, [], range(10)), 1, { share: 1, verifyMs: 5_000 })
  expect(idsOf(state)).toEqual([])
})

const anEvent: fc.Arbitrary<{ dtMs: number; event: WatchEvent }> = fc.record({
  dtMs: fc.integer({ min: 0, max: 3_000 }),
  event: fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .record({
          index: fc.integer({ min: 1, max: 50 }),
          states: fc.array(fc.constantFrom('up', 'down', 'gone'), { minLength: 12, maxLength: 12 }),
        })
        .map(({ index, states }) =>
          listed(
            index,
            range(12).filter((_, at) => states[at] === 'up'),
            range(12).filter((_, at) => states[at] === 'down'),
          ),
        ),
    },
    { weight: 1, arbitrary: fc.constant(failed) },
  ),
})

test('whatever comes: the healthy are there, nobody is invented, nobody is kept beyond the delay, revisions tell changes', () => {
  fc.assert(
    fc.property(fc.array(anEvent, { maxLength: 30, size: 'max' }), (events) => {
      let state = unheard
      let now = 0
      let heldSince: number | undefined
      for (const { dtMs, event } of events) {
        now += dtMs
        const before = state
        state = after(before, event, now, limit)
        const [ids, old] = [idsOf(state), idsOf(before)]
        expect(state.snapshot.stale).toBe(event.type === 'failed')
        expect(state.snapshot.revision - before.snapshot.revision).toBe(
          before.snapshot.revision > 0 && ids.join() === old.join() ? 0 : event.type === 'failed' ? 0 : 1,
        )
        if (event.type === 'failed') {
          expect(ids).toEqual(old)
          continue
        }
        const healthy = event.listing.healthy.map(({ id }) => id)
        const kept = ids.filter((id) => !healthy.includes(id))
        expect(ids).toEqual(expect.arrayContaining(healthy))
        expect(old).toEqual(expect.arrayContaining(kept))
        if (kept.length === 0) heldSince = undefined
        else heldSince ??= now
        if (heldSince !== undefined) expect(now - heldSince).toBeLessThan(limit.verifyMs)
      }
    }),
    { numRuns: 300 },
  )
})

/** The same watch, told instance by instance what befell it, with nothing computed ahead. */
function naiveWatch() {
  const shown = new Map<string, 'up' | 'kept'>()
  const lostAt: number[] = []
  let [index, keptUntil, heard] = [0, Number.NaN, false]
  return {
    shown: () => [...shown.keys()].sort(),
    kept: () => [...shown].flatMap(([id, how]) => (how === 'kept' ? [id] : [])).sort(),
    fail() {
      index = 0
    },
    list(event: { readonly listing: Listing }, now: number) {
      const { listing } = event
      const up = new Set(listing.healthy.map(({ id }) => id))
      const trusted = index > 0 && listing.index >= index
      const missing = [...shown].filter(([id]) => !up.has(id))
      // Taken out on purpose: not listed at all, by a registry that was there all the time and is not doubted.
      const lost = missing.filter(([id, how]) => listing.failing.has(id) || !trusted || how === 'kept')
      while (lostAt.length > 0 && now - (lostAt[0] ?? 0) >= limit.verifyMs) lostAt.shift()
      const isKeeping = !Number.isNaN(keptUntil)
      const share = (lost.length + lostAt.length) / (shown.size + lostAt.length)
      const keeps = lost.length > 0 && (isKeeping ? now < keptUntil : lost.length + lostAt.length > 1 && share > limit.share)
      if (isKeeping && now >= keptUntil) lostAt.length = 0
      else if (!keeps) for (const _ of lost) lostAt.push(now)
      shown.clear()
      for (const id of up) shown.set(id, 'up')
      if (keeps) for (const [id] of lost) shown.set(id, 'kept')
      keptUntil = keeps ? (isKeeping ? keptUntil : now + limit.verifyMs) : Number.NaN
      index = listing.index
      heard = true
    },
    heard: () => heard,
  }
}

test('whatever comes, the watch shows and keeps whom a watch that is told one by one does', () => {
  fc.assert(
    fc.property(fc.array(anEvent, { maxLength: 40, size: 'max' }), (events) => {
      const naive = naiveWatch()
      let state = unheard
      let now = 0
      for (const { dtMs, event } of events) {
        now += dtMs
        state = after(state, event, now, limit)
        if (event.type === 'failed') naive.fail()
        else naive.list(event, now)
        expect(idsOf(state)).toEqual(naive.shown())
        expect([...(state.held?.ids ?? [])].sort()).toEqual(naive.kept())
        expect(state.snapshot.revision > 0).toBe(naive.heard())
      }
    }),
    { numRuns: 300 },
  )
})
