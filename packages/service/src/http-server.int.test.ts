import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { api, CodedError, type Logger, refuse, silentLogger } from '@banyan/core'
import fc from 'fast-check'
import { basicAuth } from 'hono/basic-auth'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { ServiceError } from './errors.ts'
import type { Problem } from './problem.ts'
import { routes, serve } from './serve.ts'
import { type Service, service } from './service.ts'

const shelf = api('shelf', {
  operations: {
    put: {
      method: 'PUT',
      path: '/shelf/{id}',
      query: z.strictObject({ tag: z.union([z.string(), z.array(z.string())]).optional() }),
      body: z.strictObject({ quantity: z.int().min(1).max(1_000) }),
      response: z.object({ id: z.string(), quantity: z.int(), note: z.string().default('none') }),
    },
    add: {
      method: 'POST',
      path: '/shelf',
      body: z.unknown().optional(),
      response: z.object({ key: z.string() }),
      status: 201,
      refusals: ['full'],
      idempotencyKey: 'required',
    },
    get: { method: 'GET', path: '/shelf/{id}', response: z.object({ id: z.string() }), timeoutMs: 200 },
    drop: { method: 'DELETE', path: '/shelf/{id}' },
  },
})

let it: Service
let url: string
const errors: string[] = []
const log: Logger = { ...silentLogger, error: (_, message) => void errors.push(message) }

beforeAll(async () => {
  it = service('shelf', { log, maxBodyBytes: 1_000 })
  it.use(
    routes((app) => {
      app.get('/version', (context) => context.text('7'))
      app.get('/broken', () => {
        throw new Error('secret')
      })
      app.get('/text', () => {
        throw 'secret'
      })
      app.get('/members', basicAuth({ username: 'a', password: 'b' }), (context) => context.text('in'))
    }),
  )
  it.use(
    serve(shelf, {
      // A field too many, as databases give: it stays inside.
      put: ({ params, body }) => ({ id: params.id, quantity: body.quantity, password: 'secret' }),
      add: ({ key }) => (key === 'full' ? refuse('full', 'no room') : { key }),
      async get({ params }, { signal, traceId }) {
        if (params.id === 'missing') throw new CodedError('ERR_UNKNOWN', 'there is no "missing"', { status: 404 })
        if (params.id === 'busy') throw new CodedError('ERR_BUSY', 'later', { status: 503, retryAfterMs: 1_500 })
        if (params.id === 'broken') throw new Error('secret')
        if (params.id === 'realm') throw new ServiceError('ERR_REQUEST_INVALID', 'who?', { status: 401, headers: { realm: 'łódź' } })
        if (params.id === 'wrong') return { id: 7 as never }
        if (params.id === 'slow') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        return { id: params.id === 'trace' ? traceId : params.id }
      },
      drop: () => {},
    }),
  )
  url = (await it.start()).url
})
afterAll(() => it.stop())

const json = { 'content-type': 'application/json' }

/** The status and the problem of a request; the problem's form is checked. */
async function problem(path: string, init: RequestInit = {}): Promise<Problem & { headers: Headers }> {
  const response = await fetch(url + path, init)
  const body = (await response.json()) as Problem
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(body).toMatchObject({
    type: 'about:blank',
    title: expect.any(String),
    status: response.status,
    detail: expect.any(String),
    instance: expect.any(String),
  })
  expect(body.code).toMatch(/^(ERR_[A-Z_]+|full)$/)
  expect(body.traceId).toMatch(/^[0-9a-f]{32}$/)
  expect(JSON.stringify(body)).not.toMatch(/secret|\.ts:/)
  return { ...body, headers: response.headers }
}

const put = (body: NonNullable<RequestInit['body']>, headers: Record<string, string> = json) =>
  problem('/shelf/a', { method: 'PUT', body, headers })

test('a good answer holds what the contract names, with its defaults', async () => {
  const response = await fetch(`${url}/shelf/a%2Fb?tag=x`, { method: 'PUT', body: '{"quantity":2}', headers: json })
  expect([response.status, await response.json()]).toEqual([200, { id: 'a/b', quantity: 2, note: 'none' }])
  const added = await fetch(`${url}/shelf`, { method: 'POST', headers: { 'idempotency-key': 'k' } })
  expect([added.status, await added.json()]).toEqual([201, { key: 'k' }])
  const dropped = await fetch(`${url}/shelf/a`, { method: 'DELETE' })
  expect([dropped.status, await dropped.text()]).toEqual([204, ''])
})

test('HEAD answers as GET does, without a body', async () => {
  const response = await fetch(`${url}/shelf/a`, { method: 'HEAD' })
  expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, 'application/json', ''])
})

test('malformed JSON is 400 and says where', async () => {
  expect(await put('{"quantity": 1,}')).toMatchObject({
    status: 400,
    code: 'ERR_JSON_INVALID',
    detail: expect.stringContaining('at position 15 (line 1 column 16)'),
  })
})

test('another content type is 415, JSON with a suffix or a charset is none', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1', 'application/jsonx'])
    expect(await put('{"quantity":1}', { 'content-type': type })).toMatchObject({ status: 415, code: 'ERR_CONTENT_TYPE' })
  for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/merge-patch+json']) {
    const response = await fetch(`${url}/shelf/a`, { method: 'PUT', body: '{"quantity":1}', headers: { 'content-type': type } })
    expect([type, response.status]).toEqual([type, 200])
  }
})

test('what breaks the contract is 422, every field named', async () => {
  const wrong = await problem('/shelf/a?tag=a&extra=1', { method: 'PUT', body: '{"quantity":0,"color":"red"}', headers: json })
  expect(wrong).toMatchObject({ status: 422, code: 'ERR_REQUEST_INVALID' })
  expect(wrong.errors?.map(({ path }) => path)).toEqual(['query', 'body.quantity', 'body'])
  expect((await put('{"quantity":1e9}')).errors).toEqual([{ path: 'body.quantity', message: expect.any(String) }])
  expect((await put('')).errors).toEqual([{ path: 'body', message: expect.any(String) }])
})

test('a body over the limit is 413, with or without a length', async () => {
  const large = JSON.stringify({ quantity: 1, pad: 'x'.repeat(1_000) })
  expect(await put(large)).toMatchObject({ status: 413, code: 'ERR_BODY_TOO_LARGE', detail: 'the body is larger than 1000 bytes' })
  const stream = new Blob([large]).stream()
  const init = { method: 'PUT', body: stream, headers: json, duplex: 'half' } as RequestInit
  expect(await problem('/shelf/a', init)).toMatchObject({ status: 413 })
})

test('a body without an end is refused as soon as it is too long', async () => {
  const head = 'PUT /shelf/a HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n'
  expect(await raw(`${head}5dc\r\n${'x'.repeat(1_500)}\r\n`)).toMatch(/^HTTP\/1\.1 413 /)
})

test('a body in pieces is put together, one that is no UTF-8 is 400', async () => {
  const stream = new Blob(['{"quan', 'tity":4}']).stream()
  const init = { method: 'PUT', body: stream, headers: json, duplex: 'half' } as RequestInit
  expect(await (await fetch(`${url}/shelf/a`, init)).json()).toMatchObject({ quantity: 4 })
  expect(await put(new Uint8Array([0x22, 0xff, 0xfe, 0x22]))).toMatchObject({ status: 400, detail: 'the body is not UTF-8' })
})

test('a key that is required is asked for, and checked', async () => {
  expect(await problem('/shelf', { method: 'POST' })).toMatchObject({ status: 400, code: 'ERR_IDEMPOTENCY_KEY_REQUIRED' })
  for (const key of ['', 'two words', 'x'.repeat(256)])
    expect(await problem('/shelf', { method: 'POST', headers: { 'idempotency-key': key } })).toMatchObject({
      status: 400,
      code: 'ERR_IDEMPOTENCY_KEY_INVALID',
    })
})

test('a refusal is 409 with the reason as its code', async () => {
  expect(await problem('/shelf', { method: 'POST', headers: { 'idempotency-key': 'full' } })).toMatchObject({
    status: 409,
    code: 'full',
    detail: 'no room',
    refused: true,
  })
})

test('an unknown path is 404, a wrong method 405 with what is allowed, a malformed path 400', async () => {
  expect(await problem('/shelves?x=1')).toMatchObject({ status: 404, code: 'ERR_ROUTE_UNKNOWN', instance: '/shelves' })
  const wrong = await problem('/shelf/a', { method: 'PATCH' })
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'PUT, GET, DELETE, HEAD'])
  expect(await problem('/shelf/%E0%A4%A')).toMatchObject({ status: 400, code: 'ERR_PATH_INVALID' })
})

test('errors with a status are told, others are logged and hidden', async () => {
  expect(await problem('/shelf/missing')).toMatchObject({ status: 404, code: 'ERR_UNKNOWN', detail: 'there is no "missing"' })
  const busy = await problem('/shelf/busy')
  expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '2'])
  errors.length = 0
  expect(await problem('/shelf/broken')).toMatchObject({ status: 500, code: 'ERR_INTERNAL' })
  expect(await problem('/shelf/wrong')).toMatchObject({ status: 500, code: 'ERR_INTERNAL' })
  expect(await problem('/broken')).toMatchObject({ status: 500, code: 'ERR_INTERNAL' })
  expect(await problem('/shelf/realm')).toMatchObject({ status: 500, code: 'ERR_INTERNAL' })
  expect(errors).toEqual([
    'shelf.get failed: secret',
    expect.stringMatching(/^shelf\.get failed: the handler of "shelf\.get" broke its contract: id: /),
    'a route of "shelf" failed: secret',
    'shelf.get failed: cannot create ServiceError: the header "realm" is "łódź", wanted what a header can say',
  ])
})

test('time that runs out is 504, sooner if the caller says so', async () => {
  expect(await problem('/shelf/slow')).toMatchObject({ status: 504, code: 'ERR_REQUEST_TIMEOUT' })
  const before = performance.now()
  expect(await problem('/shelf/slow', { headers: { 'x-timeout-ms': '20' } })).toMatchObject({ status: 504 })
  expect(performance.now() - before).toBeLessThan(180)
  expect(await problem('/shelf/slow', { headers: { 'x-timeout-ms': '0' } })).toMatchObject({ status: 504 })
  expect(await problem('/shelf/slow', { headers: { 'x-timeout-ms': 'soon' } })).toMatchObject({ status: 400, code: 'ERR_TIMEOUT_INVALID' })
})

test('own routes stand beside the contract', async () => {
  expect(await (await fetch(`${url}/version`)).text()).toBe('7')
})

test("a middleware of the user's goes before the contract, and so does a route of theirs on the same path", async () => {
  const guarded = service('shelf', { drainMs: 0 })
  guarded.use(
    routes((app) => {
      app.use('/shelf/:id', async (context, next) => {
        if (context.req.header('authorization') !== 'Bearer x') return context.text('who are you?', 401)
        await next()
        context.header('x-guarded', 'yes')
      })
      app.get('/shelf/special', (context) => context.text('mine'))
    }),
  )
  guarded.use(
    serve(shelf, {
      put: ({ params, body }) => ({ id: params.id, quantity: body.quantity }),
      add: ({ key }) => ({ key }),
      get: ({ params }) => ({ id: params.id }),
      drop: () => {},
    }),
  )
  const at = (await guarded.start()).url
  try {
    const headers = { authorization: 'Bearer x' }
    expect((await fetch(`${at}/shelf/a`)).status).toBe(401)
    const good = await fetch(`${at}/shelf/a`, { headers })
    expect([await good.json(), good.headers.get('x-guarded')]).toEqual([{ id: 'a' }, 'yes'])
    expect(await (await fetch(`${at}/shelf/special`, { headers })).text()).toBe('mine')
    // Where no middleware is on the way, the contract answers by itself.
    const added = await fetch(`${at}/shelf`, { method: 'POST', headers: { 'idempotency-key': 'k' } })
    expect([added.status, await added.json()]).toEqual([201, { key: 'k' }])
  } finally {
    await guarded.stop()
  }
})

test("a word of a path in other letters is no way around a middleware of the user's", async () => {
  const mine = api('mine', { operations: { me: { method: 'GET', path: '/items/@me', response: z.string() } } })
  const guarded = service('mine', { drainMs: 0 })
  guarded.use(routes((app) => app.use('/items/@me', async (context) => context.text('who are you?', 401))))
  guarded.use(serve(mine, { me: () => 'secret' }))
  const at = (await guarded.start()).url
  try {
    const statuses = await Promise.all(['@me', '%40me', '@%6De'].map(async (word) => (await fetch(`${at}/items/${word}`)).status))
    expect(statuses).toEqual([401, 404, 401])
  } finally {
    await guarded.stop()
  }
})

test('an answer given while the server closes says that it was the last on its connection', async () => {
  const closing = service('shelf', { drainMs: 0 })
  let arrived = false
  closing.use(
    routes((app) =>
      app.get('/slow', async (context) => {
        arrived = true
        await vi.waitUntil(() => closing.phase === 'draining')
        return context.text('done')
      }),
    ),
  )
  const { port } = await closing.start()
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /slow HTTP/1.1\r\nhost: a\r\n\r\n')
  await vi.waitUntil(() => arrived)
  const [answer] = await Promise.all([text(socket), closing.stop()])
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n.*connection: close\r\n.*done$/is)
})

/** What the server answers to these bytes. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write(bytes)
  return text(socket)
}

test('bytes that are no HTTP, a header that is too long and a bad host get a problem too', async () => {
  const garbage = await raw('HELLO\r\n\r\n')
  expect(garbage).toMatch(/^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json/)
  const overflow = await raw(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)
  expect(overflow).toMatch(/^HTTP\/1\.1 431 .*"code":"ERR_HTTP_MALFORMED"/s)
  const host = await raw('GET /shelf/a HTTP/1.1\r\nhost: a b/c\r\nconnection: close\r\n\r\n')
  expect(host).toMatch(/^HTTP\/1\.1 400 .*"code":"ERR_HTTP_MALFORMED"/s)
})

test('HTTP/1.0, which needs no host, is answered: some health checks speak it', async () => {
  expect(await raw('GET /health/live HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 .*"alive"/s)
  expect(await raw('GET /shelf/a HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 .*"id":"a"/s)
  expect(await raw('GET /shelf/a HTTP/1.1\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
})

test('a client that breaks off in the middle of its body leaves no trace but its own', async () => {
  errors.length = 0
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write('PUT /shelf/a HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"quan')
  socket.destroy()
  expect((await fetch(`${url}/shelf/a`)).status).toBe(200)
  expect(errors).toEqual([])
})

test('whatever is sent, the answer is good or a problem of the 400s, soon, and never a 500', async () => {
  const path = fc.oneof(fc.constantFrom('/shelf', '/shelf/a', '/shelf/%', '/', '//', '/shelf/a?tag=%ff&tag', '/shelf/..'), fc.webPath())
  const contentType = fc.constantFrom('application/json', 'text/plain', 'application/json; charset=utf-8', 'multipart/form-data', undefined)
  const body = fc.oneof(
    fc.string({ maxLength: 1_200 }),
    fc.json(),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(
      '{"quantity":1}',
      '{"__proto__":{"quantity":1}}',
      '['.repeat(900),
      '{"quantity":1e999}',
      '\ufeff{"quantity":1}',
      'null',
    ),
  )
  const request = fc.record({
    path,
    contentType,
    body,
    method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'),
    key: fc.option(fc.constantFrom('k', '', 'x'.repeat(300)), { nil: undefined }),
    time: fc.constantFrom(undefined, '1000', '-1', 'x'),
  })
  errors.length = 0
  await fc.assert(
    fc.asyncProperty(request, async ({ path, contentType, body, method, key, time }) => {
      const response = await fetch(url + path, {
        method,
        signal: AbortSignal.timeout(5_000),
        ...(method !== 'GET' && { body: body as NonNullable<RequestInit['body']> }),
        headers: {
          ...(contentType && { 'content-type': contentType }),
          ...(key !== undefined && { 'idempotency-key': key }),
          ...(time && { 'x-timeout-ms': time }),
        },
      })
      const answer = await response.text()
      expect(response.status).toBeLessThan(500)
      if (response.status < 400) return
      expect(response.headers.get('content-type')).toBe('application/problem+json')
      expect(JSON.parse(answer)).toMatchObject({
        status: response.status,
        code: expect.stringMatching(/^ERR_/),
        traceId: expect.any(String),
      })
    }),
    { numRuns: 400 },
  )
  expect(errors).toEqual([])
})

test("what Hono's own middleware answers is its answer", async () => {
  const { status, headers } = await fetch(`${url}/members`)
  expect([status, headers.get('www-authenticate')]).toEqual([401, 'Basic realm="Secure Area"'])
  expect((await fetch(`${url}/members`, { headers: { authorization: `Basic ${btoa('a:b')}` } })).status).toBe(200)
})

test('a route that throws what is no error fails, too, and is logged', async () => {
  errors.length = 0
  const response = await fetch(`${url}/text`)
  const problem = (await response.json()) as Problem
  expect([response.status, problem.code, JSON.stringify(problem).includes('secret')]).toEqual([500, 'ERR_INTERNAL', false])
  expect(errors).toEqual(['a route of "shelf" failed: secret'])
})
