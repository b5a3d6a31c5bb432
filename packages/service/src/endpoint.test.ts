import { CodedError, type Logger, manualWorld, type Operation, type Schema, silentLogger } from '@banyan/core'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import type { PlainRequest } from './read-request.ts'

function made() {
  const served = endpoint({ service: 'stock', world: manualWorld(), log: silentLogger, maxBodyBytes: 1_000 })
  const add = (name: string, operation: Operation) => served.add({ name, operation, answer: () => undefined })
  add('stock.get', { method: 'GET', path: '/stock/{sku}', protocols: ['grpc'] })
  add('stock.drop', { method: 'DELETE', path: '/stock/{sku}' })
  add('stock.both', { method: 'POST', path: '/stock', protocols: ['http', 'graphql'] })
  return served
}

const ask = (method: string, path: string) => ({
  service: 'stock',
  method,
  path,
  headers: {},
  body: undefined,
  signal: new AbortController().signal,
})

test('over a protocol there is what has it, and nothing tells of the rest', async () => {
  const served = made()
  const statuses = async (method: string, path: string) => [
    (await served.over('http')(ask(method, path))).status,
    (await served.over('grpc')(ask(method, path))).status,
    (await served.over('graphql')(ask(method, path))).status,
    (await served.handle(ask(method, path))).status,
  ]
  expect(await statuses('GET', '/stock/a')).toEqual([405, 204, 404, 204])
  expect(await statuses('DELETE', '/stock/a')).toEqual([204, 405, 404, 204])
  expect(await statuses('POST', '/stock')).toEqual([204, 404, 204, 204])
  expect((await served.over('http')(ask('GET', '/stock/a'))).headers).toMatchObject({ allow: 'DELETE' })
  expect([served.serves('stock.get'), served.serves('stock.put')]).toEqual([true, false])
})

/** A service whose one operation, `POST /do`, is answered so. */
function answering(answer: (request: PlainRequest) => unknown, operation: Partial<Operation> = {}) {
  const world = manualWorld()
  const lines: string[] = []
  const log: Logger = { ...silentLogger, error: (_, message) => void lines.push(message) }
  const served = endpoint({ service: 'stock', world, log, maxBodyBytes: 10_000_000 })
  served.add({ name: 'stock.do', operation: { method: 'POST', path: '/do', ...operation }, answer })
  return { world, lines, served, ask: async (more = {}) => served.handle({ ...ask('POST', '/do'), ...more }) }
}

/** Throws whatever one does with it. */
function untouchable(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

test('whatever a handler throws, at once or later, is answered, and runs no longer', async () => {
  const nameless = Object.defineProperty(new Error('nameless'), 'name', {
    get() {
      throw new Error('no name')
    },
  })
  for (const thrown of [untouchable(), nameless, null, Object.create(null)]) {
    for (const later of [false, true]) {
      const { ask, served, lines } = answering(() => {
        if (later) return Promise.reject(thrown)
        throw thrown
      })
      expect(await ask()).toMatchObject({ status: 500, body: expect.stringContaining('ERR_INTERNAL') })
      expect(lines).toHaveLength(1)
      expect(await served.idle(0)).toBe(true)
    }
  }
})

test('an error whose status is that of no error is one that has none', async () => {
  for (const status of [0, 99, 101, 200, 204, 302, 399, 600, 404.5, Number.NaN, Number.POSITIVE_INFINITY, '404' as never]) {
    const { ask, lines } = answering(() => {
      throw new CodedError('ERR_SECRET', 'secret', { status })
    })
    const { status: answered, body } = await ask()
    expect([status, answered, body.includes('secret')]).toEqual([status, 500, false])
    expect(lines).toEqual(['stock.do failed: secret'])
  }
})

test('a handler may give what is like a promise: it counts once, however often it answers', async () => {
  const twice = {
    // biome-ignore lint/suspicious/noThenProperty: what is like a promise is what is tried here
    then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
      resolve('a')
      resolve('b')
      reject(new Error('c'))
    },
  }
  const broken = {
    // biome-ignore lint/suspicious/noThenProperty: the same
    get then() {
      throw new Error('not to be waited for')
    },
  }
  const throwing = {
    // biome-ignore lint/suspicious/noThenProperty: the same
    then() {
      throw new Error('not to be waited for')
    },
  }
  const cases = [twice, broken, throwing].map((answer) => answering(() => answer))
  expect(await Promise.all(cases.map(async ({ ask }) => (await ask()).status))).toEqual([204, 500, 500])
  for (const { served, world } of cases) {
    const idle = served.idle(100)
    await world.advance(100)
    expect(await idle).toBe(true)
    expect(world.pendingTimers()).toBe(0)
  }
})

/** A schema whose answer comes by what is like a promise, as of another realm. */
function answeringLater(result: object): Schema {
  // biome-ignore lint/suspicious/noThenProperty: what is like a promise is what is tried here
  const later = { then: (resolve: (result: object) => void) => resolve(result) }
  return { '~standard': { version: 1, vendor: 'test', validate: () => later as never } }
}

test("a schema's answer is waited for also where it is no promise of this realm", async () => {
  const seen: unknown[] = []
  const sent = { headers: { 'content-type': 'application/json' }, body: '{"n":1}' }
  const good = answering(({ body }) => void seen.push(body), { body: answeringLater({ value: 'checked' }) })
  expect((await good.ask(sent)).status).toBe(204)
  const bad = answering(({ body }) => void seen.push(body), { body: answeringLater({ issues: [{ message: 'no' }] }) })
  expect((await bad.ask(sent)).status).toBe(422)
  expect(seen).toEqual(['checked'])
})

test("the request's time bounds a schema that takes longer, and the handler is not called after it", async () => {
  const checks: ((result: { value: unknown }) => void)[] = []
  const validate = () => new Promise<{ value: unknown }>((resolve) => void checks.push(resolve))
  const slow: Schema = { '~standard': { version: 1, vendor: 'test', validate } }
  const called: unknown[] = []
  const { ask, world, served } = answering(({ body }) => void called.push(body), { body: slow, timeoutMs: 1_000 })
  const statuses: number[] = []
  void ask().then(({ status }) => void statuses.push(status))
  await world.advance(1_000)
  expect(statuses).toEqual([504])
  for (const check of checks) check({ value: 1 })
  await world.advance(0)
  expect([checks.length, called, await served.idle(0)]).toEqual([1, [], true])
})

test('a name that comes very often in a query is read in as long as its text takes', async () => {
  const any: Schema = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
  const seen: unknown[] = []
  const { ask } = answering(({ query }) => void seen.push(query), { query: any })
  expect((await ask({ path: `/do?${'a=&'.repeat(100_000)}` })).status).toBe(204)
  expect(seen).toEqual([{ a: Array.from({ length: 100_000 }, () => '') }])
})

test('an error whose code or message is no text is answered like any other defect', async () => {
  for (const broken of [{ code: 1n }, { message: { toJSON: () => 1n } }]) {
    const error = Object.assign(new CodedError('ERR_FULL', 'full', { status: 409 }), broken)
    const { ask, lines } = answering(() => Promise.reject(error))
    const { status, body } = await ask()
    expect([status, JSON.parse(body).code, lines.length]).toEqual([500, 'ERR_INTERNAL', 1])
  }
})

test('a schema that fails later beside one that fails at once ends the request and nothing else', async () => {
  const unheard: unknown[] = []
  const note = (reason: unknown) => void unheard.push(reason)
  process.on('unhandledRejection', note)
  const failing = (validate: Schema['~standard']['validate']): Schema => ({ '~standard': { version: 1, vendor: 'test', validate } })
  const query = failing(async () => Promise.reject(new Error('later')))
  const body = failing(() => {
    throw new Error('at once')
  })
  const { ask, lines } = answering(() => undefined, { query, body })
  expect((await ask()).status).toBe(500)
  // Node tells of a rejection that nobody heard once the microtasks are done.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', note)
  expect([unheard, lines]).toEqual([[], ['stock.do failed: at once']])
})

test('an answer with a field that is called "refused" is an answer where the contract knows no refusals and names that field', async () => {
  const kept = z.object({ refused: z.string(), at: z.number() })
  const answered = async (answer: object, operation: Partial<Operation>) => {
    const { status, body } = await answering(() => answer, operation).ask()
    return [status, JSON.parse(body)]
  }
  const visa = { refused: 'in May', at: 5 }
  expect(await answered(visa, { response: kept })).toEqual([200, visa])
  const refusal = [409, expect.objectContaining({ code: 'in May', refused: true })]
  expect(await answered(visa, { response: kept, refusals: ['in May'] })).toEqual(refusal)
  // Said all the same, it is no good answer.
  expect(await answered(visa, { response: z.object({ at: z.number().optional() }) })).toEqual(refusal)
  expect(await answered(visa, { response: z.object({ left: z.number() }) })).toEqual(refusal)
  expect(await answered(visa, {})).toEqual(refusal)
})
