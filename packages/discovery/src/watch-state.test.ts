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
      let heldSince = new Map<string, number>()
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
        heldSince = new Map(kept.map((id) => [id, heldSince.get(id) ?? now]))
        for (const since of heldSince.values()) expect(now - since).toBeLessThan(limit.verifyMs)
      }
    }),
    { numRuns: 300 },
  )
})

/** The same watch, told instance by instance what befell it, with nothing computed ahead. */
function naiveWatch() {
  /** Each that is shown: whether it is up, else until when it is kept. */
  const shown = new Map<string, 'up' | number>()
  const lostAt: number[] = []
  let [index, heard] = [0, false]
  return {
    shown: () => [...shown.keys()].sort(),
    kept: () => [...shown].flatMap(([id, how]) => (how === 'up' ? [] : [id])).sort(),
    fail() {
      index = 0
    },
    list(event: { readonly listing: Listing }, now: number) {
      const { listing } = event
      const up = new Set(listing.healthy.map(({ id }) => id))
      const trusted = index > 0 && listing.index >= index
      const before = new Map(shown)
      shown.clear()
      for (const id of up) shown.set(id, 'up')
      while (lostAt.length > 0 && now - (lostAt[0] ?? 0) >= limit.verifyMs) lostAt.shift()
      const fresh: string[] = []
      let all = 0
      let kept = 0
      for (const [id, how] of before) {
        const isKept = how !== 'up'
        const isTimeUp = isKept && now >= how
        if (up.has(id)) all += 1
        else if (isTimeUp) continue
        else if (isKept) {
          shown.set(id, how)
          kept += 1
        } else if (listing.failing.has(id) || !trusted) fresh.push(id)
        // Taken out on purpose: not listed at all, by a registry that was there all the time and is not doubted.
        else all += 1
      }
      const lost = kept + fresh.length + lostAt.length
      const keeps = kept > 0 || (lost > 1 && lost > (all + kept + fresh.length + lostAt.length) * limit.share)
      if (keeps) for (const id of fresh) shown.set(id, now + limit.verifyMs)
      else for (const _ of fresh) lostAt.push(now)
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
        expect([...(state.held?.ids.keys() ?? [])].sort()).toEqual(naive.kept())
        expect(state.snapshot.revision > 0).toBe(naive.heard())
      }
    }),
    { numRuns: 300 },
  )
})

test.each([
  ['at the moment the first are believed', 5_001],
  ['shortly before', 4_999],
])('those that are lost %s are kept for their own time', (_when, lostAt) => {
  const two = run([[1, listed(6, range(8), ['i08', 'i09'])]], ten)
  expect(idsOf(two)).toEqual(range(10))
  const all = run([[lostAt, listed(7, [], range(10))]], two)
  const later = run([[5_001, listed(8, [], range(10))]], all)
  expect(idsOf(later)).toEqual(range(8))
  expect(idsOf(run([[lostAt + 4_999, listed(9, [], range(10))]], later))).toEqual(range(8))
  expect(idsOf(run([[lostAt + 5_000, listed(9, [], range(10))]], later))).toEqual([])
})
