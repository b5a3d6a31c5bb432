import { CodedError, manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AdaptiveLimitOptions, adaptiveLimit } from './adaptive-limit.ts'
import { afterSample, type LimitRules, type LimitState } from './adaptive-limit-state.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { policy } from './policy.ts'

const rules: LimitRules = { min: 2, max: 50, decrease: 0.5, tolerance: 1.5, smoothing: 0.2 }
const aimd: LimitState = { kind: 'aimd', limit: 10, loweredAt: Number.NEGATIVE_INFINITY }
const gradient: LimitState = { kind: 'gradient', limit: 10, loweredAt: Number.NEGATIVE_INFINITY, usualMs: 0, samples: 0 }
const sample = { startedAt: 0, endedAt: 10, active: 10, overloaded: false }

test.each([aimd, gradient])('$kind does not grow while less than half of the limit is used', (state) => {
  expect(afterSample(state, { ...sample, active: 4 }, rules).limit).toBe(10)
  expect(afterSample(state, { ...sample, active: 5 }, rules).limit).toBeGreaterThan(10)
})

test.each([aimd, gradient])('$kind goes down once for all calls that were under way', (state) => {
  const lowered = afterSample(state, { ...sample, endedAt: 20, overloaded: true }, rules)
  expect(lowered.limit).toBe(5)
  expect(afterSample(lowered, { ...sample, startedAt: 19, endedAt: 30, overloaded: true }, rules).limit).toBe(5)
  expect(afterSample(lowered, { ...sample, startedAt: 20, endedAt: 30, overloaded: true }, rules).limit).toBe(2.5)
})

test('the gradient goes down when answers take longer than usual, before any fails', () => {
  let state: LimitState = gradient
  for (let i = 0; i < 50; i += 1) state = afterSample(state, sample, { ...rules, max: 20 })
  expect(state.limit).toBeGreaterThan(15)
  const before = state.limit
  for (let i = 0; i < 50; i += 1) state = afterSample(state, { ...sample, endedAt: 100 }, { ...rules, max: 20 })
  expect(state.limit).toBeLessThan(before / 2)
})

/** Everything that was ever sampled, gone through from the beginning each time. */
function naive(kind: 'aimd' | 'gradient', samples: readonly (typeof sample)[]): number {
  let limit = 10
  let loweredAt = Number.NEGATIVE_INFINITY
  let usual = 0
  let answers = 0
  const clamp = (value: number) => [rules.min, value, rules.max].toSorted((a, b) => a - b)[1] ?? value
  for (const one of samples) {
    const latency = one.endedAt - one.startedAt
    if (one.overloaded) {
      if (one.startedAt < loweredAt) continue
      limit = clamp(limit * rules.decrease)
      loweredAt = one.endedAt
      continue
    }
    if (kind === 'gradient') {
      answers += 1
      usual = answers <= 10 ? usual + (latency - usual) / answers : usual + ((latency - usual) * 2) / 601
      if (usual > 2 * latency) usual *= 0.95
    }
    if (one.active < limit / 2) continue
    const ratio = Math.max(0.5, Math.min(1, (rules.tolerance * usual) / latency))
    const aim = kind === 'aimd' ? limit + 1 / limit : limit + 0.2 * (limit * ratio + Math.sqrt(limit) - limit)
    limit = clamp(aim)
  }
  return limit
}

test('agrees with a model that goes through all samples anew, and stays within its bounds', () => {
  const step = fc.record({
    waitMs: fc.integer({ min: 0, max: 20 }),
    tookMs: fc.integer({ min: 1, max: 200 }),
    active: fc.integer({ min: 1, max: 60 }),
    overloaded: fc.constantFrom(false, false, false, true),
  })
  fc.assert(
    fc.property(fc.constantFrom('aimd' as const, 'gradient' as const), fc.array(step, { maxLength: 80 }), (kind, steps) => {
      let state: LimitState = kind === 'aimd' ? aimd : gradient
      let now = 1_000
      const log: (typeof sample)[] = []
      for (const { waitMs, tookMs, active, overloaded } of steps) {
        now += waitMs
        const one = { startedAt: now - tookMs, endedAt: now, active, overloaded }
        log.push(one)
        state = afterSample(state, one, rules)
        expect(state.limit).toBeCloseTo(naive(kind, log), 9)
        expect(state.limit).toBeGreaterThanOrEqual(rules.min)
        expect(state.limit).toBeLessThanOrEqual(rules.max)
      }
    }),
  )
})

function setup(options: Omit<AdaptiveLimitOptions, 'world'>) {
  const world = manualWorld()
  const layer = adaptiveLimit({ ...options, world })
  return { world, layer, stock: policy('stock', layer) }
}

test('turns away what is too much, at once, and that is no retryable failure of the dependency', async () => {
  const { stock, layer } = setup({ initial: 2 })
  for (let i = 0; i < 2; i += 1) void stock.outcome(() => new Promise(() => {}))
  expect(await stock.outcome(() => 1)).toMatchObject({
    error: { code: 'ERR_OVERLOADED', status: 503, message: 'cannot call "stock": 2 calls run, and its limit is 2 now' },
    rejected: { rejectedBy: 'adaptive', policy: 'stock' },
    attempts: 0,
  })
  expect([layer.limit, layer.active]).toEqual([2, 2])
})

test.each([
  ['a timeout', Object.assign(new Error('late'), { name: 'TimeoutError' }), 10],
  ['status 503', new CodedError('ERR_PROBLEM', 'no', { status: 503 }), 10],
  ['any other error', new Error('broken'), 20],
])('after %s the limit is %i', async (_what, error, limit) => {
  const { stock, layer } = setup({ decrease: 0.5 })
  await stock.outcome(() => Promise.reject(error))
  expect([layer.limit, layer.active]).toEqual([limit, 0])
})

test('finds the limit of a dependency that bears ten calls at once', async () => {
  const { world, layer, stock } = setup({ algorithm: 'aimd', initial: 40 })
  let running = 0
  const work = async () => {
    running += 1
    const fine = running <= 10
    await new Promise<void>((resolve) => void world.after(10, resolve))
    running -= 1
    if (!fine) throw new CodedError('ERR_BUSY', 'busy', { status: 503 })
  }
  const limits: number[] = []
  for (let round = 0; round < 200; round += 1) {
    for (let i = 0; i < 50; i += 1) void stock.outcome(work)
    await world.advance(10)
    if (round > 100) limits.push(layer.limit)
  }
  expect(Math.min(...limits)).toBeGreaterThanOrEqual(8)
  expect(Math.max(...limits)).toBeLessThanOrEqual(11)
  expect(world.pendingTimers()).toBe(0)
})

test('an isOverload that throws is told to the caller and keeps no place', async () => {
  const { stock, layer } = setup({
    isOverload: () => {
      throw new Error('isOverload is broken')
    },
  })
  expect(await stock.outcome(() => Promise.reject(new Error('down')))).toMatchObject({ error: { message: 'isOverload is broken' } })
  expect(layer.active).toBe(0)
})

test('carries on from a snapshot, within its own bounds', () => {
  const before = setup({ initial: 30 })
  const later = setup({ max: 25 })
  later.layer.restore(JSON.parse(JSON.stringify(before.layer.snapshot())))
  expect(later.layer.limit).toBe(25)
  expect(() => later.layer.restore({ version: 1, limit: -1, usualMs: 0 })).toThrow('cannot restore adaptive limit')
})

test('bad options are refused by name', () => {
  expect(() => adaptiveLimit({ min: 0 })).toThrow('cannot create adaptive limit: "min" is 0, wanted a whole number from 1')
  expect(() => adaptiveLimit({ min: 5, max: 4 })).toThrow('"max" is 4, wanted a whole number from 5')
  expect(() => adaptiveLimit({ initial: 2_000 })).toThrow('"initial" is 2000')
  expect(() => adaptiveLimit({ decrease: 1 })).toThrow('"decrease" is 1')
  expect(() => adaptiveLimit({ algorithm: 'vegas' as 'aimd' })).toThrow('"algorithm" is "vegas", wanted "gradient" or "aimd"')
})

test('what another layer turned away is no sign of overload: the limit stays while a breaker inside is open', async () => {
  const world = manualWorld()
  const limit = adaptiveLimit({ initial: 20, world })
  const stock = policy('stock', limit, circuitBreaker({ failures: 1, world }))
  await stock.outcome(() => Promise.reject(new Error('down')))
  for (let i = 0; i < 50; i += 1) {
    await world.advance(10)
    expect(await stock.outcome(() => 1)).toMatchObject({ rejected: { rejectedBy: 'breaker' } })
  }
  expect(limit.limit).toBe(20)
})
