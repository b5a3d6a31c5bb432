import { expect, test } from 'vitest'
import { servedCall } from './served-call.ts'

const operation = { method: 'POST', path: '/stock/{sku}/reservations', body: {} as never, idempotencyKey: 'required' } as const
const { signal } = new AbortController()
const call = { service: 'stock', name: 'stock.reserve', operation, signal: () => signal }

test('what came with the call goes along, what belonged to its connection does not', () => {
  const headers = { traceparent: '00-a', authorization: 'Bearer x', 'content-type': 'application/grpc', host: 'a', te: 'trailers' }
  const input = { params: { sku: 'a/b' }, query: { page: 2 }, body: { quantity: 1 }, key: 'k1' }
  expect(servedCall({ ...call, headers, input, timeoutMs: 120.7 })).toEqual({
    service: 'stock',
    method: 'POST',
    path: '/stock/a%2Fb/reservations?page=2',
    headers: {
      traceparent: '00-a',
      authorization: 'Bearer x',
      accept: 'application/json, application/problem+json',
      'content-type': 'application/json',
      'idempotency-key': 'k1',
      'x-timeout-ms': '120',
    },
    body: '{"quantity":1}',
    signal,
    timeoutMs: 120.7,
  })
})

test('a path parameter that is missing is named', () => {
  expect(() => servedCall({ ...call, headers: {}, input: {} })).toThrow('cannot call stock.reserve: the path parameter "sku" is undefined')
})

test('what is null in a query is left out: no text says it, "null" the least', () => {
  const input = { params: { sku: 'a' }, query: { page: null, tags: ['x', null, 'y'] } }
  expect(servedCall({ ...call, headers: {}, input }).path).toBe('/stock/a/reservations?tags=x&tags=y')
})
