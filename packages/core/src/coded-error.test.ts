import { expect, expectTypeOf, test } from 'vitest'
import { CodedError, codeOf, messageOf, stackOf } from './coded-error.ts'

class ShopError extends CodedError<'ERR_CLOSED' | 'ERR_FULL'> {}

test('an error has its class as name, its code, its cause, its hint and its status', () => {
  const cause = new Error('disk')
  const error = new ShopError('ERR_CLOSED', 'the shop is closed', { cause, retryAfterMs: 500, status: 503 })
  expectTypeOf(error.code).toEqualTypeOf<'ERR_CLOSED' | 'ERR_FULL'>()
  expect(error).toBeInstanceOf(Error)
  expect({ ...error, name: error.name, message: error.message, cause: error.cause }).toEqual({
    name: 'ShopError',
    message: 'the shop is closed',
    code: 'ERR_CLOSED',
    retryAfterMs: 500,
    status: 503,
    cause,
  })
  expect(error.stack).toContain('coded-error.test.ts')
})

test('a cause is there only when it was given, even if it was undefined', () => {
  expect('cause' in new ShopError('ERR_FULL', 'full')).toBe(false)
  expect('cause' in new ShopError('ERR_FULL', 'full', { cause: undefined })).toBe(true)
})

test('codeOf finds the code of errors of ours and of Node', () => {
  expect(codeOf(new ShopError('ERR_FULL', 'full'))).toBe('ERR_FULL')
  expect(codeOf(Object.assign(new Error('no'), { code: 'ENOENT' }))).toBe('ENOENT')
  for (const other of [undefined, null, 'ERR_FULL', new Error('plain'), { code: 7 }]) expect(codeOf(other)).toBeUndefined()
})

test('messageOf says what any thrown value says', () => {
  expect([new Error('down'), 'down', 7, undefined].map(messageOf)).toEqual(['down', 'down', '7', 'undefined'])
})

test('messageOf makes a text of what has none of its own', () => {
  const body = { errors: ['no seat', 7] }
  expect(messageOf(body)).toBe('{"errors":["no seat",7]}')
  expect(messageOf(Object.assign(new Error('x'), { message: body }))).toBe('{"errors":["no seat",7]}')
  expect(messageOf(Object.assign(new Error('x'), { message: 42 }))).toBe('42')
  expect(messageOf(Object.assign(Object.create(null), { left: 2 }))).toBe('{"left":2}')
  expect(messageOf([{ left: 2 }])).toBe('[{"left":2}]')
  expect(messageOf({ toString: () => 'its own' })).toBe('its own')
  expect(messageOf(Symbol('s'))).toBe('Symbol(s)')
})

test('messageOf says of an error without a message what it was put together of, or what it is', () => {
  // What Node throws when no address of a name takes a connection.
  const refused = [new Error('connect ECONNREFUSED ::1:5432'), new Error('connect ECONNREFUSED 127.0.0.1:5432')]
  const nobody = Object.assign(new AggregateError(refused), { code: 'ECONNREFUSED' })
  expect(messageOf(nobody)).toBe('connect ECONNREFUSED ::1:5432; connect ECONNREFUSED 127.0.0.1:5432')
  expect(messageOf(new AggregateError(refused, 'two tries failed'))).toBe('two tries failed')
  expect(messageOf(Object.assign(new Error(), { code: 'ECONNRESET' }))).toBe('ECONNRESET')
  expect(messageOf(new RangeError())).toBe('RangeError')
  expect(messageOf(new AggregateError([]))).toBe('AggregateError')
  const itself = new AggregateError([])
  itself.errors.push(itself)
  expect(messageOf(itself)).toBe('AggregateError')
})

const fails = () => {
  throw new Error('trap')
}
const revoked = Proxy.revocable({}, {})
revoked.revoke()
const itself: Record<string, unknown> = {}
itself.itself = itself

test.each<[string, unknown]>([
  ['an object without prototype', Object.create(null)],
  ['an object that contains itself, without prototype', Object.assign(Object.create(null), itself)],
  ['a proxy that throws on every question', new Proxy({}, { has: fails, get: fails, getPrototypeOf: fails })],
  ['a revoked proxy', revoked.proxy],
  ['a getter that throws', Object.defineProperties(new Error('x'), { code: { get: fails }, message: { get: fails } })],
  ['a toString that throws', { toString: fails }],
  ['a toString that gives no text', { toString: () => ({}), valueOf: () => ({}) }],
  ['a toString that gives a symbol', { [Symbol.toPrimitive]: () => Symbol('s') }],
  ['a toJSON that throws', { toJSON: fails, toString: undefined }],
])('codeOf and messageOf take %s', (_what, thrown) => {
  expect(codeOf(thrown)).toBeUndefined()
  expect(typeof messageOf(thrown)).toBe('string')
})

test('stackOf gives the stack of an error, where it is text, and throws for nothing', () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  expect(stackOf(new Error('down'))).toContain('Error: down')
  expect([proxy, 7, null, { stack: 'at x' }, Object.assign(new Error('x'), { stack: ['at x'] })].map(stackOf)).toEqual(
    Array(5).fill(undefined),
  )
})
