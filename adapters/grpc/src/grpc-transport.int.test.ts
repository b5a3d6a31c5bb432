import { api, type Registry, refuse, type Schema } from '@banyan/core'
import { policy, timeout } from '@banyan/resilience'
import { client, httpTransport, serve, service, type Transport } from '@banyan/service'
import { afterEach, expect, test, vi } from 'vitest'
import { grpc, grpcTransport } from './index.ts'
import { memoryRegistry, silentServer, startStock, stockApi, stockHandlers } from './test/stock.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

function transportOf(registry: Registry, options: Partial<Parameters<typeof grpcTransport>[0]> = {}): Transport {
  const transport = grpcTransport({ registry, contracts: [{ api: stockApi }], ...options })
  open.push(transport)
  return transport
}

async function opened(options: Parameters<typeof startStock>[0] = {}) {
  const started = await startStock(options)
  open.push({ close: () => started.stock.stop() })
  return {
    ...started,
    over: (more?: Partial<Parameters<typeof grpcTransport>[0]>) => client(stockApi, { transport: transportOf(started.registry, more) }),
  }
}

test('a client over gRPC is the client over HTTP: answers, refusals, queries, nothing', async () => {
  const { over, seen } = await opened()
  const stock = over()
  expect(await stock.get({ params: { sku: 'a/b ä' } })).toEqual({ sku: 'a/b ä', left: 3 })
  expect(await stock.list({ query: { page: 3 } })).toEqual([{ sku: 'page-3', left: 1 }])
  expect(await stock.list({ query: {} })).toEqual([{ sku: 'page-1', left: 1 }])
  expect(await stock.reserve({ params: { sku: 'a' }, body: { quantity: 2 }, key: 'k1' })).toEqual({ sku: 'a', left: 8 })
  expect(await stock.reserve({ params: { sku: 'a' }, body: { quantity: 11 }, key: 'k2' })).toEqual(refuse('sold-out', 'only 10 left'))
  expect(await stock.drop({ params: { sku: 'a' } })).toBeUndefined()
  expect(await stock.find({ params: { query: 'mug' } })).toEqual([{ sku: 'mug', left: 1 }])
  expect(seen.keys).toEqual(['k1', 'k2'])
})

test('over gRPC and over HTTP a call fails alike', async () => {
  const { over, registry } = await opened()
  const http = httpTransport({ registry })
  open.push(http)
  const body = { quantity: 0 }
  const failures = [over(), client(stockApi, { transport: http })].map((stock) =>
    stock.reserve({ params: { sku: 'a' }, body, key: 'k' }).then(
      () => undefined,
      (error) => ({ code: error.code, status: error.status, message: error.message, problem: { ...error.problem, traceId: '' } }),
    ),
  )
  const [overGrpc, overHttp] = await Promise.all(failures)
  expect(overGrpc).toEqual(overHttp)
  expect(overGrpc).toMatchObject({ code: 'ERR_PROBLEM', status: 422, problem: { errors: [{ path: 'body.quantity' }] } })
})

test('what cannot be a message is refused before it is sent, with its place', async () => {
  const { over } = await opened()
  const call = over().reserve({ params: { sku: 'a' }, body: { quantity: 'two', colour: 'red' } as never, key: 'k' })
  await expect(call).rejects.toMatchObject({
    code: 'ERR_REQUEST_INVALID',
    message:
      'cannot call stock.reserve: body.colour there is no such field; body.quantity is of type string, wanted a whole number within 2^53',
  })
})

test('errors of the service are problems, its defects say nothing', async () => {
  const { over } = await opened()
  await expect(over().get({ params: { sku: 'none' } })).rejects.toMatchObject({
    code: 'ERR_PROBLEM',
    status: 404,
    problem: { code: 'ERR_NONE', detail: 'there is no "none"', instance: '/stock/none', traceId: expect.stringMatching(/^[0-9a-f]{32}$/) },
  })
  await expect(over().get({ params: { sku: 'defect' } })).rejects.toMatchObject({ status: 500, problem: { code: 'ERR_INTERNAL' } })
})

test('a problem of a call with a long path is told, as any other', async () => {
  const { over } = await opened()
  const call = over().reserve({ params: { sku: 'x'.repeat(100_000) }, body: { quantity: 0 }, key: 'k' })
  await expect(call).rejects.toMatchObject({ code: 'ERR_PROBLEM', status: 422, problem: { errors: [{ path: 'body.quantity' }] } })
})

test('a deadline goes along and ends the call on both sides', async () => {
  const { over, seen } = await opened()
  await expect(over().slow({}, { timeoutMs: 150 })).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' })
  await seen.aborted
})

test('a signal that aborts ends the call on both sides', async () => {
  const { over, seen } = await opened()
  const controller = new AbortController()
  const call = over().slow({}, { signal: controller.signal })
  await seen.running
  controller.abort(new Error('enough'))
  await expect(call).rejects.toThrow('enough')
  await seen.aborted
})

test('an instance that cannot be connected to is passed over, one without gRPC is not there', async () => {
  const registry = memoryRegistry()
  await registry.register({ id: 'dead', service: 'stock', host: '127.0.0.1', port: 1, meta: { 'grpc-port': '1' } })
  await registry.register({ id: 'http-only', service: 'stock', host: '127.0.0.1', port: 1 })
  const { over } = await opened({ registry })
  // No retries: only what was never sent may go to another instance.
  const stock = client(stockApi, { transport: transportOf(registry), policy: policy('once', timeout(5_000)) })
  for (let call = 0; call < 20; call += 1) expect(await stock.get({ params: { sku: 'a' } })).toEqual({ sku: 'a', left: 3 })
  expect(await over().get({ params: { sku: 'a' } })).toEqual({ sku: 'a', left: 3 })
})

test('calls between services go past a proxy of the environment', async () => {
  vi.stubEnv('http_proxy', 'http://127.0.0.1:9')
  try {
    const { over } = await opened()
    expect(await over().get({ params: { sku: 'a' } })).toEqual({ sku: 'a', left: 3 })
  } finally {
    vi.unstubAllEnvs()
  }
})

test('who finds nobody hears what to look for', async () => {
  const stock = client(stockApi, { transport: transportOf(memoryRegistry(), { waitMs: 20 }), policy: policy('once', timeout(5_000)) })
  await expect(stock.get({ params: { sku: 'a' } })).rejects.toThrow('no healthy instance of "stock" that answers gRPC is known')
})

test('an instance that accepts and never replies costs the time of the call and no more', async () => {
  const registry = memoryRegistry()
  const silent = await silentServer()
  open.push(silent)
  await registry.register({ id: 'silent', service: 'stock', host: '127.0.0.1', port: 1, meta: { 'grpc-port': String(silent.port) } })
  const stock = client(stockApi, { transport: transportOf(registry) })
  await expect(stock.get({ params: { sku: 'a' } }, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' })
})

test('a call that an instance cuts off at its stop has no answer, as over HTTP', async () => {
  const { registry, seen, stock } = await opened({ service: { finishMs: 100 } })
  const once = client(stockApi, { transport: transportOf(registry), policy: policy('once', timeout(5_000)) })
  const cut = expect(once.slow()).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE', status: 503, detail: 'no answer from "stock"' })
  await seen.running
  await stock.stop()
  await cut
})

test('a call may have more time than a timer takes', async () => {
  const { over } = await opened()
  const month = 30 * 86_400_000
  expect(await over().get({ params: { sku: 'a' } }, { timeoutMs: month })).toEqual({ sku: 'a', left: 3 })
})

test('an answer that is too large is an error', async () => {
  const { over } = await opened()
  await expect(over({ maxResponseBytes: 4 }).get({ params: { sku: 'a-long-name' } })).rejects.toMatchObject({
    code: 'ERR_PROBLEM',
    status: 413,
  })
})

test('an operation without gRPC goes the other way, or fails by name', async () => {
  const { over, registry } = await opened()
  await expect(over().inside()).rejects.toThrow('no contract given has GET /inside with "grpc" among its protocols')
  const stock = over({ fallback: httpTransport({ registry }) })
  expect(await stock.inside()).toBe('inside')
})

test('schemas of a vendor without JSON Schema go as any JSON', async () => {
  const anything: Schema = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
  const echoApi = api('echo', {
    operations: { echo: { method: 'POST', path: '/echo', query: anything, body: anything, response: anything, protocols: ['grpc'] } },
  })
  const registry = memoryRegistry()
  const echo = service('echo', { registry, drainMs: 0 })
  echo.use(serve(echoApi, { echo: ({ query, body }) => ({ query, body }) }))
  echo.use(grpc({ contracts: [{ api: echoApi }] }))
  await echo.start()
  open.push({ close: () => echo.stop() })
  const caller = client(echoApi, { transport: transportOf(registry, { contracts: [{ api: echoApi }] }) })
  const body = { deep: [1.5, null, { a: 'ä', b: [] }], yes: true }
  expect(await caller.echo({ query: { page: 2 }, body })).toEqual({ query: { page: '2' }, body })
})

test('instances that come and go are left without a call lost', async () => {
  const registry = memoryRegistry()
  await opened({ registry })
  // No retries: what is lost would be seen.
  const stock = client(stockApi, { transport: transportOf(registry), policy: policy('once', timeout(5_000)) })
  let going = true
  const calls = Promise.all(
    Array.from({ length: 4 }, async () => {
      let answered = 0
      for (; going; answered += 1) await stock.reserve({ params: { sku: 'a' }, body: { quantity: 1 }, key: `k${answered}` })
      return answered
    }),
  )
  for (let round = 0; round < 5; round += 1) {
    const second = service('stock', { registry, drainMs: 20, finishMs: 2_000 })
    second.use(serve(stockApi, stockHandlers().handlers))
    second.use(grpc({ contracts: [{ api: stockApi }] }))
    await second.start()
    await second.stop()
  }
  going = false
  expect((await calls).every((answered) => answered > 0)).toBe(true)
})
