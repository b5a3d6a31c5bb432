import { describe, expect, it } from 'vitest'
import { grpcAnswer, grpcTimeout, grpcTimeoutMs, isGrpc } from './grpc.ts'
import { problem } from './problem.ts'

describe('gRPC', () => {
  it.each([
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc;charset=utf-8', true],
    ['application/grpc-web', false],
    ['application/json', false],
  ])('is known by its content type: %s', (type, isOne) => {
    expect(isGrpc(['Content-Type', type])).toBe(isOne)
  })

  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['1500m', 1_500],
    ['2000u', 2],
    ['5000000n', 5],
    ['123456789m', undefined],
    ['1.5S', undefined],
    ['1s', undefined],
    ['', undefined],
  ])('reads a timeout: %s', (value, ms) => {
    expect(grpcTimeoutMs(['grpc-timeout', value])).toBe(ms)
  })

  it('writes a timeout, of at least a millisecond and at most eight digits', () => {
    expect([1_500.9, 0, -3, 99_999_999, 100_000_000].map(grpcTimeout)).toEqual(['1500m', '1m', '1m', '99999999m', '100000S'])
  })

  it('has problems of the gateway as a status and a message', () => {
    const { status, headers, body } = grpcAnswer(problem({ status: 503, code: 'ERR_X', detail: 'not "now", é 100 %', retryAfterMs: 1_000 }))
    expect([status, body]).toEqual([200, undefined])
    expect(headers).toEqual([
      'content-type',
      'application/grpc',
      'grpc-status',
      '14',
      'grpc-message',
      'not "now", %C3%A9 100 %25',
      'retry-after',
      '1',
    ])
  })

  it('leaves answers of gRPC alone', () => {
    const answer = { status: 200, headers: ['content-type', 'application/grpc+proto'], body: 'x' }
    expect(grpcAnswer(answer)).toBe(answer)
  })

  it('says of another answer what status it had', () => {
    expect(grpcAnswer({ status: 418, headers: [], body: '<html>' }).headers).toContain('the answer has the status 418 of HTTP')
  })
})
