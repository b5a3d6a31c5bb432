import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import {
  api,
  isRepeatable,
  isServedOver,
  type OperationAnswer,
  type OperationInput,
  type OperationOutput,
  type OperationRequest,
} from './api.ts'
import type { Refusal } from './refusal.ts'

const inventory = api('inventory', {
  operations: {
    reserve: {
      method: 'POST',
      path: '/stock/{sku}/reservations/{orderId}',
      body: z.object({ quantity: z.number(), note: z.string().default('') }),
      response: z.object({ reserved: z.number() }),
      refusals: ['out-of-stock', 'unknown-product'],
      idempotencyKey: 'required',
    },
    list: { method: 'GET', path: '/stock', query: z.object({ page: z.coerce.number().default(1) }), response: z.array(z.string()) },
    clear: { method: 'DELETE', path: '/stock/{sku}', idempotencyKey: 'optional' },
  },
})
type Ops = typeof inventory.operations

test('a caller passes parameters, body and key, as far as the operation has them', () => {
  expectTypeOf<OperationInput<Ops['reserve']>>().toExtend<{
    params: { sku: string; orderId: string }
    body: { quantity: number; note?: string | undefined }
    key: string
  }>()
  expectTypeOf<OperationInput<Ops['clear']>['params']>().toEqualTypeOf<Record<'sku', string>>()
  expectTypeOf<{ params: { sku: string } }>().toExtend<OperationInput<Ops['clear']>>()
  expectTypeOf<{ params: { sku: string }; key: string }>().toExtend<OperationInput<Ops['clear']>>()
  const good = { params: { sku: 'a', orderId: 'o' }, body: { quantity: 1 }, key: 'k' } satisfies OperationInput<Ops['reserve']>
  expect(good.key).toBe('k')
})

test('a caller gets the response or one of the refusals', () => {
  expectTypeOf<OperationOutput<Ops['reserve']>>().toEqualTypeOf<{ reserved: number } | Refusal<'out-of-stock' | 'unknown-product'>>()
  expectTypeOf<OperationOutput<Ops['list']>>().toEqualTypeOf<string[]>()
  expectTypeOf<OperationOutput<Ops['clear']>>().toEqualTypeOf<void>()
  expectTypeOf<OperationAnswer<Ops['reserve']>>().toExtend<{ reserved: number } | Refusal>()
})

test('a handler gets what the schemas give, and the key as far as it is asked for', () => {
  expectTypeOf<OperationRequest<Ops['reserve']>['body']>().toEqualTypeOf<{ quantity: number; note: string }>()
  expectTypeOf<OperationRequest<Ops['reserve']>['key']>().toEqualTypeOf<string>()
  expectTypeOf<OperationRequest<Ops['list']>['query']>().toEqualTypeOf<{ page: number }>()
  expectTypeOf<OperationRequest<Ops['list']>['body']>().toEqualTypeOf<undefined>()
  expectTypeOf<OperationRequest<Ops['list']>['key']>().toEqualTypeOf<string | undefined>()
})

test('a renamed field, parameter or refusal breaks those who use it', () => {
  const call = (_input: OperationInput<Ops['reserve']>) => 'sent'
  // @ts-expect-error: the body has "quantity"
  expect(call({ params: { sku: 'a', orderId: 'o' }, key: 'k', body: { amount: 1 } })).toBe('sent')
  // @ts-expect-error: the path has {sku}
  expect(call({ params: { product: 'a', orderId: 'o' }, key: 'k', body: { quantity: 1 } })).toBe('sent')
  // @ts-expect-error: the key is required
  expect(call({ params: { sku: 'a', orderId: 'o' }, body: { quantity: 1 } })).toBe('sent')
  // @ts-expect-error: the response has "reserved"
  const answer: OperationAnswer<Ops['reserve']> = { taken: 1 }
  // @ts-expect-error: there is no such refusal
  const refusal: OperationAnswer<Ops['reserve']> = { refused: 'sold-out' }
  expect([answer, refusal]).toHaveLength(2)
})

test('a contract that cannot be served is refused by name', () => {
  const declare = (operation: object) => () => api('inventory', { operations: { bad: operation as never } })
  const start = 'cannot declare operation "bad" of api "inventory": '
  expect(declare({ method: 'GET', path: 'stock' })).toThrow(`${start}the path "stock" does not start with "/"`)
  expect(declare({ method: 'GET', path: '/stock', body: z.object({}) })).toThrow(`${start}a GET has no body`)
  expect(() =>
    api('inventory', { operations: { a: { method: 'GET', path: '/stock/{sku}' }, b: { method: 'GET', path: '/stock/{id}' } } }),
  ).toThrow('cannot declare operation "b" of api "inventory": "a" has the same method and path, GET /stock/{id}')
})

test('an operation has HTTP alone unless it says otherwise, and what is no protocol is refused by name', () => {
  const declare = (protocols: readonly never[]) => () => api('inventory', { operations: { bad: { method: 'GET', path: '/a', protocols } } })
  const start = 'cannot declare operation "bad" of api "inventory": '
  expect(declare(['soap' as never])).toThrow(`${start}"protocols" has "soap", wanted http, grpc or graphql`)
  expect(declare([])).toThrow(`${start}"protocols" is empty, so nobody could call it`)
  expect(isServedOver({ method: 'GET', path: '/a' }, 'http')).toBe(true)
  expect(isServedOver({ method: 'GET', path: '/a' }, 'grpc')).toBe(false)
  expect(isServedOver({ method: 'GET', path: '/a', protocols: ['grpc'] }, 'http')).toBe(false)
})

test('the same path under two methods is fine, and the version starts at 1', () => {
  const both = api('inventory', { operations: { read: { method: 'GET', path: '/stock' }, add: { method: 'POST', path: '/stock' } } })
  expect(both.version).toBe(1)
  expect(Object.keys(both.operations)).toEqual(['read', 'add'])
})

test.each([
  ['GET', undefined, true],
  ['PUT', undefined, true],
  ['DELETE', undefined, true],
  ['POST', undefined, false],
  ['PATCH', undefined, false],
  ['POST', 'k1', true],
] as const)('a %s with key %s may be repeated: %s', (method, key, repeatable) => {
  expect(isRepeatable({ method, path: '/stock' }, key)).toBe(repeatable)
})

test('what no call could keep to is refused where it is declared', () => {
  const declare = (more: object) => () => api('stock', { operations: { look: { method: 'GET', path: '/stock', ...more } } })
  for (const timeoutMs of [Number.NaN, 0, -1, Number.POSITIVE_INFINITY, '5' as never])
    expect(declare({ timeoutMs })).toThrow(/^cannot declare operation "look" of api "stock": "timeoutMs" is /)
  for (const status of [Number.NaN, 99, 199, 201.5, 300, 404, 1_000])
    expect(declare({ status })).toThrow(/^cannot declare operation "look" of api "stock": "status" is /)
  for (const path of ['/stock/{sku}.json', '/stock/{sku', '/stock/sku}', '/stock/{}', '/stock/{a}{b}', '/stock/{a/b}'])
    expect(declare({ path })).toThrow(`the path "${path}" has braces that are not around a whole segment`)
  expect(declare({ path: '/a/{id}/b/{id}' })).toThrow('the path "/a/{id}/b/{id}" has "{id}" twice')
  expect(declare({ path: '/a/{id}/{b-c}/', timeoutMs: 0.5, status: 299 })).not.toThrow()
})
