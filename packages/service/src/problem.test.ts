import { CodedError } from '@banyan/core'
import { ResilienceError } from '@banyan/resilience'
import { expect, test } from 'vitest'
import { ServiceError } from './errors.ts'
import { problemResponse, readProblem, retryAfterMs } from './problem.ts'
import { problemOf } from './problem-of.ts'

test('a problem is written and read back', () => {
  const response = problemResponse({
    status: 404,
    code: 'ERR_ORDER_UNKNOWN',
    detail: 'there is no order "7"',
    instance: '/orders/7',
    traceId: 'ab',
  })
  expect(response.headers).toEqual({ 'content-type': 'application/problem+json' })
  expect(readProblem(response)).toEqual({
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    code: 'ERR_ORDER_UNKNOWN',
    detail: 'there is no order "7"',
    instance: '/orders/7',
    traceId: 'ab',
  })
})

test('a wait is told in whole seconds, rounded up, at least one', () => {
  const wait = (ms: number) => problemResponse({ status: 503, code: 'X', retryAfterMs: ms }).headers['retry-after']
  expect([wait(0), wait(1), wait(1_000), wait(1_001)]).toEqual(['1', '1', '1', '2'])
})

test('Retry-After is read as seconds or as a date', () => {
  const now = Date.UTC(2026, 0, 1)
  expect(retryAfterMs({ 'retry-after': '3' }, now)).toBe(3_000)
  expect(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 2026 00:00:05 GMT' }, now)).toBe(5_000)
  expect(retryAfterMs({ 'retry-after': 'Thu, 01 Jan 2025 00:00:05 GMT' }, now)).toBe(0)
  expect(retryAfterMs({ 'retry-after': 'soon' }, now)).toBeUndefined()
  expect(retryAfterMs({}, now)).toBeUndefined()
})

test('an error with a status shows its code and message, any other nothing', () => {
  expect(problemOf(new CodedError('ERR_X', 'said', { status: 401, retryAfterMs: 7 }))).toEqual({
    status: 401,
    code: 'ERR_X',
    detail: 'said',
    retryAfterMs: 7,
  })
  for (const error of [new Error('secret'), new CodedError('ERR_SECRET', 'secret'), 'secret', undefined, { status: 418 }]) {
    const problem = problemOf(error)
    expect(problem).toMatchObject({ status: 500, code: 'ERR_INTERNAL' })
    expect(JSON.stringify(problem)).not.toMatch(/secret|418/i)
  }
})

test('what another service answered is not passed off as the own answer', () => {
  const answered = (status: number) => new ServiceError('ERR_PROBLEM', 'catalog.getProduct answered', { status })
  expect([404, 401, 422, 500, 429, 503].map((status) => problemOf(answered(status)).status)).toEqual([502, 502, 502, 502, 503, 503])
  expect(problemOf(new ServiceError('ERR_SERVICE_UNAVAILABLE', 'gone', { status: 503, retryAfterMs: 1 }))).toMatchObject({ status: 503 })
  expect(problemOf(new ResilienceError('ERR_TIMEOUT', 'stock', 'late'))).toMatchObject({ status: 504, code: 'ERR_TIMEOUT' })
})

test('an answer that is no problem is made into one', () => {
  const plain = { type: 'about:blank', title: 'Bad Gateway', status: 502, code: 'ERR_HTTP_502' }
  expect(readProblem({ status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>' })).toEqual(plain)
  for (const body of ['{', '[]x', '"text"', 'null', ''])
    expect(readProblem({ status: 502, headers: { 'content-type': 'application/json' }, body })).toEqual(plain)
  expect(readProblem({ status: 502, headers: { 'content-type': 'application/json' }, body: '{"status":200,"code":7}' })).toEqual(plain)
})

test('a wait that is no number is not told, and none is longer than a date can say', () => {
  for (const ms of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(problemResponse({ status: 503, code: 'X', retryAfterMs: ms }).headers).not.toHaveProperty('retry-after')
  }
  for (const text of ['9'.repeat(400), '9'.repeat(16), 'Fri, 01 Jan 275760 00:00:00 GMT']) {
    const wait = retryAfterMs({ 'retry-after': text }, Date.UTC(2026, 0, 1)) ?? 0
    expect(new Date(Date.UTC(2026, 0, 1) + wait).toISOString()).toMatch(/^20\d\d-/)
  }
})

test('headers of an error that cannot be sent are refused where it is made, and names are in lower case', () => {
  const made = (headers: Record<string, string>) => new ServiceError('ERR_REQUEST_INVALID', 'who?', { status: 401, headers })
  expect(() => made({ 'www-authenticate': 'Basic realm="Łódź"' })).toThrow(
    new TypeError('cannot create ServiceError: the header "www-authenticate" is "Basic realm=\\"Łódź\\"", wanted what a header can say'),
  )
  for (const headers of [{ 'x y': 'a' }, { '': 'a' }, { x: 'a\r\nset-cookie: b' }, { x: 1 as unknown as string }])
    expect(() => made(headers)).toThrow(TypeError)
  expect(problemOf(made({ 'WWW-Authenticate': 'Basic realm="Köln"' })).headers).toEqual({ 'www-authenticate': 'Basic realm="Köln"' })
})

test('fields that are wrong are read as such or not at all, and so is a refusal', () => {
  const read = (members: object) => readProblem({ ...problemResponse({ status: 422, code: 'X' }), body: JSON.stringify(members) })
  const good = { path: 'a', message: 'is bad' }
  expect(read({ errors: [good, { ...good, rule: 'min' }] }).errors).toEqual([good, { ...good, rule: 'min' }])
  for (const errors of ['a', { a: 'is bad' }, [good, null], [{ path: ['a'], message: 'is bad' }], ['a: is bad'], 7, null])
    expect(read({ errors, hint: 'b' })).toEqual({
      type: 'about:blank',
      title: expect.any(String),
      status: 422,
      code: 'ERR_HTTP_422',
      hint: 'b',
    })
  for (const refused of ['no', 1, false, null]) expect(read({ refused })).not.toHaveProperty('refused')
  expect(read({ refused: true }).refused).toBe(true)
})
