import { connect } from 'node:net'
import { api, CodedError, type Logger, refuse } from '@banyan/core'
import { serve, service } from '@banyan/service'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { type GraphqlOptions, graphql } from './index.ts'

const Item = z.object({ sku: z.string(), left: z.int(), parent: z.object({ sku: z.string() }).optional() }).meta({ title: 'Item' })

const stockApi = api('stock', {
  operations: {
    list: {
      method: 'GET',
      path: '/stock',
      query: z.object({ page: z.coerce.number().default(1) }),
      response: z.array(Item),
      protocols: ['http', 'graphql'],
    },
    item: { method: 'GET', path: '/stock/{sku}', response: Item, protocols: ['graphql'] },
    slow: { method: 'GET', path: '/slow', response: z.number(), protocols: ['graphql'] },
    reserve: {
      method: 'POST',
      path: '/stock/{sku}/reservations',
      body: z.strictObject({ quantity: z.int().min(1), note: z.string().optional() }),
      response: Item,
      refusals: ['sold-out'],
      idempotencyKey: 'required',
      protocols: ['http', 'graphql'],
    },
    drop: { method: 'DELETE', path: '/stock/{sku}', protocols: ['graphql'] },
  },
})

const open: { stop(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop()
})

interface Answer {
  status: number
  text: string
  data?: Record<string, unknown> | null
  errors?: { message: string; path?: unknown[]; extensions?: Record<string, unknown> }[]
}

async function opened(options: Partial<GraphqlOptions> = {}) {
  const keys: (string | undefined)[] = []
  const traces: (string | undefined)[] = []
  const logged: string[] = []
  const aborted = Promise.withResolvers<unknown>()
  const running = Promise.withResolvers<void>()
  const keep = (_: object, message: string) => void logged.push(message)
  const log: Logger = { debug() {}, info() {}, warn: keep, error: keep }
  const stock = service('stock', { drainMs: 0, log })
  stock.use(
    serve(stockApi, {
      list: ({ query }) => Array.from({ length: 2 }, (_, index) => ({ sku: `page-${query.page}-${index}`, left: index, hidden: 'inside' })),
      item({ params, headers }) {
        traces.push(headers.traceparent)
        if (params.sku === 'none') throw new CodedError('ERR_NONE', 'there is no "none"', { status: 404 })
        if (params.sku === 'defect') throw new Error('secret')
        return { sku: params.sku, left: 3 }
      },
      async slow(_, { signal, remainingMs }) {
        running.resolve()
        signal.addEventListener('abort', () => aborted.resolve(signal.reason))
        await aborted.promise
        return remainingMs
      },
      reserve({ params, body, key }) {
        keys.push(key)
        return body.quantity > 10 ? refuse('sold-out', 'only 10 left') : { sku: params.sku, left: 10 - body.quantity }
      },
      drop: () => {},
    }),
  )
  stock.use(graphql({ contracts: [stockApi], ...options }))
  const { url, port } = await stock.start()
  open.push(stock)
  const post = async (body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Answer> => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(signal && { signal }),
    })
    const text = await response.text()
    return { status: response.status, text, ...(text.startsWith('{') ? JSON.parse(text) : {}) }
  }
  const ask = (query: string, variables?: object, headers?: Record<string, string>) => post({ query, variables }, headers)
  return { url, port, post, ask, keys, traces, logged, aborted: aborted.promise, running: running.promise }
}

test('queries and mutations are answered by the operations of the contract', async () => {
  const { ask, keys, traces } = await opened()
  expect(
    await ask('{ list(query: { page: 2 }) { sku } item(sku: "a/b") { sku left parent { sku } } }', {}, { traceparent: '00-x' }),
  ).toMatchObject({
    status: 200,
    data: { list: [{ sku: 'page-2-0' }, { sku: 'page-2-1' }], item: { sku: 'a/b', left: 3, parent: null } },
  })
  expect(traces).toEqual(['00-x'])
  const reserve = 'mutation ($body: ReserveInput!) { reserve(sku: "a", body: $body, idempotencyKey: "k1") { left } drop(sku: "a") }'
  expect(await ask(reserve, { body: { quantity: 4, note: null } })).toMatchObject({ data: { reserve: { left: 6 }, drop: true } })
  expect(keys).toEqual(['k1'])
})

test('where one field fails the others have their answers, and the error says code and status', async () => {
  const { ask } = await opened()
  const { status, data, errors, text } = await ask(
    '{ good: item(sku: "a") { sku } none: item(sku: "none") { sku } defect: item(sku: "defect") { sku } }',
  )
  expect([status, data]).toEqual([200, { good: { sku: 'a' }, none: null, defect: null }])
  expect(errors).toEqual([
    expect.objectContaining({
      message: 'there is no "none"',
      path: ['none'],
      extensions: { code: 'ERR_NONE', status: 404, traceId: expect.stringMatching(/^[0-9a-f]{32}$/) },
    }),
    expect.objectContaining({ path: ['defect'], extensions: expect.objectContaining({ code: 'ERR_INTERNAL', status: 500 }) }),
  ])
  expect(text).not.toMatch(/secret|stack|\.ts/)
})

test('a refusal is an error that says it is one', async () => {
  const { ask } = await opened()
  const { data, errors } = await ask('mutation { reserve(sku: "a", body: { quantity: 11 }, idempotencyKey: "k") { left } drop(sku: "a") }')
  expect(data).toEqual({ reserve: null, drop: true })
  expect(errors?.[0]).toMatchObject({ message: 'only 10 left', extensions: { code: 'sold-out', status: 409, refused: true } })
})

test('what does not fit is named: by the schema before anything is called, by the contract after', async () => {
  const { ask, keys } = await opened({ introspection: true })
  const bad = async (query: string, variables?: object) => {
    const { status, data, errors } = await ask(query, variables)
    expect([status, data ?? undefined]).toEqual([400, undefined])
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'ERR_REQUEST_INVALID', status: 400 })
    return errors?.map(({ message }) => message).join('; ')
  }
  expect(await bad('{ item(sku: "a") { colour } }')).toContain('Cannot query field "colour" on type "Item"')
  expect(await bad('{ nothing }')).toContain('Cannot query field "nothing" on type "Query"')
  expect(await bad('{ item { sku } }')).toContain('of type "ID!" is required')
  expect(await bad('mutation { reserve(sku: "a", body: { quantity: "two" }, idempotencyKey: "k") { left } }')).toContain('two')
  expect(await bad('mutation { reserve(sku: "a", body: { quantity: 1, colour: "red" }, idempotencyKey: "k") { left } }')).toContain(
    'colour',
  )
  expect(await bad('mutation { reserve(sku: "a", body: { quantity: 1 }) { left } }')).toContain('idempotencyKey')
  expect(
    await bad('mutation ($b: ReserveInput!) { reserve(sku: "a", body: $b, idempotencyKey: "k") { left } }', { b: { quantity: 1.5 } }),
  ).toContain('quantity')
  expect(await bad('{ item(sku: "a") { sku }')).toContain('Syntax Error')
  expect(keys).toEqual([])
  const zero = await ask('mutation { reserve(sku: "a", body: { quantity: 0 }, idempotencyKey: "k") { left } }')
  expect(zero.errors?.[0]?.extensions).toMatchObject({ code: 'ERR_REQUEST_INVALID', status: 422, errors: [{ path: 'body.quantity' }] })
})

test('to who takes plain JSON alone a document that is wrong is 200 with errors, as GraphQL over HTTP has it', async () => {
  const { post } = await opened()
  expect(await post({ query: '{ nothing }' }, { accept: 'application/json' })).toMatchObject({
    status: 200,
    errors: [{ extensions: { code: 'ERR_REQUEST_INVALID', status: 400 } }],
  })
})

test('bodies that are none, too large or of another type are refused before GraphQL sees them', async () => {
  const { post, url } = await opened({ maxBodyBytes: 500 })
  expect(await post('{"query"')).toMatchObject({ status: 400 })
  expect(await post('{}')).toMatchObject({ status: 400 })
  expect(await post('7')).toMatchObject({ status: 400 })
  expect((await post({ query: '{ drop }', extra: 1 })).status).toBe(400)
  expect(await post({ query: `# ${'x'.repeat(600)}\n{ list { sku } }` })).toMatchObject({ status: 413, code: 'ERR_BODY_TOO_LARGE' })
  expect(await post([{ query: '{ list { sku } }' }])).toMatchObject({ status: 400 })
  // What a form of another site can send.
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '']) {
    expect(await post('{"query":"{ list { sku } }"}', { 'content-type': type })).toMatchObject({ status: 415, code: 'ERR_CONTENT_TYPE' })
  }
  const get = await fetch(`${url}/graphql?query={list{sku}}`)
  expect([get.status, get.headers.get('allow'), get.headers.get('access-control-allow-origin')]).toEqual([405, 'POST', null])
  const preflight = await fetch(`${url}/graphql`, {
    method: 'OPTIONS',
    headers: { origin: 'http://evil', 'access-control-request-method': 'POST' },
  })
  expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null])
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { origin: 'http://evil', 'content-type': 'application/json' },
    body: '{"query":"{ __typename }"}',
  })
  expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, null])
})

test('an operation may be so deep, so wide and so often called, and no more', async () => {
  const { ask } = await opened({ maxDepth: 2, maxFields: 12, maxAliases: 3, maxCalls: 4, maxTokens: 100 })
  const limit = async (query: string) => {
    const { errors = [], status } = await ask(query)
    return [status, errors[0]?.extensions?.code, errors[0]?.message]
  }
  expect(await limit('{ item(sku: "a") { parent { sku } } }')).toEqual([
    400,
    'ERR_GRAPHQL_LIMIT',
    'the operation is 3 levels deep, wanted at most 2',
  ])
  const wide = '{ list { ...f ...f ...f } } fragment f on Item { sku left sku left }'
  expect(await limit(wide)).toEqual([400, 'ERR_GRAPHQL_LIMIT', expect.stringContaining('13 fields wide')])
  expect(await limit('{ a: list { sku } b: list { sku } c: list { sku } d: list { sku } }')).toEqual([
    400,
    'ERR_GRAPHQL_LIMIT',
    expect.stringContaining('4 aliases'),
  ])
  expect(await limit('{ slow slow slow slow slow }')).toEqual([400, 'ERR_GRAPHQL_LIMIT', expect.stringContaining('5 calls')])
  expect(await limit(`{ list { ${'sku '.repeat(100)} } }`)).toEqual([400, 'ERR_REQUEST_INVALID', expect.stringContaining('tokens')])
  expect((await ask('{ list { sku } }')).status).toBe(200)
})

test('what is beyond the limits is not looked at any further', async () => {
  const { ask } = await opened({ maxFields: 12 })
  const { errors = [] } = await ask(`{ ${'list { sku nothing } '.repeat(10)} }`)
  expect(errors.map(({ extensions }) => extensions?.code)).toEqual(['ERR_GRAPHQL_LIMIT'])
})

test('batches are off, or as long as is said', async () => {
  const { post } = await opened({ maxBatch: 2 })
  const one = { query: '{ item(sku: "a") { sku } }' }
  const { status, text } = await post([one, one])
  expect([status, JSON.parse(text)]).toEqual([200, [{ data: { item: { sku: 'a' } } }, { data: { item: { sku: 'a' } } }]])
  expect((await post([one, one, one])).status).toBe(413)
})

test('the schema is told to nobody unless it is turned on, not even by guesses', async () => {
  const closed = await opened()
  expect((await closed.ask('{ __schema { types { name } } }')).errors?.[0]?.message).toContain('introspection')
  expect((await closed.ask('{ lisst { sku } }')).text).not.toContain('list"')
  const { ask } = await opened({ introspection: true })
  expect((await ask('{ __schema { queryType { fields { name } } } }')).data).toEqual({
    __schema: { queryType: { fields: [{ name: 'list' }, { name: 'item' }, { name: 'slow' }] } },
  })
})

test('the time of a request is the time of all its fields', async () => {
  const { ask, aborted } = await opened()
  const { data, errors } = await ask('{ slow item(sku: "a") { sku } }', {}, { 'x-timeout-ms': '150' })
  expect(data).toEqual({ slow: null, item: { sku: 'a' } })
  expect(errors?.[0]).toMatchObject({ path: ['slow'], extensions: { code: 'ERR_REQUEST_TIMEOUT', status: 504 } })
  await aborted
  expect(await ask('{ list { sku } }', {}, { 'x-timeout-ms': 'soon' })).toMatchObject({ status: 400, code: 'ERR_TIMEOUT_INVALID' })
})

test('a caller that goes away ends the handlers of its fields', async () => {
  const { post, aborted, running } = await opened()
  const controller = new AbortController()
  const call = post({ query: '{ slow }' }, {}, controller.signal)
  await running
  controller.abort()
  await expect(call).rejects.toThrow()
  await aborted
})

test('a connection that breaks off in the middle of a body harms nobody', async () => {
  const { port, ask } = await opened()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"query"')
  socket.end()
  await new Promise((resolve) => socket.once('close', resolve).resume())
  expect((await ask('{ item(sku: "a") { sku } }')).data).toEqual({ item: { sku: 'a' } })
})

test('what cannot be served is said at the start', async () => {
  expect(() => graphql({ contracts: [stockApi], maxDepth: 0 })).toThrow('"maxDepth" is 0, wanted a whole number from 1')
  expect(() => graphql({ contracts: [stockApi], path: 'graphql' as never })).toThrow('"path" is "graphql"')
  const early = service('stock')
  early.use(graphql({ contracts: [stockApi] }))
  await expect(early.start()).rejects.toThrow('add serve() of its contract before graphql()')
})

test('nothing that is wrong with a variable tells of the schema what was not asked', async () => {
  const query = 'mutation ($body: ReserveInput!) { reserve(sku: "a", body: $body, idempotencyKey: "k") { left } }'
  const said = async (introspection: boolean) =>
    (await (await opened({ introspection })).ask(query, { body: { quantity: 1, notee: 'x' } })).errors?.[0]?.message
  expect(await said(true)).toContain('Did you mean "note"?')
  expect(await said(false)).toMatch(/unknown field "notee"(?!.*Did you mean)/)
})

test('a body that asks nothing that can be understood is refused with a code of ours, whoever refuses it', async () => {
  const { post } = await opened()
  const bodies = [
    '',
    '{',
    'null',
    '[]',
    '{"query":5}',
    '{"query":"{__typename}","variables":5}',
    '{"query":"{__typename}","operationName":"no"}',
  ]
  for (const body of bodies) {
    const { status, errors, text } = await post(body)
    expect([body, status, errors?.map(({ extensions }) => extensions)]).toEqual([body, 400, [{ code: 'ERR_REQUEST_INVALID', status: 400 }]])
    expect(text).not.toContain('SyntaxError')
  }
})
