import { problemResponse, readProblem } from '@banyan/service/internal'
import { Metadata, status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { problemOfStatus, statusOfProblem } from './grpc-status.ts'
import { headersOf, metadataOf } from './metadata.ts'
import { DETAILS_KEY } from './rpc-status.ts'

test.each([
  [400, status.INVALID_ARGUMENT],
  [401, status.UNAUTHENTICATED],
  [403, status.PERMISSION_DENIED],
  [404, status.NOT_FOUND],
  [409, status.ABORTED],
  [413, status.RESOURCE_EXHAUSTED],
  [418, status.UNKNOWN],
  [422, status.INVALID_ARGUMENT],
  [429, status.RESOURCE_EXHAUSTED],
  [500, status.INTERNAL],
  [502, status.UNAVAILABLE],
  [503, status.UNAVAILABLE],
  [504, status.DEADLINE_EXCEEDED],
])('a problem of status %i is gRPC status %i, and comes back as it was', (http, code) => {
  const response = problemResponse({
    status: http,
    code: 'ERR_X',
    detail: 'ä "quoted"',
    instance: '/a',
    traceId: 'abc',
    retryAfterMs: 2_000,
  })
  const sent = statusOfProblem(response, 'stock')
  expect(sent.code).toBe(code)
  expect(problemOfStatus(sent)).toEqual({ ...response, body: expect.any(String) })
  expect(readProblem(problemOfStatus(sent))).toEqual(readProblem(response))
})

test('fields that are wrong come through, and a refusal is a failed precondition that stays a refusal', () => {
  const invalid = problemResponse({
    status: 422,
    code: 'ERR_REQUEST_INVALID',
    detail: 'no',
    errors: [{ path: 'body.a', message: 'is bad' }],
  })
  expect(readProblem(problemOfStatus(statusOfProblem(invalid, 'stock'))).errors).toEqual([{ path: 'body.a', message: 'is bad' }])
  const refused = problemResponse({ status: 409, code: 'sold-out', detail: 'only 2 left', refused: true })
  expect(statusOfProblem(refused, 'stock').code).toBe(status.FAILED_PRECONDITION)
  expect(readProblem(problemOfStatus(statusOfProblem(refused, 'stock')))).toMatchObject({ status: 409, code: 'sold-out', refused: true })
})

test.each(['x', 'ü', '漢', '😀'])(
  'whatever a problem says, in %s too, it fits in the 8 KiB of trailers that every client takes',
  (letter) => {
    const long = letter.repeat(100_000)
    const errors = Array.from({ length: 100 }, () => ({ path: long, message: long }))
    const problem = { status: 422, code: long, detail: long, instance: `/${encodeURIComponent(long)}`, traceId: 'a'.repeat(32), errors }
    const sent = statusOfProblem(problemResponse({ ...problem, retryAfterMs: 2_000 }), 'stock')
    const [details] = sent.metadata.get(DETAILS_KEY) as Buffer[]
    const trailers = { 'grpc-status': '3', 'grpc-message': encodeURI(sent.details), [DETAILS_KEY]: details?.toString('base64') ?? '' }
    // As HTTP/2 counts them (RFC 9113, 6.5.2).
    const bytes = Object.entries(trailers).reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
    expect(bytes).toBeLessThan(8_192)
    expect(readProblem(problemOfStatus(sent))).toMatchObject({ status: 422, detail: expect.stringMatching(`^(?:${letter})+…$`) })
  },
)

test('a status of another server, without details or with details that are none, is the nearest problem', () => {
  const metadata = new Metadata()
  expect(readProblem(problemOfStatus({ code: status.NOT_FOUND, details: 'gone', metadata }))).toMatchObject({
    status: 404,
    code: 'ERR_GRPC_NOT_FOUND',
    detail: 'gone',
  })
  expect(problemOfStatus({ code: status.RESOURCE_EXHAUSTED, details: 'Received message larger than max (9 vs. 4)', metadata }).status).toBe(
    413,
  )
  expect(problemOfStatus({ code: status.RESOURCE_EXHAUSTED, details: 'quota', metadata }).status).toBe(429)
  metadata.set(DETAILS_KEY, Buffer.from([0xff, 0xff]))
  expect(problemOfStatus({ code: status.UNAVAILABLE, details: '', metadata }).status).toBe(503)
})

test('what goes with a call is metadata, what belongs to a connection is not', () => {
  const headers = {
    traceparent: '00-a',
    'idempotency-key': 'k',
    host: 'x',
    'x-timeout-ms': '5',
    'x-name': 'Ä',
    'grpc-timeout': '1S',
    'Not A Key': 'a',
  }
  expect(headersOf(metadataOf(headers))).toEqual({ traceparent: '00-a', 'idempotency-key': 'k' })
})
