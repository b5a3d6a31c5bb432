import { CodedError, manualWorld, refuse } from '@banyan/core'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { exponential } from './backoff.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import type { Outcome } from './outcome.ts'
import { policy } from './policy.ts'
import { type RetryOptions, retry } from './retry.ts'
import { retryBudget } from './retry-budget.ts'
import { timeout } from './timeout.ts'

const steady = exponential({ baseMs: 100, capMs: 1_000, jitter: 'none' })

function setup(options: Omit<RetryOptions, 'world'> = {}) {
  const world = manualWorld()
  return { world, stock: policy('stock', retry({ backoff: steady, world, ...options })) }
}

/** Fails with each error in turn, then answers. */
function failing(...errors: unknown[]) {
  return vi.fn(async () => {
    if (errors.length > 0) throw errors.shift()
    return 'answer'
  })
}

const down = () => new Error('down')

test('calls again after the backoff, three times by default, then gives the last error', async () => {
  const { world, stock } = setup()
  const work = failing(down(), down(), new Error('still down'), down())
  const outcome = stock.outcome(work)
  await world.advance(99)
  expect(work).toHaveBeenCalledTimes(1)
  await world.advance(1)
  expect(work).toHaveBeenCalledTimes(2)
  await world.advance(199)
  expect(work).toHaveBeenCalledTimes(2)
  await world.advance(1)
  expect(await outcome).toMatchObject({ ok: false, error: { message: 'still down' }, attempts: 3 })
  expect(world.pendingTimers()).toBe(0)
})

test('tells each attempt its number', async () => {
  const { world, stock } = setup()
  const attempts: number[] = []
  const answer = stock.run(({ attempt }) => {
    attempts.push(attempt)
    if (attempt < 3) throw down()
    return 'answer'
  })
  await world.advance(300)
  expect(await answer).toBe('answer')
  expect(attempts).toEqual([1, 2, 3])
})

test.each([
  ['a refusal that was thrown', refuse('out-of-stock')],
  ['an error that blames the request', new CodedError('ERR_PROBLEM', 'not found', { status: 404 })],
])('does not repeat after %s', async (_what, error) => {
  const { stock } = setup()
  const work = failing(error)
  expect(await stock.outcome(work)).toMatchObject({ ok: false, error, attempts: 1 })
})

test('a refusal that was returned is an answer', async () => {
  const { stock } = setup()
  expect(await stock.outcome(() => refuse('out-of-stock'))).toEqual({ ok: true, value: { refused: 'out-of-stock' }, attempts: 1 })
})

test('does not knock at an open circuit', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ world })
  breaker.forceOpen()
  const outcome = await policy('stock', retry({ backoff: steady, world }), breaker).outcome(failing())
  expect(outcome).toMatchObject({ ok: false, error: { code: 'ERR_CIRCUIT_OPEN' }, attempts: 0 })
})

test('repeats an attempt that timed out', async () => {
  const world = manualWorld()
  const stock = policy('stock', retry({ backoff: steady, world }), timeout(50, { world }))
  const answer = stock.run(({ attempt }) => (attempt === 1 ? new Promise<string>(() => {}) : 'answer'))
  await world.advance(150)
  expect(await answer).toBe('answer')
})

test('retryIf decides, and sees the error and the attempt', async () => {
  const retryIf = vi.fn((error: unknown) => error instanceof RangeError)
  const { world, stock } = setup({ retryIf })
  const error = new RangeError('again')
  const outcome = stock.outcome(failing(error, down()))
  await world.advance(100)
  expect(await outcome).toMatchObject({ ok: false, error: { message: 'down' }, attempts: 2 })
  expect(retryIf.mock.calls[0]).toEqual([error, 1])
})

test.each([
  ['assume', {}, 2],
  ['assume', { idempotent: false }, 1],
  ['assume', { idempotent: false, key: 'k' }, 1],
  ['ask', {}, 1],
  ['ask', { idempotent: true }, 2],
  ['ask', { key: 'k' }, 2],
] as const)('with idempotent "%s", a call with %o is made %i times', async (idempotent, options, times) => {
  const { world, stock } = setup({ idempotent })
  const work = failing(down())
  const outcome = stock.outcome(work, options)
  await world.advance(1_000)
  await outcome
  expect(work).toHaveBeenCalledTimes(times)
})

test('repeats even an unsafe call when nothing reached the other side', async () => {
  const { world, stock } = setup()
  const refused = new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) })
  const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
  const first = stock.outcome(failing(refused), { idempotent: false })
  await world.advance(100)
  expect(await first).toMatchObject({ ok: true, attempts: 2 })
  expect(await stock.outcome(failing(reset), { idempotent: false })).toMatchObject({ ok: false, attempts: 1 })
})

test('waits as long as the other side asks, and not less than the backoff', async () => {
  const { world, stock } = setup({ retryAfterCapMs: 2_000 })
  const busy = (retryAfterMs: number) => new CodedError('ERR_BUSY', 'busy', { status: 429, retryAfterMs })
  const work = failing(busy(1_500), busy(10))
  const answer = stock.run(work)
  await world.advance(1_499)
  expect(work).toHaveBeenCalledTimes(1)
  await world.advance(1)
  expect(work).toHaveBeenCalledTimes(2)
  await world.advance(199)
  expect(work).toHaveBeenCalledTimes(2)
  await world.advance(1)
  expect(await answer).toBe('answer')
})

test('gives up at once when the other side asks for more than the cap', async () => {
  const { world, stock } = setup({ retryAfterCapMs: 2_000 })
  const error = new CodedError('ERR_BUSY', 'busy', { status: 503, retryAfterMs: 2_001 })
  expect(await stock.outcome(failing(error))).toMatchObject({ ok: false, error, attempts: 1 })
  expect(world.pendingTimers()).toBe(0)
})

test('gives up at once, with the real error, when the wait would outlast the deadline', async () => {
  const { world, stock } = setup()
  expect(await stock.outcome(failing(down()), { deadlineMs: 100 })).toMatchObject({ ok: false, error: { message: 'down' }, attempts: 1 })
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

test('stops when the retry budget is used up, and says what had failed', async () => {
  const { world, stock } = setup({ attempts: 10, budget: retryBudget({ ratio: 0, minPerSecond: 0.2, world: manualWorld() }) })
  const outcome = stock.outcome(failing(...Array.from({ length: 10 }, down)))
  await world.advance(10_000)
  expect(await outcome).toMatchObject({
    ok: false,
    error: {
      code: 'ERR_RETRY_BUDGET',
      status: 503,
      // Callers of a service read it: what the cause says may name hosts and users.
      message: 'attempt 3 of "stock" failed and its retry budget is used up; the error\'s "cause" says why it failed',
      cause: { message: 'down' },
    },
    rejected: { rejectedBy: 'budget', policy: 'stock' },
    attempts: 3,
  })
})

test('has a budget of its own by default: an outage does not multiply the traffic', async () => {
  const { world, stock } = setup({ attempts: 3 })
  let calls = 0
  const outcomes = Array.from({ length: 1_000 }, () =>
    stock.outcome(() => {
      calls += 1
      throw down()
    }),
  )
  await world.advance(1_000)
  await Promise.all(outcomes)
  expect(calls).toBe(1_000 + 200 + 100)
})

test('without a budget all attempts are made', async () => {
  const { world, stock } = setup({ budget: false })
  const outcomes = Array.from({ length: 200 }, () => stock.outcome(failing(down(), down(), down())))
  await world.advance(1_000)
  expect((await Promise.all(outcomes)).every(({ attempts }) => attempts === 3)).toBe(true)
})

test('a retryIf that throws is told to the caller', async () => {
  const retryIf = () => {
    throw new Error('retryIf is broken')
  }
  expect(await setup({ retryIf }).stock.outcome(failing(down()))).toMatchObject({ error: { message: 'retryIf is broken' }, attempts: 1 })
})

test('agrees with a plan drawn up beforehand: when each attempt is made, and how it ends', async () => {
  const fate = fc.record({ ms: fc.integer({ min: 0, max: 100 }), ok: fc.boolean(), asksMs: fc.constantFrom(undefined, 150, 5_000) })
  const input = [
    fc.array(fate, { minLength: 5, maxLength: 5 }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 2_000 }),
  ] as const
  await fc.assert(
    fc.asyncProperty(...input, async (fates, attempts, deadlineMs) => {
      const { world, stock } = setup({ attempts, retryAfterCapMs: 1_000, budget: false })
      const made: number[] = []
      const work = async ({ attempt }: { attempt: number }) => {
        made.push(world.monotonic())
        const { ms, ok, asksMs } = fates[attempt - 1] ?? { ms: 0, ok: true }
        // Halves, so that no end falls on the deadline.
        await new Promise<void>((resolve) => void world.after(ms + 0.5, resolve))
        if (!ok) throw new CodedError('ERR_BUSY', `down ${attempt}`, { status: 503, ...(asksMs !== undefined && { retryAfterMs: asksMs }) })
        return attempt
      }
      const outcome = stock.outcome(work, { deadlineMs })
      await world.advance(10_000)
      expect({ outcome: end(await outcome), made }).toEqual(plan(fates, attempts, deadlineMs))
      expect(world.pendingTimers()).toBe(0)
    }),
    { numRuns: 60 },
  )
})

function end(outcome: Outcome<number>): string {
  return outcome.ok ? `answer ${outcome.value}` : outcome.rejected ? 'late' : (outcome.error as Error).message
}

function plan(fates: readonly { ms: number; ok: boolean; asksMs?: number | undefined }[], attempts: number, deadlineMs: number) {
  const made: number[] = []
  for (let attempt = 1, now = 0; ; attempt += 1) {
    const { ms, ok, asksMs = 0 } = fates[attempt - 1] ?? { ms: 0, ok: true }
    made.push(now)
    now += ms + 0.5
    if (now > deadlineMs) return { outcome: 'late', made }
    if (ok) return { outcome: `answer ${attempt}`, made }
    const waitMs = Math.max(asksMs, Math.min(1_000, 100 * 2 ** (attempt - 1)))
    if (attempt === attempts || asksMs > 1_000 || now + waitMs >= deadlineMs) return { outcome: `down ${attempt}`, made }
    now += waitMs
  }
}

test('bad options are refused by name', () => {
  expect(() => retry({ attempts: 0 })).toThrow('cannot create retry: "attempts" is 0, wanted a whole number from 1 to 1000')
  expect(() => retry({ retryAfterCapMs: -1 })).toThrow('"retryAfterCapMs" is -1')
  expect(() => retry({ idempotent: 'yes' as 'ask' })).toThrow('"idempotent" is "yes", wanted "assume" or "ask"')
})

test.each([Number.NaN, undefined, -1, '100'])('a backoff that gives %o ends its own call, and no timeout of others', async (delay) => {
  const world = manualWorld()
  // A backoff of one's own, written without types.
  const backoff = { delayMs: () => delay as number, maxMs: () => 100 }
  const other = policy('other', timeout(100, { world })).outcome(() => new Promise(() => {}))
  const outcome = policy('stock', retry({ backoff, world })).outcome(failing(down(), down(), down()))
  await world.advance(10_000)
  expect(await outcome).toMatchObject({
    ok: false,
    attempts: 1,
    error: { name: 'RangeError', message: expect.stringContaining('cannot retry "stock": "backoff.delayMs" is ') },
  })
  expect(await other).toMatchObject({ ok: false, rejected: { rejectedBy: 'timeout' } })
  expect(world.pendingTimers()).toBe(0)
})

test.each([100, null, { delayMs: () => 1 }])('what is no backoff is refused when the layer is made: %o', (backoff) => {
  expect(() => retry({ backoff: backoff as never })).toThrow('cannot create retry: "backoff" is ')
})
