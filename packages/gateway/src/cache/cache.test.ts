import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HeaderList } from '../headers.ts'
import { cacheControlOf } from './cache-control.ts'
import { ageMs, type Entry, initialAgeMs, isAbout, lifetimeMs, mergedHeaders, varyingOf } from './entry.ts'
import { give } from './give.ts'
import { judge, mayStandIn } from './judge.ts'
import { mayStore } from './may-store.ts'
import { cacheStore } from './store.ts'

const NOW = Date.parse('2026-11-26T12:00:00Z')
const date = (seconds: number) => new Date(NOW + seconds * 1_000).toUTCString()
const control = (value: string) => cacheControlOf(value === '' ? [] : ['cache-control', value])

function entry(headers: HeaderList, more: Partial<Entry> = {}): Entry {
  const said = cacheControlOf(headers)
  return {
    ...{ status: 200, headers, body: Buffer.from('body'), control: said, varying: new Map<string, string>() },
    ...{ initialAgeMs: 0, receivedAt: 0, lifetimeMs: lifetimeMs(headers, said, NOW) ?? 0 },
    ...more,
  }
}

describe('how long an answer is fresh', () => {
  it.each<[HeaderList, number | undefined]>([
    [['cache-control', 'max-age=60'], 60_000],
    [['cache-control', 'max-age=60, s-maxage=10'], 10_000],
    [['cache-control', 's-maxage=nonsense, max-age=60'], 0],
    [['cache-control', 'max-age=60', 'expires', date(5)], 60_000],
    [['expires', date(60), 'date', date(0)], 60_000],
    [['expires', date(60)], 60_000],
    [['expires', '0'], 0],
    [['expires', '2027-01-01'], 0],
    [['expires', '2099 GMT'], 0],
    [['expires', 'Thu Nov 26 12:01:00 2026', 'date', date(0)], 60_000],
    [['expires', date(-5)], 0],
    [['expires', date(5), 'expires', date(500)], 0],
    [['last-modified', date(-1_000)], undefined],
  ])('%j: %s ms', (headers, ms) => {
    expect(lifetimeMs(headers, cacheControlOf(headers), NOW)).toBe(ms)
  })

  it.each<[HeaderList, number]>([
    [[], 2_000],
    [['age', '10'], 12_000],
    [['age', 'old'], 2_000],
    [['age', '-5'], 2_000],
    [['age', '1e9'], 2_000],
    [['age', '10, 99'], 12_000],
    [['age', '10', 'age', '99'], 12_000],
    [['age', '99999999999999999999'], 2 ** 31 * 1_000 + 2_000],
    [['date', date(-60)], 60_000],
    [['date', date(-60), 'age', '100'], 102_000],
    [['date', date(60)], 2_000],
    [['date', 'yesterday'], 2_000],
  ])('of %j the age was %s ms when it came, after 2 s', (headers, ms) => {
    expect(initialAgeMs(headers, { askedAt: 0, receivedAt: 2_000, now: NOW })).toBe(ms)
  })
})

describe('what is kept', () => {
  const may = (
    said: string,
    more: { status?: number; headers?: HeaderList; asked?: string; request?: HeaderList; subject?: string; defaultTtlMs?: number } = {},
  ) => {
    const headers = [...(said === '' ? [] : ['cache-control', said]), ...(more.headers ?? [])]
    const directives = cacheControlOf(headers)
    return mayStore({ headers: more.request ?? [], subject: more.subject }, control(more.asked ?? ''), {
      ...{ status: more.status ?? 200, headers, control: directives, defaultTtlMs: more.defaultTtlMs ?? 0 },
      saidMs: lifetimeMs(headers, directives, NOW),
    })
  }
  const token = ['authorization', 'Bearer x']

  it.each([
    ['a lifetime', may('max-age=60'), true],
    ['nothing said', may(''), false],
    ['a validator', may('', { headers: ['etag', '"1"'] }), true],
    ['no lifetime, but a validator', may('no-cache', { headers: ['etag', '"1"'] }), true],
    ['no-store', may('no-store, max-age=60'), false],
    ['private', may('private, max-age=60'), false],
    ['private of a field', may('private="x", max-age=60'), false],
    ['must-understand with no-store', may('must-understand, no-store, max-age=60'), true],
    ['must-understand of a status that is not known', may('must-understand, max-age=60', { status: 299 }), false],
    ['a cookie', may('max-age=60', { headers: ['set-cookie', 'a=1'] }), false],
    ['a cookie that is public', may('public, max-age=60', { headers: ['Set-Cookie', 'a=1'] }), false],
    ['a part', may('max-age=60', { status: 206 }), false],
    ['a failure', may('max-age=60', { status: 500 }), false],
    ['a redirect by its own word', may('max-age=60', { status: 302 }), true],
    ['a redirect without a word', may('', { status: 302, headers: ['etag', '"1"'] }), false],
    ['no-store of the client', may('max-age=60', { asked: 'no-store' }), false],
    ['a token', may('max-age=60', { request: token }), false],
    ['a token and public', may('public, max-age=60', { request: token }), true],
    ['a token and s-maxage', may('s-maxage=60', { request: token }), true],
    ['a token and must-revalidate', may('must-revalidate, max-age=60', { request: token }), true],
    ['who a plugin found out', may('max-age=60', { subject: 'ada' }), false],
    ['who a plugin found out, and public', may('max-age=60, public', { subject: 'ada' }), true],
    ['nothing said, by default', may('', { defaultTtlMs: 1 }), true],
    ['nothing said, by default, to a cookie', may('', { defaultTtlMs: 1, request: ['cookie', 'a=1'] }), false],
    ['a lifetime, to a cookie', may('max-age=60', { request: ['cookie', 'a=1'] }), true],
    ['a refusal, by default', may('', { defaultTtlMs: 1, status: 405 }), false],
    ['no-store, badly written', may('no-store; max-age=0', { defaultTtlMs: 1 }), false],
  ])('%s: %s', (_, is, wanted) => {
    expect(is).toBe(wanted)
  })

  it('is for requests alike in what Vary names', () => {
    expect(varyingOf(['vary', 'Accept, x-a', 'Vary', 'accept'], ['ACCEPT', 'a ,b', 'accept', 'c'])).toEqual(
      new Map([
        ['accept', 'a,b,c'],
        ['x-a', ''],
      ]),
    )
    expect(varyingOf(['vary', 'accept, *'], [])).toBeUndefined()
  })

  it('is told apart by a header in a time that grows as its length does', () => {
    const blanks = `a${' '.repeat(200_000)}b`
    const before = performance.now()
    expect(varyingOf(['vary', 'accept'], ['accept', blanks])).toEqual(new Map([['accept', blanks]]))
    expect(performance.now() - before).toBeLessThan(10_000)
  })
})

describe('what is given', () => {
  const stored = entry(['cache-control', 'max-age=60'])
  it.each([
    ['', 59, 'fresh'],
    ['', 60, 'ask'],
    ['no-cache', 0, 'ask'],
    ['max-age=10', 10, 'fresh'],
    ['max-age=10', 11, 'ask'],
    ['max-age=nonsense', 1, 'ask'],
    ['min-fresh=30', 30, 'fresh'],
    ['min-fresh=30', 31, 'ask'],
    ['min-fresh=0', 60, 'ask'],
    ['min-fresh=nonsense', 0, 'ask'],
    ['max-stale', 10_000, 'fresh'],
    ['max-stale=10', 70, 'fresh'],
    ['max-stale=10', 71, 'ask'],
  ])('asked %s at an age of %d s of 60: %s', (asked, age, verdict) => {
    expect(judge(stored, control(asked), age * 1_000)).toBe(verdict)
  })

  it.each([
    ['max-age=60, must-revalidate', 'max-stale', 61, 'ask'],
    ['max-age=60, proxy-revalidate', 'max-stale', 61, 'ask'],
    ['s-maxage=60', 'max-stale', 61, 'ask'],
    ['max-age=60, no-cache', '', 0, 'ask'],
    ['max-age=60, stale-while-revalidate=30', '', 80, 'stale, asked later'],
    ['max-age=60, stale-while-revalidate=30', '', 90, 'ask'],
    ['max-age=60, stale-while-revalidate=30, must-revalidate', '', 80, 'ask'],
  ])('%s, asked %s, at %d s: %s', (said, asked, age, verdict) => {
    expect(judge(entry(['cache-control', said]), control(asked), age * 1_000)).toBe(verdict)
  })

  it.each([
    ['max-age=60', 0, 61, false],
    ['max-age=60', 10, 69, true],
    ['max-age=60', 10, 70, false],
    ['max-age=60, stale-if-error=30', 0, 89, true],
    ['max-age=60, stale-if-error=30, must-revalidate', 100, 61, false],
  ])('%s stands in for a failure, by default for %d s, at %d s: %s', (said, defaultS, age, wanted) => {
    expect(mayStandIn(entry(['cache-control', said]), control(''), age * 1_000, defaultS * 1_000)).toBe(wanted)
  })

  it('agrees with a naive count of what is fresh', () => {
    const seconds = fc.nat(200)
    fc.assert(
      fc.property(seconds, seconds, seconds, fc.option(seconds), fc.option(seconds), (lifetime, before, since, most, least) => {
        const asked = [most === null ? '' : `max-age=${most}`, least === null ? '' : `min-fresh=${least}`].filter(Boolean).join(', ')
        const one = entry(['cache-control', `max-age=${lifetime}`], { initialAgeMs: before * 1_000 })
        const age = before + since
        const isFresh = age < lifetime && age + (least ?? 0) <= lifetime && (most === null || age <= most)
        expect(ageMs(one, since * 1_000)).toBe(age * 1_000)
        expect(judge(one, control(asked), since * 1_000)).toBe(isFresh ? 'fresh' : 'ask')
      }),
    )
  })

  const tagged = entry(['etag', '"a,b"', 'last-modified', date(-100), 'content-type', 'text/plain', 'x-a', '1'])
  it.each<[HeaderList, number]>([
    [[], 200],
    [['if-none-match', '"a,b"'], 304],
    [['if-none-match', '"x", W/"a,b"'], 304],
    [['if-none-match', '*'], 304],
    [['if-none-match', '"b"'], 200],
    [['if-none-match', '"b"', 'if-modified-since', date(0)], 200],
    [['if-modified-since', date(-100)], 304],
    [['if-modified-since', date(-101)], 200],
    [['if-modified-since', 'then'], 200],
  ])('asked on the condition %j: %s', (headers, status) => {
    const answer = give({ method: 'GET', headers }, tagged, 5_500)
    expect(answer.status).toBe(status)
    expect(answer.headers).toContain('age')
    expect(answer.body === undefined).toBe(status === 304)
  })

  it('answers HEAD with the length of what GET would bring', () => {
    const { body, headers } = give({ method: 'HEAD', headers: [] }, tagged, 0)
    expect([body, headers.slice(-2)]).toEqual([undefined, ['content-length', '4']])
  })

  it('takes from a 304 what it says, but not what belongs to the body', () => {
    const stored = entry(['etag', '"1"', 'content-type', 'text/plain', 'content-length', '4', 'x-a', 'old', 'x-b', 'stays'])
    const said = [
      'etag',
      'W/"1"',
      'content-type',
      'text/html',
      'content-length',
      '0',
      'x-a',
      'new',
      'age',
      '3',
      'cache-control',
      'max-age=9',
    ]
    expect(mergedHeaders(stored, said)).toEqual([
      ...['etag', '"1"', 'content-type', 'text/plain', 'content-length', '4'],
      ...['x-b', 'stays', 'x-a', 'new', 'cache-control', 'max-age=9'],
    ])
  })

  it.each<[HeaderList, HeaderList, boolean]>([
    [['etag', '"1"'], ['etag', '"1"'], true],
    [['etag', '"1"'], ['ETag', 'W/"1"'], true],
    [['etag', '"1"'], [], true],
    [['last-modified', date(0)], ['etag', '"1"'], true],
    [['etag', '"1"'], ['etag', '"2"'], false],
  ])('of an answer with %j a 304 with %j says something: %s', (stored, said, wanted) => {
    expect(isAbout(entry(stored), said)).toBe(wanted)
  })
})

describe('the store', () => {
  const of = (bytes: number, varying: [string, string][] = []) => entry([], { body: Buffer.alloc(bytes), varying: new Map(varying) })

  it('never holds more than it may, and lets those go that were not asked for the longest', () => {
    const store = cacheStore(10_000)
    for (const key of ['a', 'b', 'c']) store.put(key, of(2_500), [])
    expect(store.find('a', [])).toBeDefined()
    store.put('d', of(2_500), [])
    expect(['a', 'b', 'c', 'd'].map((key) => store.has(key))).toEqual([true, false, true, true])
    expect(store.bytes).toBeLessThanOrEqual(10_000)
    for (const key of ['a', 'c', 'd']) store.remove(key)
    expect(store.bytes).toBe(0)
  })

  it('has an answer for each that Vary tells apart, up to sixteen', () => {
    const store = cacheStore(1_000_000)
    for (let n = 0; n < 20; n += 1) store.put('a', of(n, [['accept', String(n)]]), ['accept', String(n)])
    expect(store.find('a', ['accept', '0'])).toBeUndefined()
    expect(store.find('a', ['accept', '19'])?.body.length).toBe(19)
    store.put('a', of(500, [['accept', '19']]), ['accept', '19'])
    expect(store.find('a', ['Accept', '19'])?.body.length).toBe(500)
  })

  it('drops one answer of a key, and that one only', () => {
    const store = cacheStore(100_000)
    const [german, french] = [of(1, [['accept', 'de']]), of(1, [['accept', 'fr']])]
    store.put('a', german, ['accept', 'de'])
    store.put('a', french, ['accept', 'fr'])
    store.drop('a', german)
    store.drop('a', german)
    expect([store.find('a', ['accept', 'de']), store.find('a', ['accept', 'fr'])]).toEqual([undefined, french])
    store.drop('a', french)
    expect([store.has('a'), store.bytes]).toEqual([false, 0])
  })

  it('counts its bytes right, whatever is done to it', () => {
    const action = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      bytes: fc.nat(3_000),
      accept: fc.constantFrom('x', 'y'),
      removes: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(action), (actions) => {
        const store = cacheStore(8_000)
        for (const { key, bytes, accept, removes } of actions) {
          if (removes) store.remove(key)
          else store.put(key, of(bytes, [['accept', accept]]), ['accept', accept])
          expect(store.bytes).toBeGreaterThanOrEqual(0)
          expect(store.bytes).toBeLessThanOrEqual(8_000)
        }
        for (const key of ['a', 'b', 'c']) store.remove(key)
        expect(store.bytes).toBe(0)
      }),
    )
  })
})
