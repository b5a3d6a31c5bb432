import { manualWorld } from '@banyan/core'
import { expect, expectTypeOf, test, vi } from 'vitest'
import { adaptiveLimit } from './adaptive-limit.ts'
import { bulkhead } from './bulkhead.ts'
import type { Call } from './call.ts'
import { Cancellation } from './cancellation.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { fallback } from './fallback.ts'
import type { Outcome } from './outcome.ts'
import { policy } from './policy.ts'
import type { PolicySnapshot } from './policy-snapshot.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

function full() {
  const world = manualWorld()
  const breaker = circuitBreaker({ world })
  const pool = bulkhead({ limit: 2, queue: 2, maxWaitMs: 50, world })
  const layers = [timeout(2_000, { world }), retry({ world }), breaker, pool, timeout(400, { world })] as const
  return { world, breaker, pool, stock: policy('stock', ...layers) }
}

test('gives what the function gives, with its type', async () => {
  const { stock, world } = full()
  const answer = await stock.run(async ({ attempt }) => ({ attempt }))
  expectTypeOf(answer).toEqualTypeOf<{ attempt: number }>()
  expect(answer).toEqual({ attempt: 1 })
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

test('outcome gives failures as values', async () => {
  const { stock } = full()
  const good = await stock.outcome(() => 7)
  expectTypeOf(good).toEqualTypeOf<Outcome<number>>()
  expect(good).toEqual({ ok: true, value: 7, attempts: 1 })
  const error = new Error('down')
  expect(await policy('bare').outcome(() => Promise.reject(error))).toEqual({ ok: false, error, attempts: 1 })
})

test('wrap keeps the parameters and joins the fallback', async () => {
  const price = policy('price', fallback(null)).wrap(async (sku: string, quantity: number) => {
    if (quantity === 0) throw new RangeError('nothing wanted')
    return sku.length * quantity
  })
  expectTypeOf(price).toEqualTypeOf<(sku: string, quantity: number) => Promise<number | null>>()
  expect([await price('abc', 2), await price('abc', 0)]).toEqual([6, null])
})

test('a function that throws at once rejects, it does not throw', async () => {
  const broken = (): never => {
    throw new Error('at once')
  }
  await expect(policy('bare').run(broken)).rejects.toThrow('at once')
  await expect(policy('bare').wrap(broken)()).rejects.toThrow('at once')
})

test('hands on the key, the signal and the remaining time', async () => {
  const { stock, world } = full()
  const seen = await stock.run(({ signal, remainingMs, key }) => ({ aborted: signal.aborted, remainingMs, key }), {
    key: 'k1',
    deadlineMs: 300,
  })
  expect(seen).toEqual({ aborted: false, remainingMs: 300, key: 'k1' })
  expect(await policy('bare').run(({ remainingMs }) => remainingMs)).toBe(Number.POSITIVE_INFINITY)
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

test('an abort of the caller ends the call at once, with its reason, also when the function does not listen', async () => {
  const { stock, world } = full()
  const controller = new AbortController()
  let signal: AbortSignal | undefined
  const outcome = stock.outcome(
    (call) => {
      signal = call.signal
      return new Promise(() => {})
    },
    { signal: controller.signal },
  )
  const reason = new Error('left')
  controller.abort(reason)
  expect(await outcome).toEqual({ ok: false, error: reason, attempts: 1, rejected: { rejectedBy: 'cancelled', policy: 'stock' } })
  expect(signal?.reason).toBe(reason)
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

test('a call that is aborted or late before it begins never calls the function', async () => {
  const { stock, world, breaker, pool } = full()
  const reason = new Error('left')
  expect(await stock.outcome(() => 1, { signal: AbortSignal.abort(reason) })).toMatchObject({ ok: false, error: reason, attempts: 0 })
  expect(await stock.outcome(() => 1, { deadlineMs: 0 })).toMatchObject({ ok: false, error: { code: 'ERR_TIMEOUT' }, attempts: 0 })
  expect(await policy('bare').outcome(() => 1, { deadlineMs: -5 })).toMatchObject({ ok: false, attempts: 0 })
  expect([world.pendingTimers(), breaker.counts.calls, pool.active]).toEqual([0, 0, 0])
})

test('the deadline of the caller bounds the whole call, retries and waits included', async () => {
  const { stock, world } = full()
  const outcome = stock.outcome(() => new Promise(() => {}), { deadlineMs: 500 })
  await world.advance(499)
  await world.advance(1)
  expect(await outcome).toMatchObject({ ok: false, error: { code: 'ERR_TIMEOUT', message: 'the call of "stock" took longer than 500 ms' } })
  expect(world.pendingTimers()).toBe(0)
})

test('a failure that comes after the call has ended does not become an unhandled rejection', async () => {
  const { stock, world } = full()
  const unhandled: unknown[] = []
  const listener = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', listener)
  let fail = (_error: Error) => {}
  const outcome = stock.outcome(() => new Promise((_, reject) => (fail = reject)), { deadlineMs: 100 })
  await world.advance(100)
  expect(await outcome).toMatchObject({ ok: false, error: { code: 'ERR_TIMEOUT' } })
  fail(new Error('too late'))
  await world.advance(0)
  process.off('unhandledRejection', listener)
  expect(unhandled).toEqual([])
})

test('ends with the cancellation of its caller, alone or within a deadline', async () => {
  const world = manualWorld()
  const stock = policy('stock', retry({ world, attempts: 3 }))
  const reason = new Error('the client has gone')
  for (const deadlineMs of [undefined, 1_000]) {
    const cancellation = new Cancellation(world)
    let seen: Call | undefined
    const result = stock.outcome(
      (call) => {
        seen = call
        return new Promise(() => undefined)
      },
      { cancellation, ...(deadlineMs !== undefined && { deadlineMs }) },
    )
    expect(seen?.remainingMs).toBe(deadlineMs ?? Number.POSITIVE_INFINITY)
    const heard = vi.fn()
    seen?.cancellation?.listen({ onAbort: heard })
    cancellation.abort(reason)
    expect(heard).toHaveBeenCalledExactlyOnceWith(reason)
    expect(seen?.signal.reason).toBe(reason)
    expect(await result).toMatchObject({ ok: false, error: reason, rejected: { rejectedBy: 'cancelled' } })
    expect(await stock.outcome(() => 1, { cancellation })).toMatchObject({ ok: false, error: reason, attempts: 0 })
  }
})

test('leaves no listener on the cancellation of its caller', async () => {
  const cancellation = new Cancellation(manualWorld())
  const [listen, unlisten] = [vi.spyOn(cancellation, 'listen'), vi.spyOn(cancellation, 'unlisten')]
  const { stock } = full()
  await stock.run(() => Promise.resolve(1), { cancellation })
  await stock.outcome(() => Promise.reject(new Error('down')), { cancellation, deadlineMs: 1_000, idempotent: false })
  expect(listen).toHaveBeenCalled()
  const left = new Set(listen.mock.calls.map(([listener]) => listener))
  for (const [listener] of unlisten.mock.calls) left.delete(listener)
  expect(left.size).toBe(0)
})

test('leaves no listener on the signal of the caller', async () => {
  const { stock } = full()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...args)
  }
  await stock.run(() => 1, { signal })
  await stock.outcome(() => Promise.reject(new Error('down')), { signal, idempotent: false })
  expect(listeners).toBe(0)
})

test('bad policies are refused', () => {
  expect(() => policy('')).toThrow(new TypeError('cannot create policy: the name is empty'))
  expect(() => policy('stock', timeout(1), timeout(1, { world: manualWorld() }))).toThrow('its layers run on different worlds')
})

test('a deadline that is no number is refused', async () => {
  await expect(policy('stock').run(() => 1, { deadlineMs: Number.NaN })).rejects.toThrow('cannot run "stock": "deadlineMs" is NaN')
})

test('all attempts of one call note the endpoints they tried in one place, and another call has its own', async () => {
  const world = manualWorld()
  const stock = policy('stock', retry({ attempts: 3, world }))
  const endpoints = ['a', 'b', 'c']
  const picks: string[] = []
  const work = ({ tried, attempt }: Call) => {
    const picked = endpoints.find((one) => !tried.has(one)) ?? 'none'
    tried.add(picked)
    picks.push(picked)
    if (attempt < 3) throw new Error('down')
    return picked
  }
  const first = stock.run(work)
  await world.advance(10_000)
  expect(await first).toBe('c')
  const second = stock.run(work)
  await world.advance(10_000)
  expect(await second).toBe('c')
  expect(picks).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
})

test('a call through a lone breaker is given all that any other is', async () => {
  const lone = policy('lone', circuitBreaker({ world: manualWorld() }))
  const seen = await lone.run((call) => {
    call.tried.add('a')
    const { signal, attempt, hedge, remainingMs, key, tried } = call
    return { aborted: signal.aborted, same: signal === call.signal, attempt, hedge, remainingMs, key, tried: [...tried] }
  })
  const wanted = { aborted: false, same: true, attempt: 1, hedge: 0, remainingMs: Number.POSITIVE_INFINITY, key: undefined, tried: ['a'] }
  expect(seen).toEqual(wanted)
})

test('a rejection as a value has no stack; thrown it has one', async () => {
  const breaker = circuitBreaker({ world: manualWorld() })
  breaker.forceOpen()
  const stock = policy('stock', breaker)
  const outcome = await stock.outcome(() => 1)
  expect(outcome.ok ? '' : (outcome.error as Error).stack).not.toContain('\n    at ')
  const thrown = await stock.run(() => 1).catch((error: Error) => error)
  expect((thrown as Error).stack).toContain('\n    at ')
  expect(Error.stackTraceLimit).toBeGreaterThan(0)
})

test('what the layers know goes through JSON into a policy with the same layers', async () => {
  const build = () => {
    const world = manualWorld()
    const breaker = circuitBreaker({ failures: 1, world })
    const limit = adaptiveLimit({ initial: 30, world })
    return { breaker, limit, stock: policy('stock', timeout(100, { world }), breaker, limit) }
  }
  const before = build()
  await before.stock.outcome(() => Promise.reject(Object.assign(new Error('busy'), { status: 503 })))
  const after = build()
  after.stock.restore(JSON.parse(JSON.stringify(before.stock.snapshot())))
  expect([after.breaker.state, after.limit.limit]).toEqual(['open', 27])
})

test.each([
  [null, 'the snapshot is null'],
  [{ version: 2 }, '"version" is 2, wanted 1'],
  [{ version: 1, layers: 1 }, '"layers" is no list'],
  [{ version: 1, layers: [{ index: 0, kind: 'bulkhead', state: {} }] }, 'layer 0 is "circuit-breaker", the snapshot\'s "bulkhead"'],
  [{ version: 1, layers: [{ index: 5, kind: 'circuit-breaker', state: {} }] }, 'layer 5 is missing'],
  [{ version: 1, layers: [null] }, 'layer undefined is missing'],
])('a damaged snapshot is refused: %j', (snapshot, message) => {
  const stock = policy('stock', circuitBreaker())
  expect(() => stock.restore(snapshot as PolicySnapshot)).toThrow(`cannot restore policy "stock": ${message}`)
})

function broken(): never {
  throw new Error('not to be read')
}

/** What `await` rejects, as it cannot be asked whether it is a promise. */
const untold: [string, () => unknown][] = [
  ['a value whose "then" cannot be read', () => Object.defineProperty({}, 'then', { get: broken })],
  ['a promise in a proxy', () => new Proxy(Promise.resolve(1), {})],
]

test.each(untold)('%s rejects as it would with await: places are given back, and others go on', async (_what, create) => {
  const world = manualWorld()
  const pool = bulkhead({ limit: 1, queue: 1, world })
  const limit = adaptiveLimit({ world })
  const stock = policy('stock', timeout(1_000, { world }), limit, pool)
  const { promise, resolve } = Promise.withResolvers<number>()
  const first = stock.outcome(() => promise)
  const waiting = stock.outcome(create)
  resolve(1)
  expect(await first).toMatchObject({ ok: true })
  expect(await waiting).toMatchObject({ ok: false, error: expect.any(Error) })
  expect(await stock.outcome(() => 2)).toMatchObject({ ok: true, value: 2 })
  expect([pool.active, limit.active]).toEqual([0, 0])
})

test.each(untold)('%s rejects behind a calm breaker, and is counted', async (_what, create) => {
  const world = manualWorld()
  const breaker = circuitBreaker({ world })
  await expect(policy('stock', breaker).run(create)).rejects.toThrow()
  expect(breaker.counts.failures).toBe(1)
})

test.each(untold)('%s in a later attempt does not end the process', async (_what, create) => {
  const world = manualWorld()
  const stock = policy('stock', retry({ attempts: 2, world }))
  const outcome = stock.outcome(({ attempt }) => (attempt === 1 ? Promise.reject(new Error('down')) : create()))
  await world.advance(10_000)
  expect(await outcome).toMatchObject({ ok: false, attempts: 2 })
})

test.each([
  ['behind a calm breaker', [circuitBreaker({ world: manualWorld() })]],
  ['without layers', []],
])('a promise of which another "then" was made is waited for as by await, %s', async (_what, layers) => {
  const odd = Object.defineProperty(Promise.resolve(1), 'then', { value: broken })
  expect(await policy('stock', ...layers).run(() => odd)).toBe(1)
})

test.each([
  ['', 'the name is empty'],
  [retry(), 'the name is [object Object], wanted a text'],
  [undefined, 'the name is undefined, wanted a text'],
])('a policy without a name is none: %o', (name, message) => {
  expect(() => policy(name as string, timeout(100))).toThrow(`cannot create policy: ${message}`)
})

test.each([
  [timeout, 'function'],
  [undefined, 'undefined'],
  [{}, 'object'],
])('what is no layer is refused by its place: %o', (layer, kind) => {
  expect(() => policy('stock', retry(), layer as never)).toThrow(`cannot create policy "stock": layer 2 is of type ${kind}, wanted a layer`)
})

test('what is no function is refused and neither retried nor counted', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, world })
  const message = 'cannot run "stock": the work is of type object, wanted a function that makes the call'
  const work = Promise.resolve(1) as unknown as () => number
  await expect(policy('stock', breaker).run(work)).rejects.toThrow(message)
  expect(await policy('stock', retry({ world }), breaker).outcome(work)).toMatchObject({ ok: false, attempts: 0, error: { message } })
  expect([breaker.state, world.pendingTimers()]).toEqual(['closed', 0])
})

test('a controller in place of its signal is refused by name', async () => {
  const signal = new AbortController() as unknown as AbortSignal
  const message = 'cannot run "stock": "signal" is of type object, wanted an AbortSignal'
  await expect(policy('stock').run(() => 1, { signal })).rejects.toThrow(message)
})
