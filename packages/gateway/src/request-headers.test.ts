import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isForwardedHeader } from './forwarded.ts'
import { endToEnd, headerOf, headerValues, isIdentityHeader } from './headers.ts'
import { readRequestHeaders } from './request-headers.ts'

const names = [
  ...['Host', 'host', 'Content-Length', 'Transfer-Encoding', 'AUTHORIZATION', 'X-Request-Id', 'Via', 'Connection', 'connection'],
  ...['Keep-Alive', 'TE', 'Upgrade', 'Proxy-Authorization', 'HTTP2-Settings', 'Forwarded', 'X-Forwarded-For', 'x_forwarded_proto'],
  ...['X-Auth-Subject', 'x_auth_claims', 'X-Real-IP', 'X-Rewrite-URL', 'Accept', 'X-Custom', 'x-timeout-ms', 'Cookie'],
]
const values = ['', 'a', 'close', 'Keep-Alive', 'keep-alive, X-Custom', 'x-custom,authorization', 'Upgrade', 'cookie', '1']
const headerList = fc
  .array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...values)), { maxLength: 12 })
  .map((pairs): string[] => pairs.flat())

describe('the headers of a request in one pass', () => {
  it('are what they are one by one', () => {
    fc.assert(
      fc.property(headerList, (headers) => {
        const read = readRequestHeaders(headers)
        expect(read.host).toBe(headerOf(headers, 'host'))
        expect(read.contentLength).toBe(headerOf(headers, 'content-length'))
        expect(read.transferEncoding).toBe(headerOf(headers, 'transfer-encoding'))
        expect(read.requestId).toBe(headerOf(headers, 'x-request-id'))
        expect(read.via).toEqual(headerValues(headers, 'via'))
        const ours = (name: string) => isForwardedHeader(name) || isIdentityHeader(name) || name === 'x-request-id'
        expect(read.forwarded).toEqual(endToEnd(headers, ours))
      }),
      { numRuns: 2_000 },
    )
  })

  it('tell of each that may stand once only', () => {
    for (const name of ['Host', 'Content-Length', 'Transfer-Encoding', 'Authorization']) {
      expect(readRequestHeaders([name, 'a', 'Accept', '*/*', name.toLowerCase(), 'a']).repeated).toBe(name.toLowerCase())
      expect(readRequestHeaders([name, 'a']).repeated).toBeUndefined()
    }
    expect(readRequestHeaders(['Via', '1.1 a', 'Via', '1.1 b', 'X-Request-Id', 'a', 'X-Request-Id', 'b']).repeated).toBeUndefined()
  })

  it('keep what a client may not take away by naming it in Connection', () => {
    expect(readRequestHeaders(['Connection', 'x-custom, authorization, close', 'Authorization', 'b', 'X-Custom', 'c']).forwarded).toEqual([
      ...['Authorization', 'b'],
    ])
  })
})
