import { manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { circuitBreaker } from './circuit-breaker.ts'
import { onResilienceEvent } from './events.ts'
import { type HedgeOptions, hedge } from './hedge.ts'
import { policy } from './policy.ts'
import { retryBudget } from './retry-budget.ts'
import { timeout } from './timeout.ts'

function setup(options: Omit<HedgeOptions, 'world'>) {
  const world = manualWorld()
  const stock = policy('stock', hedge({ budget: false, ...options, world }))
  const after = <T>(ms: number, end: () => T): Promise<T> =>
    new Promise((resolve, reject) => void world.after(ms, () => Promise.resolve().then(end).then(resolve, reject)))
  return { world, stock, after }
}

test('a call that takes long is sent once more, and the first answer wins; the other is aborted', async () => {
  const { world, stock, after } = setup({ after: 50 })
  const signals: AbortSignal[] = []
  const answer = stock.outcome(({ signal, hedge }) => {
    signals.push(signal)
    return after(hedge === 0 ? 200 : 10, () => `answer ${hedge}`)
  })
  await world.advance(49)
  expect(signals).toHaveLength(1)
  await world.advance(11)
  expect(await answer).toEqual({ ok: true, value: 'answer 1', attempts: 2 })
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
  expect(signals[0]?.reason).toHaveProperty('code', 'ERR_HEDGED')
})

test('a call that is done in time is not hedged and leaves no timer', async () => {
  const { world, stock } = setup({ after: 50 })
  expect(await stock.outcome(() => 'answer')).toMatchObject({ ok: true, attempts: 1 })
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

test.each([
  [{ idempotent: false }, 1],
  [{}, 2],
  [{ key: 'k' }, 2],
])('a call with %o is sent %i times', async (options, times) => {
  const { world, stock, after } = setup({ after: 10 })
  const answer = stock.outcome(() => after(100, () => 1), options)
  await world.advance(200)
  expect(await answer).toMatchObject({ attempts: times })
})

test('with "ask" only a call that says so is hedged', async () => {
  const { world, stock, after } = setup({ after: 10, idempotent: 'ask' })
  const answers = [stock.outcome(() => after(100, () => 1)), stock.outcome(() => after(100, () => 1), { idempotent: true })]
  await world.advance(200)
  expect(await Promise.all(answers)).toMatchObject([{ attempts: 1 }, { attempts: 2 }])
})

test('takes hedges from the budget: when everything is slow, traffic grows by its share only', async () => {
  const world = manualWorld()
  const budget = retryBudget({ ratio: 0.1, minPerSecond: 0, world })
  const stock = policy('stock', hedge({ after: 10, budget, world }))
  let calls = 0
  const slow = () => {
    calls += 1
    return new Promise<void>((resolve) => void world.after(100, resolve))
  }
  const outcomes = Array.from({ length: 200 }, () => stock.outcome(slow))
  await world.advance(300)
  await Promise.all(outcomes)
  expect(calls).toBe(220)
})

test('by quantile it learns what is slow, and hedges nothing before it knows', async () => {
  const { world, stock, after } = setup({ after: { quantile: 0.9, minimumCalls: 20 } })
  const call = async (ms: number) => {
    const outcome = stock.outcome(({ hedge }) => after(hedge === 0 ? ms : 5, () => hedge))
    await world.advance(1_000)
    return (await outcome).attempts
  }
  expect(await call(500)).toBe(1)
  for (let i = 0; i < 30; i += 1) expect(await call(10)).toBe(1)
  expect(await call(500)).toBe(2)
})

test('the breaker inside does not count a hedge that lost', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, world })
  const stock = policy('stock', hedge({ after: 10, budget: false, world }), breaker)
  const outcome = stock.outcome(
    ({ signal, hedge }) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        if (hedge === 1) world.after(5, () => resolve('answer'))
      }),
  )
  await world.advance(100)
  expect(await outcome).toMatchObject({ ok: true, value: 'answer' })
  expect(breaker.state).toBe('closed')
})

test('an abort and a timeout outside end all of them at once', async () => {
  const world = manualWorld()
  const signals: AbortSignal[] = []
  const work = ({ signal }: { signal: AbortSignal }) => {
    signals.push(signal)
    return new Promise(() => {})
  }
  const stock = policy('stock', timeout(100, { world }), hedge({ after: 10, extra: 2, budget: false, world }))
  const outcome = stock.outcome(work)
  await world.advance(100)
  expect(await outcome).toMatchObject({ error: { code: 'ERR_TIMEOUT' }, attempts: 3 })
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true])
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

test('tells of each hedge', async () => {
  const { world, stock, after } = setup({ after: 10 })
  const heard: unknown[] = []
  const stop = onResilienceEvent('hedge', (event) => heard.push(event))
  const outcome = stock.outcome(() => after(50, () => 1))
  await world.advance(100)
  await outcome
  stop()
  expect(heard).toEqual([{ policy: 'stock', hedge: 1, afterMs: 10 }])
})

test('agrees with a plan drawn up beforehand: who is sent when, who ends first, and how', async () => {
  const fate = fc.record({ ms: fc.integer({ min: 1, max: 100 }), ok: fc.boolean() })
  const input = [fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3 }), fc.array(fate, { minLength: 4, maxLength: 4 })] as const
  await fc.assert(
    fc.asyncProperty(...input, async (afterMs, extra, fates) => {
      const { world, stock, after } = setup({ after: afterMs, extra })
      const outcome = stock.outcome(({ hedge }) => {
        const { ms, ok } = fates[hedge] ?? { ms: 1, ok: true }
        // Fractions, so that no end falls on the same moment as another or as a hedge.
        return after(ms + 0.5 + hedge / 100, () => (ok ? hedge : Promise.reject(new Error(`down ${hedge}`))))
      })
      await world.advance(1_000)
      expect(await outcome).toMatchObject(plan(afterMs, extra, fates))
      expect(world.pendingTimers()).toBeLessThanOrEqual(extra)
    }),
    { numRuns: 100 },
  )
})

function plan(afterMs: number, extra: number, fates: readonly { ms: number; ok: boolean }[]) {
  let last = { at: 0, hedge: 0 }
  for (let sent = 1; ; sent += 1) {
    const flights = fates.slice(0, sent).map(({ ms, ok }, hedge) => ({ at: hedge * afterMs + ms + 0.5 + hedge / 100, ok, hedge }))
    const next = sent <= extra ? sent * afterMs : Number.POSITIVE_INFINITY
    const won = flights.filter(({ ok }) => ok).toSorted((a, b) => a.at - b.at)[0]
    if (won && won.at < next) return { ok: true, value: won.hedge, attempts: sent }
    last = flights.toSorted((a, b) => b.at - a.at)[0] ?? last
    if (!won && last.at < next) return { ok: false, error: { message: `down ${last.hedge}` }, attempts: sent }
  }
}

test('bad options are refused by name', () => {
  expect(() => hedge({ after: -1 })).toThrow('cannot create hedge: "after" is -1')
  expect(() => hedge({ after: { quantile: 95 } })).toThrow('"after.quantile" is 95, wanted a number from 0.5 to 0.9999')
  expect(() => hedge({ after: 1, extra: 0 })).toThrow('"extra" is 0')
})

test('by share, it hedges from the call after "minimumCalls" on, however many those are', async () => {
  const { world, stock, after } = setup({ after: { quantile: 0.95, minimumCalls: 1_500 } })
  for (let i = 0; i < 1_500; i += 1) {
    const answer = stock.outcome(() => after(1, () => 'fast'))
    await world.advance(1)
    expect(await answer).toMatchObject({ attempts: 1 })
  }
  const slow = stock.outcome(() => after(100, () => 'slow'))
  await world.advance(200)
  expect(await slow).toMatchObject({ attempts: 2 })
})

test.each([undefined, null, '100'])('a hedge that is not told after what is refused by name: %o', (after) => {
  expect(() => hedge({ after: after as never })).toThrow('cannot create hedge: "after" is ')
})

test('by share, it hedges no more than that share, also while its hedges win', async () => {
  const { world, stock, after } = setup({ after: { quantile: 0.95 } })
  let hedges = 0
  for (let i = 0; i < 3_000; i += 1) {
    // A long tail, as of a service whose instances pause now and then.
    const outcome = stock.outcome(() => after(Math.min(10_000, (1 - world.random()) ** -1), () => 1))
    await world.advance(20_000)
    hedges += (await outcome).attempts - 1
  }
  expect(hedges / 3_000).toBeLessThan(0.065)
})
