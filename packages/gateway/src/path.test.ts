import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { normalisePath, readTarget, segmentsOf } from './path.ts'

describe('normalise path', () => {
  it.each([
    ['/', '/'],
    ['/api/orders', '/api/orders'],
    ['/api/orders/', '/api/orders/'],
    ['/pub/../admin', '/admin'],
    ['/pub/%2e%2e/admin', '/admin'],
    ['/pub/%2E./admin', '/admin'],
    ['/a/./b', '/a/b'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/..', '/'],
    ['/../../etc', '/etc'],
    ['//admin', '/admin'],
    ['/a//b///c', '/a/b/c'],
    ['/a//../b', '/b'],
    ['/%61dmin', '/admin'],
    ['/a%2fb', '/a%2Fb'],
    ['/a%2F..%2Fb', '/a%2F..%2Fb'],
    ['/v1/users%3Abatch', '/v1/users:batch'],
    ['/a%20b', '/a%20b'],
    ['/caf\u00c3\u00a9', '/caf%C3%A9'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/.well-known/jwks.json', '/.well-known/jwks.json'],
    ['/...', '/...'],
    ['/%252e%252e/a', '/%252e%252e/a'],
    ['/a;b=c', '/a;b=c'],
  ])('makes %s into %s', (raw, wanted) => {
    expect(normalisePath(raw)).toBe(wanted)
  })

  it.each([
    ['', 'does not start'],
    ['*', 'does not start'],
    ['admin', 'does not start'],
    ['/a\\b', 'backslash'],
    ['/a%5cb', 'backslash'],
    ['/a%5Cb', 'backslash'],
    ['/a%00', 'NUL'],
    ['/a%', 'escape'],
    ['/a%2', 'escape'],
    ['/a%zz', 'escape'],
    ['/a\0b', 'character'],
    ['/a b', 'character'],
    ['/a/..;/b', 'dot segment'],
    ['/a/%2e%2e%3b/b', 'dot segment'],
    ['/a/.;x=1', 'dot segment'],
  ])('rejects %j', (raw, why) => {
    expect(normalisePath(raw)).toEqual({ rejected: expect.stringContaining(why) })
  })

  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%2F',
    'a',
    'B',
    '%41',
    '%c3%a9',
    '%3b',
    ';',
    '%25',
    ':',
    '~',
    '\u00e9',
    '%7e',
    '//',
  )
  const path = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`),
    fc.string().map((text) => `/${text}`),
  )

  it('changes nothing the second time, for any path', () => {
    fc.assert(
      fc.property(path, (raw) => {
        const once = normalisePath(raw)
        if (typeof once === 'string') expect(normalisePath(once)).toBe(once)
      }),
      { numRuns: 5_000 },
    )
  })

  it('never yields a dot segment, an empty segment inside or a spelling of a plain letter, for any path', () => {
    fc.assert(
      fc.property(path, (raw) => {
        const normal = normalisePath(raw)
        if (typeof normal !== 'string') return
        const segments = segmentsOf(normal)
        expect(segments.map((segment) => decodeOnce(segment))).not.toContain('..')
        expect(segments.map((segment) => decodeOnce(segment))).not.toContain('.')
        expect(segments.slice(0, -1)).not.toContain('')
        expect(normal).not.toMatch(/%(?:4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a]|3[0-9]|2[de]|5f|7e)/i)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('read target', () => {
  it('keeps the query byte for byte', () => {
    expect(readTarget('/a/../b?x=%2e%2E/../&a=1&a=2?&é')).toEqual({ authority: undefined, path: '/b', query: '?x=%2e%2E/../&a=1&a=2?&é' })
  })

  it('takes the authority out of an absolute target', () => {
    expect(readTarget('http://shop.example:80/a?b')).toEqual({ authority: 'shop.example:80', path: '/a', query: '?b' })
    expect(readTarget('HTTP://shop.example')).toEqual({ authority: 'shop.example', path: '/', query: '' })
    expect(readTarget('http://shop.example?x')).toEqual({ authority: 'shop.example', path: '/', query: '?x' })
  })

  it.each(['*', '', 'shop.example:443', '/a#b', '/a\tb', '/a?b\0', 'ftp://x/y'])('rejects %j', (target) => {
    expect(readTarget(target)).toHaveProperty('rejected')
  })
})

/** What a server that decodes would see of a segment. */
function decodeOnce(segment: string): string {
  return segment.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}
