import { manualWorld, shown } from '@banyan/core'
import { expect, test } from 'vitest'
import { inProcessTransport } from './in-process.ts'
import type { Transport, TransportRequest, TransportResponse } from './transport.ts'

const answer = (body: string): TransportResponse => ({ status: 200, headers: {}, body })
const request = (service: string, more: Partial<TransportRequest> = {}): TransportRequest => ({
  service,
  method: 'GET',
  path: '/',
  headers: {},
  body: undefined,
  signal: new AbortController().signal,
  ...more,
})

test('a call goes to the service of that name, until that is taken out', async () => {
  const world = manualWorld()
  const transport = inProcessTransport({ world })
  const detach = transport.attach('orders', async ({ service }) => answer(service))
  expect(await transport.call(request('orders'))).toEqual(answer('orders'))
  expect(() => transport.attach('orders', async () => answer(''))).toThrow('this process has one of that name already')
  detach()
  const gone = expect(transport.call(request('orders'))).rejects.toMatchObject({ code: 'ERR_SERVICE_UNAVAILABLE' })
  await world.advance(2_000)
  await gone
})

test('services that are not in this process are reached by the fallback', async () => {
  const fallback: Transport = { call: async ({ service }) => answer(`${service} elsewhere`), async close() {} }
  const transport = inProcessTransport({ fallback, world: manualWorld() })
  transport.attach('orders', async () => answer('here'))
  expect([await transport.call(request('orders')), await transport.call(request('users'))]).toEqual([
    answer('here'),
    answer('users elsewhere'),
  ])
})

test('a call waits for a service that is about to start', async () => {
  const world = manualWorld()
  const transport = inProcessTransport({ world })
  const call = transport.call(request('orders'))
  await world.advance(1_999)
  transport.attach('users', async () => answer('users'))
  transport.attach('orders', async () => answer('orders'))
  expect(await call).toEqual(answer('orders'))
  expect(world.pendingTimers()).toBe(0)
})

test('a caller that gives up hears so at once, waiting or being served', async () => {
  const world = manualWorld()
  const transport = inProcessTransport({ world })
  for (const attached of [false, true]) {
    if (attached) transport.attach('orders', () => new Promise(() => {}))
    const abort = new AbortController()
    const call = expect(transport.call(request('orders', { signal: abort.signal }))).rejects.toBe('enough')
    await world.advance(1)
    abort.abort('enough')
    await call
  }
  expect(world.pendingTimers()).toBe(0)
})

test('a wait that is none is refused by name', () => {
  for (const waitMs of [Number.NaN, -1, Number.POSITIVE_INFINITY, '5' as unknown as number])
    expect(() => inProcessTransport({ waitMs })).toThrow(
      new RangeError(`cannot create in-process transport: "waitMs" is ${shown(waitMs)}, wanted a number from 0`),
    )
})
