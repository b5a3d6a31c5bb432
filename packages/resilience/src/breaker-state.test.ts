import { expect, it } from 'vitest'
import { after, type BreakerLimits, type BreakerState, overdueAfter, retryAfter } from './breaker-state.ts'

/** Those of a service's clients. */
const limits: BreakerLimits = {
  failuresInARow: Number.POSITIVE_INFINITY,
  minimumCalls: 20,
  failureRate: 0.5,
  slowRate: Number.POSITIVE_INFINITY,
  coolDownMs: 1_000,
  coolDownFactor: 2,
  maxCoolDownMs: 10_000,
  probesAllowed: 5,
  probesNeeded: 3,
  probeMaxWaitMs: 10_000,
  maxWaiting: 0,
}

/** Half-open after many openings, with all its probes under way: the first since `now`. */
const probing = (now: number, more: Partial<BreakerLimits> = {}) => {
  let state: BreakerState = { kind: 'half-open', epoch: 9, openings: 6, flying: [], passed: 0, failed: 0 }
  for (let probe = 0; probe < 5; probe += 1) state = after(state, { type: 'admitted' }, now + probe, { ...limits, ...more })
  return state
}

it('tells those it refuses the rest of its time while it is open, and to come again soon while probes are under way', () => {
  expect(retryAfter({ kind: 'open', epoch: 1, openings: 5, until: 10_500 }, 700, limits)).toBe(9_800)
  expect(retryAfter(probing(500), 510, limits)).toBe(1_000)
  expect(retryAfter({ kind: 'forced-open', epoch: 1, why: undefined }, 700, limits)).toBeUndefined()
})

it.each([
  ['the cool-down where that is shorter', { coolDownMs: 100 }, 510, 100],
  ['a second where the cool-down is longer', { coolDownMs: 30_000, maxCoolDownMs: 30_000 }, 510, 1_000],
  ['the rest of a probe that is soon overdue', {}, 10_300, 200],
  ['what a probe may take where that is shorter', { probeMaxWaitMs: 50 }, 510, 40],
] as const)('half-open, it tells %s', (_what, more, now, ms) => {
  expect(retryAfter(probing(500, more), now, { ...limits, ...more })).toBe(ms)
})

it('knows when the oldest probe counts as failed, for those who wait for it', () => {
  expect(overdueAfter(probing(500), 510, limits)).toBe(9_990)
  expect(overdueAfter({ kind: 'closed', epoch: 1 }, 510, limits)).toBeUndefined()
})
