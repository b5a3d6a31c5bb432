import { describe, expect, it } from 'vitest'
import { readRequestHead } from './request-head.ts'

const HEAD = [':method', 'GET', ':path', '/a', ':scheme', 'https', ':authority', 'shop.example']

describe('the head of a request of HTTP/2', () => {
  it('is said as HTTP/1.1 says it', () => {
    const rawHeaders = ['host', 'shop.example', 'accept', '*/*', 'content-length', '0']
    expect(readRequestHead([...HEAD, 'accept', '*/*'], true)).toEqual({ method: 'GET', url: '/a', rawHeaders })
  })

  it('has a body of unknown length when it does not end the stream', () => {
    expect(readRequestHead(HEAD, false)).toMatchObject({ rawHeaders: ['host', 'shop.example'] })
    expect(readRequestHead([...HEAD, 'content-length', '3'], false)).toMatchObject({
      rawHeaders: ['host', 'shop.example', 'content-length', '3'],
    })
  })

  it('joins the crumbs of a cookie', () => {
    expect(readRequestHead([...HEAD, 'cookie', 'a=1', 'cookie', 'b=2'], false)).toMatchObject({
      rawHeaders: ['host', 'shop.example', 'cookie', 'a=1; b=2'],
    })
  })

  it('is refused with two names for one host', () => {
    expect(readRequestHead([...HEAD, 'host', 'other.example'], true)).toHaveProperty('refused')
    expect(readRequestHead([...HEAD, 'host', 'SHOP.example'], true)).not.toHaveProperty('refused')
    expect(readRequestHead([...HEAD.slice(0, 6), 'host', 'a', 'host', 'b'], true)).toHaveProperty('refused')
  })

  it.each(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings'])(
    'is refused with %s',
    (name) => {
      expect(readRequestHead([...HEAD, name, 'x'], true)).toHaveProperty('refused')
    },
  )

  it('may say te: trailers, and nothing else in te', () => {
    expect(readRequestHead([...HEAD, 'te', 'trailers'], true)).not.toHaveProperty('refused')
    expect(readRequestHead([...HEAD, 'te', 'gzip'], true)).toHaveProperty('refused')
  })
})
