import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { placesOf, type RouteKey, type RouteQuestion, routeTable } from './route-table.ts'

type Named = RouteKey & { id: string }

const route = (id: string, path: string, more: Partial<RouteKey> = {}): Named => ({
  id,
  path,
  exact: false,
  methods: [],
  hosts: [],
  ...more,
})

const find = (routes: readonly Named[], path: string, more: Partial<RouteQuestion> = {}) =>
  routeTable(routes).match({ method: 'GET', host: 'shop.example', path, query: '', rawHeaders: [], ...more })

describe('route table', () => {
  const orders = route('orders', '/api/orders')
  const rest = route('rest', '/')

  it('takes a prefix in whole segments', () => {
    expect(find([orders], '/api/orders').route).toBe(orders)
    expect(find([orders], '/api/orders/1/lines').route).toBe(orders)
    expect(find([orders], '/api/orders2').route).toBeUndefined()
    expect(find([orders], '/api').route).toBeUndefined()
  })

  it('takes the longer path whatever the order in the file', () => {
    for (const routes of [
      [rest, orders],
      [orders, rest],
    ]) {
      expect(find(routes, '/api/orders/1').route).toBe(orders)
      expect(find(routes, '/legacy').route).toBe(rest)
      expect(find(routes, '/').route).toBe(rest)
    }
  })

  it('ignores a slash at the end', () => {
    expect(find([route('a', '/a', { exact: true })], '/a/').route?.id).toBe('a')
    expect(find([route('a', '/a/')], '/a').route?.id).toBe('a')
    expect(find([route('a', '/a/{id}', { exact: true })], '/a/').route).toBeUndefined()
  })

  it('gives the parameters of the path', () => {
    expect(find([route('a', '/users/{id}/orders/{order}')], '/users/7/orders/a%2Fb/lines')).toMatchObject({
      route: { id: 'a' },
      params: { id: '7', order: 'a%2Fb' },
    })
  })

  it('prefers a plain segment to a parameter, and goes back to the parameter when the plain one leads nowhere', () => {
    const me = route('me', '/users/me/cart')
    const any = route('any', '/users/{id}/orders')
    expect(find([any, me], '/users/me/cart').route?.id).toBe('me')
    expect(find([any, me], '/users/me/orders').route?.id).toBe('any')
    expect(find([route('p', '/{x}'), route('s', '/a')], '/a').route?.id).toBe('s')
  })

  it('prefers a host, then a wildcard host, then none', () => {
    const routes = [rest, route('wild', '/', { hosts: ['*.example'] }), route('host', '/', { hosts: ['shop.example'] })]
    expect(find(routes, '/').route?.id).toBe('host')
    expect(find(routes, '/', { host: 'a.b.example' }).route?.id).toBe('wild')
    expect(find(routes, '/', { host: 'example' }).route?.id).toBe('rest')
    expect(find(routes, '/', { host: '.example' }).route?.id).toBe('rest')
  })

  it('lets HEAD in where GET is', () => {
    expect(find([route('a', '/a', { methods: ['GET'] })], '/a', { method: 'HEAD' }).route?.id).toBe('a')
  })

  it('finds one of very many hosts of one path without a look at the others', () => {
    let looks = 0
    const routes = Array.from({ length: 5_000 }, (_, index) => {
      const one = route(`r${index}`, '/', { hosts: [`shop-${index}.example`] })
      const get = () => {
        looks += 1
        return false
      }
      return Object.defineProperty(one, 'exact', { get })
    })
    const table = routeTable(routes)
    looks = 0
    const answer = table.match({ method: 'GET', host: 'shop-4321.example', path: '/a', query: '', rawHeaders: [] })
    expect([answer.route?.id, looks]).toEqual(['r4321', 1])
    const none = table.match({ method: 'GET', host: 'other.example', path: '/a', query: '', rawHeaders: [] })
    expect([none.route, looks]).toEqual([undefined, 1])
  })

  it('says which methods the path would take when only the method does not fit', () => {
    const routes = [route('a', '/a', { methods: ['POST', 'PUT'] }), route('b', '/b')]
    expect(find(routes, '/a')).toEqual({ route: undefined, allow: ['POST', 'PUT'] })
    expect(find(routes, '/c')).toEqual({ route: undefined, allow: [] })
  })

  it('falls through to a less specific route when the method does not fit', () => {
    expect(find([route('a', '/a', { methods: ['POST'] }), rest], '/a').route?.id).toBe('rest')
  })

  it('knows routes that no request tells apart', () => {
    const areOne = (one: RouteKey, other: RouteKey) => placesOf(one).some((place) => placesOf(other).includes(place))
    expect(areOne(route('a', '/a/{x}'), route('b', '/a/{y}/'))).toBe(true)
    expect(areOne(route('a', '/a'), route('b', '/a', { methods: ['GET'] }))).toBe(false)
    expect(areOne(route('a', '/a', { methods: ['GET', 'PUT'] }), route('b', '/a', { methods: ['GET'] }))).toBe(true)
    expect(areOne(route('a', '/a'), route('b', '/a', { exact: true }))).toBe(false)
    expect(areOne(route('a', '/a', { hosts: ['a.x', 'b.x'] }), route('b', '/a', { hosts: ['b.x'] }))).toBe(true)
    expect(areOne(route('a', '/a', { hosts: ['a.x'] }), route('b', '/a'))).toBe(false)
  })

  it('answers as a search through all routes would, for any routes and requests', () => {
    const segment = fc.constantFrom('a', 'b', 'c')
    const pattern = fc
      .array(fc.oneof(segment, segment, fc.constantFrom('{x}', '{y}')), { maxLength: 4 })
      .map((parts) => `/${parts.join('/')}`)
    const key = fc.record({
      path: pattern,
      exact: fc.boolean(),
      methods: fc.subarray(['GET', 'POST', 'PUT']),
      hosts: fc.subarray(['a.x', '*.x', '*.b.x']),
      headers: fc.option(fc.constantFrom({ v: '1' }, { v: '2' }, { v: '*' }, { v: '1', w: '*' }), { nil: undefined }),
      query: fc.option(fc.constantFrom({ q: '1' }, { q: '*' }), { nil: undefined }),
    })
    const question = fc.record({
      method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD'),
      host: fc.constantFrom('a.x', 'b.x', 'c.b.x', 'y'),
      path: fc.array(segment, { maxLength: 5 }).map((parts) => `/${parts.join('/')}`),
      query: fc.constantFrom('', '?q=1', '?q=2', '?q=1&q=1', '?r=1'),
      rawHeaders: fc.constantFrom<string[]>([], ['V', '1'], ['v', '2'], ['V', '1', 'W', 'x'], ['V', '1', 'v', '1']),
    })
    fc.assert(
      fc.property(fc.array(key, { maxLength: 12 }), question, (keys, asked) => {
        const routes = keys.map((each, index) => ({ ...each, id: String(index) }))
        expect(routeTable(routes).match(asked).route?.id).toBe(naive(routes, asked)?.id)
      }),
      { numRuns: 2_000 },
    )
  })
})

/** All that fit, then the first by each rule in turn: written independently of the tree. */
function naive(routes: readonly Named[], { method, host, path, query, rawHeaders }: RouteQuestion): Named | undefined {
  const asked = path.split('/').filter(Boolean)
  const fits = routes.flatMap((each) => {
    const wanted = each.path.split('/').filter(Boolean)
    const pathFits =
      wanted.every((part, index) => asked[index] !== undefined && (part.startsWith('{') || part === asked[index])) &&
      (!each.exact || wanted.length === asked.length)
    const methodFits = each.methods.length === 0 || each.methods.some((one) => one === method || (one === 'GET' && method === 'HEAD'))
    const hostScores = (each.hosts.length === 0 ? [''] : each.hosts)
      .filter((one) => one === '' || one === host || (one.startsWith('*') && host.endsWith(one.slice(1))))
      .map((one) => (one === '' ? 0 : one === host ? 99 : one.length))
    const pairs = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1] ?? ''] as const] : []))
    const has = (found: readonly string[], wanted: string) =>
      wanted === '*' ? found.length > 0 : found.length === 1 && found[0] === wanted
    const headersFit = Object.entries(each.headers ?? {}).every(([name, wanted]) =>
      has(
        pairs.flatMap(([is, value]) => (is === name ? [value] : [])),
        wanted,
      ),
    )
    const queryFits = Object.entries(each.query ?? {}).every(([name, wanted]) => has(new URLSearchParams(query).getAll(name), wanted))
    if (!pathFits || !methodFits || !headersFit || !queryFits || hostScores.length === 0) return []
    const shape = wanted.map((part) => (part.startsWith('{') ? '0' : '1')).join('')
    return [
      {
        each,
        score: [
          Math.max(...hostScores),
          each.exact ? 1 : 0,
          wanted.length,
          shape,
          each.methods.length > 0 ? 1 : 0,
          Object.keys(each.headers ?? {}).length,
          Object.keys(each.query ?? {}).length,
        ],
      },
    ]
  })
  return fits.reduce<(typeof fits)[number] | undefined>((best, next) => {
    if (!best) return next
    for (const [index, value] of next.score.entries()) {
      const other = best.score[index] ?? 0
      if (value !== other) return value > other ? next : best
    }
    return best
  }, undefined)?.each
}
