import { api, manualWorld, refuse, sleep } from '@banyan/core'
import { expect, expectTypeOf, test, vi } from 'vitest'
import { z } from 'zod'
import { type Client, client } from './client.ts'
import { defaultPolicy } from './client-defaults.ts'
import { ServiceError } from './errors.ts'
import { problemResponse } from './problem.ts'
import { requestScope, runInScope, timeoutOf } from './request-scope.ts'
import type { Transport, TransportRequest, TransportResponse } from './transport.ts'

const stock = api('inventory', {
  operations: {
    reserve: {
      method: 'POST',
      path: '/reservations',
      body: z.object({ quantity: z.int() }),
      response: z.object({ reserved: z.int() }),
      refusals: ['out-of-stock'],
      idempotencyKey: 'required',
    },
    adjust: { method: 'POST', path: '/stock/{id}', body: z.object({ by: z.int() }) },
    look: {
      method: 'GET',
      path: '/stock/{id}',
      query: z.object({ tag: z.array(z.string()).optional() }).optional(),
      response: z.object({ n: z.int() }),
    },
  },
})

type Answer = TransportResponse | Error | ((request: TransportRequest) => Promise<TransportResponse>)

function setup(...answers: Answer[]) {
  const world = manualWorld()
  const requests: TransportRequest[] = []
  const transport: Transport = {
    async call(request) {
      requests.push(request)
      const next = answers.length > 1 ? answers.shift() : answers[0]
      if (next instanceof Error) throw next
      if (typeof next === 'function') return next(request)
      return next ?? ok({})
    },
    async close() {},
  }
  const inventory: Client<typeof stock> = client(stock, { transport, world })
  /** What a call ends with, while time passes. */
  async function ending<T>(call: Promise<T>): Promise<{ value?: T; error?: ServiceError }> {
    const ended = call.then(
      (value) => ({ value }),
      (error: ServiceError) => ({ error }),
    )
    await world.advance(60_000)
    return ended
  }
  return { world, requests, transport, inventory, ending }
}

const ok = (value: unknown): TransportResponse => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})
const down = () => new ServiceError('ERR_SERVICE_UNAVAILABLE', 'no answer from "inventory"', { status: 503 })
const problem = (status: number, code = 'ERR_X', extra = {}) => problemResponse({ status, code, detail: 'why', ...extra })

test('a call is path, query, key, JSON and the time it has', async () => {
  const { requests, inventory } = setup(ok({ n: 3 }))
  expect(await inventory.look({ params: { id: 'a/b ü' }, query: { tag: ['x', 'y z'] } })).toEqual({ n: 3 })
  expect(requests[0]).toMatchObject({
    service: 'inventory',
    method: 'GET',
    path: '/stock/a%2Fb%20%C3%BC?tag=x&tag=y+z',
    body: undefined,
    headers: { 'x-timeout-ms': '5000', accept: expect.stringContaining('application/json') },
  })
  const other = setup(ok({ reserved: 1 }))
  await other.inventory.reserve({ body: { quantity: 1 }, key: 'k-1' }, { timeoutMs: 750 })
  expect(other.requests[0]).toMatchObject({
    body: '{"quantity":1}',
    headers: { 'content-type': 'application/json', 'idempotency-key': 'k-1', 'x-timeout-ms': '750' },
  })
})

test('inputs and outputs have the types of the contract', () => {
  const { inventory } = setup()
  expectTypeOf<Parameters<typeof inventory.reserve>[0]['body']>().toEqualTypeOf<{ quantity: number }>()
  expectTypeOf<Awaited<ReturnType<typeof inventory.look>>>().toEqualTypeOf<{ n: number }>()
  // @ts-expect-error the key is required
  const withoutKey = () => inventory.reserve({ body: { quantity: 1 } })
  // @ts-expect-error so are the parameters
  const withoutParams = () => inventory.look()
  expect([withoutKey, withoutParams]).toHaveLength(2)
})

test('a refusal is a value, called once', async () => {
  const { requests, inventory } = setup(problem(409, 'out-of-stock', { refused: true }))
  const answer = await inventory.reserve({ body: { quantity: 9 }, key: 'k' })
  expect(answer).toEqual(refuse('out-of-stock', 'why'))
  expect(requests).toHaveLength(1)
})

test('a conflict that is no refusal is an error', async () => {
  const { inventory, ending } = setup(problem(409, 'ERR_STALE'))
  const { error } = await ending(inventory.reserve({ body: { quantity: 9 }, key: 'k' }))
  expect(error).toMatchObject({ code: 'ERR_PROBLEM', status: 409, problem: { code: 'ERR_STALE', detail: 'why' } })
  expect(error?.message).toBe('inventory.reserve answered 409 ERR_STALE: why')
})

test('a conflict that says when to ask again tells the caller so, who may try later', async () => {
  const { inventory, ending, requests } = setup(problem(409, 'ERR_LOCKED', { retryAfterMs: 1_000 }))
  const { error } = await ending(inventory.reserve({ body: { quantity: 9 }, key: 'k' }))
  expect(error).toMatchObject({ code: 'ERR_PROBLEM', status: 409, retryAfterMs: 1_000 })
  expect(requests).toHaveLength(1)
})

test('what may be repeated is tried three times, with a fresh time left', async () => {
  const { world, requests, inventory } = setup(down(), problem(503), ok({ n: 1 }))
  const call = inventory.look({ params: { id: '1' } })
  await world.advance(4_000)
  expect(await call).toEqual({ n: 1 })
  const left = requests.map((request) => Number(request.headers['x-timeout-ms']))
  expect(left[0]).toBe(5_000)
  expect(left[2]).toBeLessThan(5_000)
  expect(new Set(requests.map((request) => request.tried)).size).toBe(1)
})

test('Retry-After is waited for in full; one that is too long for a call is handed to the caller at once', async () => {
  const later = (seconds: number) => problem(503, 'ERR_BUSY', { retryAfterMs: seconds * 1_000 })
  const { world, requests, inventory } = setup(later(2), ok({ n: 1 }))
  const call = inventory.look({ params: { id: '1' } })
  await world.advance(1_999)
  expect(requests).toHaveLength(1)
  await world.advance(1_001)
  expect(await call).toEqual({ n: 1 })
  const long = setup(later(60))
  const { error } = await long.ending(long.inventory.look({ params: { id: '1' } }))
  expect(error).toMatchObject({ code: 'ERR_PROBLEM', status: 503, retryAfterMs: 60_000 })
  expect(long.requests).toHaveLength(1)
})

test('an attempt for which no time is left is not made', async () => {
  const world = manualWorld()
  const calls: number[] = []
  const transport: Transport = { call: async () => ok({ n: calls.push(1) }), async close() {} }
  const run = vi.fn((work) => work({ signal: new AbortController().signal, attempt: 2, remainingMs: 0, key: undefined }))
  const own = client(stock, { transport, world, policy: { ...defaultPolicy('inventory', world), run } })
  await expect(own.look({ params: { id: '1' } })).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT', status: 504 })
  expect(calls).toEqual([])
})

test('a POST with a key is repeated, one without is not', async () => {
  const keyed = setup(problem(500))
  expect((await keyed.ending(keyed.inventory.reserve({ body: { quantity: 1 }, key: 'k' }))).error).toMatchObject({ status: 500 })
  expect(keyed.requests).toHaveLength(3)
  const plain = setup(problem(500))
  expect((await plain.ending(plain.inventory.adjust({ params: { id: '1' }, body: { by: 1 } }))).error).toMatchObject({ status: 500 })
  expect(plain.requests).toHaveLength(1)
})

test('a POST without a key is repeated when it was never sent', async () => {
  const refused = new ServiceError('ERR_SERVICE_UNAVAILABLE', 'refused', {
    status: 503,
    cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
  })
  const { requests, inventory, ending } = setup(refused, { status: 204, headers: {}, body: '' })
  expect(await ending(inventory.adjust({ params: { id: '1' }, body: { by: 1 } }))).toEqual({ value: undefined })
  expect(requests).toHaveLength(2)
})

test('a caller at fault is told at once, and never opens the breaker', async () => {
  const { requests, inventory, ending } = setup(problem(422))
  for (let i = 0; i < 60; i += 1) {
    expect((await ending(inventory.look({ params: { id: '1' } }))).error).toMatchObject({ code: 'ERR_PROBLEM', status: 422 })
  }
  expect(requests).toHaveLength(60)
})

test('a service that keeps failing is left alone: the breaker answers, with a hint when to come back', async () => {
  const { requests, inventory } = setup(down())
  const errors = await Promise.all(
    Array.from({ length: 40 }, () => inventory.adjust({ params: { id: '1' }, body: { by: 1 } }).catch((error) => error)),
  )
  const after = await inventory.adjust({ params: { id: '1' }, body: { by: 1 } }).catch((error) => error)
  expect(errors.every((error) => error.code === 'ERR_SERVICE_UNAVAILABLE')).toBe(true)
  expect(after).toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE', status: 503, retryAfterMs: expect.any(Number) })
  expect(after.message).toContain('inventory.adjust was not called')
  expect(requests.length).toBeLessThanOrEqual(40)
})

test('an answer outside the contract is an error that is not tried again', async () => {
  const { requests, inventory, ending } = setup(ok({ n: 'three' }))
  const { error } = await ending(inventory.look({ params: { id: '1' } }))
  expect(error).toMatchObject({ code: 'ERR_RESPONSE_INVALID', issues: [{ path: 'n' }] })
  expect(requests).toHaveLength(1)
  const html = setup({ status: 200, headers: {}, body: '<html>' })
  expect((await html.ending(html.inventory.look({ params: { id: '1' } }))).error).toMatchObject({ code: 'ERR_RESPONSE_INVALID' })
})

test('a call that takes too long ends with its time, and the transport hears of it', async () => {
  const { world, requests, inventory } = setup((request) => sleep(world, 1e9, request.signal).then(() => ok({})))
  const call = inventory.look({ params: { id: '1' } }, { timeoutMs: 300 })
  const error = expect(call).rejects.toMatchObject({
    code: 'ERR_REQUEST_TIMEOUT',
    status: 504,
    message: 'inventory.look did not answer within 300 ms',
  })
  await world.advance(300)
  await error
  expect(requests[0]?.signal.aborted).toBe(true)
})

test('inside a handler, the time that the request has left is the bound, and its signal ends the call', async () => {
  const { world, requests, inventory } = setup((request) => sleep(world, 1e9, request.signal).then(() => ok({})))
  const caller = new AbortController()
  const scope = requestScope({ world, service: 'orders', traceId: () => 't', caller: () => caller.signal }, 120)
  await world.advance(20)
  const late = runInScope(scope, () => inventory.look({ params: { id: '1' } }))
  const outOfTime = expect(late).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' })
  await world.advance(100)
  await outOfTime
  expect(requests[0]?.headers['x-timeout-ms']).toBe('100')

  const other = requestScope({ world, service: 'orders', traceId: () => 't', caller: () => caller.signal }, 1_000)
  const left = runInScope(other, () => inventory.look({ params: { id: '1' } }))
  const gone = expect(left).rejects.toBe('hung up')
  await world.advance(0)
  caller.abort('hung up')
  await gone
})

test("the caller's own signal ends the call with its reason", async () => {
  const { world, inventory } = setup((request) => sleep(world, 1e9, request.signal).then(() => ok({})))
  const abort = new AbortController()
  const call = expect(inventory.look({ params: { id: '1' } }, { signal: abort.signal })).rejects.toBe('changed my mind')
  await world.advance(10)
  abort.abort('changed my mind')
  await call
  expect(world.pendingTimers()).toBe(0)
})

test("a parameter that cannot stand in a path is refused before it becomes another service's path", async () => {
  const { requests, inventory } = setup(ok({ n: 1 }))
  for (const id of ['', '.', '..']) {
    await expect(inventory.look({ params: { id } })).rejects.toMatchObject({ code: 'ERR_REQUEST_INVALID', status: 400 })
  }
  expect(requests).toHaveLength(0)
})

test('a policy of your own replaces the default one', async () => {
  const { transport, world, requests } = setup(problem(500))
  const run = vi.fn((work) => work({ signal: new AbortController().signal, attempt: 1, remainingMs: 99.2, key: undefined }))
  const own = client(stock, { transport, world, policy: { ...defaultPolicy('inventory', world), run } })
  await expect(own.look({ params: { id: '1' } })).rejects.toMatchObject({ status: 500 })
  expect(run).toHaveBeenCalledWith(expect.any(Function), expect.objectContaining({ idempotent: true, deadlineMs: 5_000 }))
  expect(requests[0]?.headers['x-timeout-ms']).toBe('100')
})

test('the default policy repeats at most three times, outside the breaker', () => {
  const { order, maxAttempts } = defaultPolicy('inventory', manualWorld()).explain()
  expect(maxAttempts).toBe(3)
  expect(order.map((layer) => layer.split(/\W/)[0])).toEqual(['retry', 'circuit', 'bulkhead'])
})

test('an input that cannot be sent is refused before anything is, and held against nobody', async () => {
  const { requests, inventory } = setup(ok({}))
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const calls = [
    ...['', 'two\nlines', 'Schlüssel', 'a b', 'k'.repeat(256)].map((key) => inventory.reserve({ body: { quantity: 1 }, key })),
    inventory.adjust({ params: { id: 'a' }, body: { by: 1n as never } }),
    inventory.adjust({ params: { id: 'a' }, body: circle as never }),
    inventory.adjust({ params: { id: '\ud800' }, body: { by: 1 } }),
    inventory.look({ params: { id: 'a' }, query: { tag: [Object.create(null)] } }),
    inventory.look({ params: { id: 'a' }, query: { tag: { not: 'x' } as never } }),
    inventory.look({ params: { id: 'a' }, query: { tag: new Date(Number.NaN) as never } }),
  ]
  for (const call of calls) await expect(call).rejects.toMatchObject({ name: 'ServiceError', code: 'ERR_REQUEST_INVALID' })
  expect(requests).toEqual([])
})

test('a time in a query is told to the millisecond, as in a body', async () => {
  const { requests, inventory } = setup(ok({ n: 1 }))
  const time = new Date('2026-01-02T03:04:05.678Z')
  await inventory.look({ params: { id: 'a' }, query: { tag: [time, 7, true] as never } })
  expect(requests[0]?.path).toBe('/stock/a?tag=2026-01-02T03%3A04%3A05.678Z&tag=7&tag=true')
})

test('a call may have all the time there is', async () => {
  const { requests, inventory } = setup(ok({ n: 1 }))
  for (const timeoutMs of [Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE]) {
    expect(await inventory.look({ params: { id: 'a' } }, { timeoutMs })).toEqual({ n: 1 })
    expect(timeoutOf(requests.at(-1)?.headers ?? {}, 1)).toBe(60_000)
  }
})

test('a problem whose members are of no use is told of all the same', async () => {
  const answer = (status: number, members: object) => ({ ...problem(status), body: JSON.stringify({ code: 'ERR_X', ...members }) })
  for (const detail of [{ toString: 1, valueOf: 1 }, ['a'], 7, null]) {
    const { inventory, ending } = setup(answer(422, { detail, errors: 'all' }))
    const { error } = await ending(inventory.look({ params: { id: 'a' } }))
    expect(error).toMatchObject({ code: 'ERR_PROBLEM', message: 'inventory.look answered 422 ERR_X' })
    expect(error?.problem).not.toHaveProperty('detail')
    const refusing = setup(answer(409, { detail, refused: true }))
    expect(await refusing.inventory.reserve({ body: { quantity: 1 }, key: 'k' })).toEqual({ refused: 'ERR_X' })
  }
})
