import { connect } from 'node:net'
import type { Logger } from '@banyan/core'
import { client, inProcessTransport } from '@banyan/service'
import { Client, credentials, Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { afterEach, expect, test } from 'vitest'
import { grpc, protoText } from './index.ts'
import { decodeRpcStatus } from './rpc-status.ts'
import { NO_PROXY, startStock, stockApi, stockHandlers } from './test/stock.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const root = protobuf.parse(protoText(stockApi)).root

async function opened(options: Parameters<typeof startStock>[0] = {}) {
  const started = await startStock(options)
  const raw = new Client(`127.0.0.1:${started.port}`, credentials.createInsecure(), NO_PROXY)
  open.push({ close: () => started.stock.stop() }, raw)
  return { ...started, raw }
}

/** Calls as any program would that has the .proto: with protobufjs's own messages. */
function call(
  raw: Client,
  method: string,
  input: object | Buffer,
  options: { metadata?: Record<string, string>; deadlineMs?: number } = {},
) {
  const { [method]: definition } = root.lookupService('stock.v1.Stock').methods
  const [request, response] = [
    root.lookupType(`stock.v1.${definition?.requestType}`),
    root.lookupType(`stock.v1.${definition?.responseType}`),
  ]
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value)
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(request.encode(input).finish())
  const same = (buffer: Buffer) => buffer
  const deadline = Date.now() + (options.deadlineMs ?? 5_000)
  return new Promise<Record<string, unknown>>((resolve, reject) => {
    raw.makeUnaryRequest(`/stock.v1.Stock/${method}`, same, same, bytes, metadata, { deadline }, (error, answer) => {
      if (error) reject(error)
      else resolve(response.toObject(response.decode(answer ?? Buffer.alloc(0)), { longs: Number }))
    })
  })
}

async function failure(promise: Promise<unknown>): Promise<ServiceError> {
  return promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: ServiceError) => error,
  )
}

function detailsOf({ metadata }: Pick<StatusObject, 'metadata'>) {
  return decodeRpcStatus(metadata.get('grpc-status-details-bin')[0] as Buffer)
}

test('a program with the .proto alone calls what the contract says', async () => {
  const { raw, seen } = await opened()
  expect(await call(raw, 'Get', { sku: 'a/b ä' }, { metadata: { authorization: 'Bearer x', traceparent: '00-x' } })).toEqual({
    sku: 'a/b ä',
    left: 3,
  })
  expect(seen.headers[0]).toMatchObject({ authorization: 'Bearer x', traceparent: '00-x' })
  expect(await call(raw, 'List', { query: { page: 4 } })).toEqual({ items: [{ sku: 'page-4', left: 1 }] })
  expect(await call(raw, 'List', {})).toEqual({ items: [{ sku: 'page-1', left: 1 }] })
  expect(await call(raw, 'Reserve', { sku: 'a', body: { quantity: 4 } }, { metadata: { 'idempotency-key': 'k1' } })).toEqual({
    sku: 'a',
    left: 6,
  })
  expect(seen.keys).toEqual(['k1'])
  expect(await call(raw, 'Drop', { sku: 'a' })).toEqual({})
})

test('an operation is there over the protocols that it names, and inside the process over none', async () => {
  const transport = inProcessTransport()
  const { raw, running } = await opened({ service: { transport } })
  expect((await fetch(`${running.url}/stock/a`)).status).toBe(404)
  expect((await fetch(`${running.url}/stock`)).status).toBe(200)
  const same = (buffer: Buffer) => buffer
  const gone = new Promise((resolve) => raw.makeUnaryRequest('/stock.v1.Stock/Inside', same, same, Buffer.alloc(0), resolve))
  expect(await gone).toMatchObject({ code: status.UNIMPLEMENTED })
  expect(await client(stockApi, { transport }).get({ params: { sku: 'a' } })).toEqual({ sku: 'a', left: 3 })
  expect(await client(stockApi, { transport }).inside()).toBe('inside')
})

test('what goes wrong is a status with google.rpc details, and nothing internal', async () => {
  const { raw } = await opened()
  const none = await failure(call(raw, 'Get', { sku: 'none' }))
  expect([none.code, none.details]).toEqual([status.NOT_FOUND, 'there is no "none"'])
  expect(detailsOf(none)).toMatchObject({
    info: { reason: 'ERR_NONE', domain: 'stock', metadata: { status: '404', instance: '/stock/none' } },
  })
  const defect = await failure(call(raw, 'Get', { sku: 'defect' }))
  expect(defect.code).toBe(status.INTERNAL)
  expect(JSON.stringify([defect.details, detailsOf(defect)])).not.toContain('secret')
  const refused = await failure(call(raw, 'Reserve', { sku: 'a', body: { quantity: 11 } }, { metadata: { 'idempotency-key': 'k' } }))
  expect([refused.code, refused.details, detailsOf(refused)?.info?.reason]).toEqual([
    status.FAILED_PRECONDITION,
    'only 10 left',
    'sold-out',
  ])
})

test('bad input is named: a field that is wrong, one that is missing, a key that is missing', async () => {
  const { raw } = await opened()
  const metadata = { 'idempotency-key': 'k' }
  const zero = await failure(call(raw, 'Reserve', { sku: 'a', body: { quantity: 0 } }, { metadata }))
  expect(zero.code).toBe(status.INVALID_ARGUMENT)
  expect(detailsOf(zero)).toMatchObject({ info: { reason: 'ERR_REQUEST_INVALID' }, violations: [{ field: 'body.quantity' }] })
  const missing = await failure(call(raw, 'Reserve', { sku: 'a', body: { note: 'x' } }, { metadata }))
  expect(detailsOf(missing)?.violations).toMatchObject([{ field: 'body.quantity' }])
  expect((await failure(call(raw, 'Reserve', { sku: 'a' }, { metadata }))).code).toBe(status.INVALID_ARGUMENT)
  expect((await failure(call(raw, 'Reserve', { sku: 'a', body: { quantity: 1 } }))).details).toContain('"Idempotency-Key" is missing')
  expect((await failure(call(raw, 'Get', {}))).details).toContain('the path parameter "sku" is undefined')
})

test('of very much that is wrong the caller hears as much as goes into trailers', async () => {
  const { raw } = await opened()
  const counts = Array.from({ length: 5_000 }, () => 'ö'.repeat(20))
  const error = await failure(call(raw, 'Count', { body: { names: counts } }))
  expect(error.code).toBe(status.INVALID_ARGUMENT)
  expect(error.details).toMatch(/^the request does not fit the contract: body\.names\.0: .*…$/s)
  expect(detailsOf(error)?.violations?.length).toBe(20)
})

test('bytes that are no message are INVALID_ARGUMENT, whatever they are, and an unknown field is passed over', async () => {
  const { raw } = await opened()
  for (const bytes of [[0x0a, 0x50, 0x41], [0x08, 0x05], [0xff, 0xff], [0x0a, 0x02, 0xc3, 0x28], [0x00]]) {
    const error = await failure(call(raw, 'Get', Buffer.from(bytes)))
    expect([error.code, error.details]).toEqual([
      status.INVALID_ARGUMENT,
      expect.stringContaining('the request is no message of type GetRequest: '),
    ])
  }
  expect(await call(raw, 'Get', Buffer.from([0x0a, 0x01, 0x61, 0x7a, 0x01, 0x62]))).toEqual({ sku: 'a', left: 3 })
})

test('a message that is too large is refused, and so is a body that is', async () => {
  const { raw, port } = await opened({ maxMessageBytes: 1_000, service: { maxBodyBytes: 500 } })
  const metadata = { 'idempotency-key': 'k' }
  const huge = await failure(call(raw, 'Reserve', { sku: 'a', body: { quantity: 1, note: 'x'.repeat(2_000) } }, { metadata }))
  expect(huge.code).toBe(status.RESOURCE_EXHAUSTED)
  const large = await failure(call(raw, 'Reserve', { sku: 'a', body: { quantity: 1, note: 'x'.repeat(700) } }, { metadata }))
  expect([large.code, detailsOf(large)?.info?.reason]).toEqual([status.RESOURCE_EXHAUSTED, 'ERR_BODY_TOO_LARGE'])
  // Small on the way, large when it is unpacked.
  const packing = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { ...NO_PROXY, 'grpc.default_compression_algorithm': 2 })
  open.push(packing)
  const bomb = await failure(call(packing, 'Reserve', { sku: 'a', body: { quantity: 1, note: 'x'.repeat(5_000_000) } }, { metadata }))
  expect(bomb.code).toBe(status.RESOURCE_EXHAUSTED)
  expect(await call(raw, 'Get', { sku: 'a' })).toEqual({ sku: 'a', left: 3 })
})

test('what is no HTTP/2, or no gRPC, leaves the others alone', async () => {
  const { raw, port } = await opened()
  for (const text of [
    'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff',
    '\0'.repeat(500),
  ]) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(Buffer.from(text, 'latin1'))
    await new Promise((resolve) => socket.once('close', resolve).resume().end())
  }
  expect(await call(raw, 'Get', { sku: 'a' })).toEqual({ sku: 'a', left: 3 })
})

test('the deadline of a call is the deadline of its handler, and one that passes ends it', async () => {
  const { raw, seen } = await opened()
  const late = await failure(call(raw, 'Slow', {}, { deadlineMs: 150 }))
  expect(late.code).toBe(status.DEADLINE_EXCEEDED)
  await seen.aborted
  seen.finish()
  const { remainingMs } = await call(raw, 'Slow', {}, { deadlineMs: 2_000 })
  expect(remainingMs).toBeGreaterThan(0)
  expect(remainingMs).toBeLessThanOrEqual(2_000)
})

test('a caller that cancels ends its handler', async () => {
  const { raw, seen } = await opened()
  const same = (buffer: Buffer) => buffer
  const cancelled = Promise.withResolvers<ServiceError>()
  const running = raw.makeUnaryRequest('/stock.v1.Stock/Slow', same, same, Buffer.alloc(0), (error) =>
    cancelled.resolve(error as ServiceError),
  )
  await seen.running
  running.cancel()
  expect((await cancelled.promise).code).toBe(status.CANCELLED)
  expect(await seen.aborted).toMatchObject({ name: 'AbortError' })
})

test('at a stop calls in flight are answered, and no new ones are taken', async () => {
  const { raw, seen, stock, port } = await opened()
  const running = call(raw, 'Slow', {})
  await seen.running
  const stopped = stock.stop()
  const other = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), NO_PROXY)
  open.push(other)
  await expect
    .poll(async () => (await failure(call(other, 'Get', { sku: 'a' }).then(() => Promise.reject({ code: 0 })))).code)
    .toBe(status.UNAVAILABLE)
  seen.finish()
  expect(await running).toEqual({ remainingMs: expect.any(Number) })
  await stopped
})

test('a stop does not wait longer than it may for a call that never ends', async () => {
  const said: string[] = []
  const keep = (_: object, message: string) => void said.push(message)
  const log: Logger = { debug() {}, info() {}, warn: keep, error: keep }
  const { raw, seen, stock } = await opened({ service: { finishMs: 200, log } })
  const running = failure(call(raw, 'Slow', {}))
  await seen.running
  await stock.stop()
  expect([status.UNAVAILABLE, status.CANCELLED, status.INTERNAL]).toContain((await running).code)
  expect(said[0]).toBe('cutting calls over gRPC of "stock" that did not finish within 180 ms')
  expect(said.join()).not.toContain('took longer')
})

test('what cannot be served is said at the start', async () => {
  expect(() => grpc({ contracts: [{ api: stockApi }], port: 70_000 })).toThrow('"port" is 70000')
  expect(() => grpc({ contracts: [{ api: stockApi }], maxMessageBytes: 0 })).toThrow('"maxMessageBytes" is 0')
  const { service, serve } = await import('@banyan/service')
  const early = service('stock')
  early.use(grpc({ contracts: [{ api: stockApi }] }))
  early.use(serve(stockApi, stockHandlers().handlers))
  await expect(early.start()).rejects.toThrow('add serve() of its contract before grpc()')
  const { port } = await opened()
  const second = service('stock')
  second.use(serve(stockApi, stockHandlers().handlers))
  second.use(grpc({ contracts: [{ api: stockApi }], port }))
  await expect(second.start()).rejects.toThrow(expect.objectContaining({ code: 'ERR_GRPC_LISTEN_FAILED' }))
})
