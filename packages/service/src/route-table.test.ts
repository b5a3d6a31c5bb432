import fc from 'fast-check'
import { expect, test } from 'vitest'
import { routeTable } from './route-table.ts'

function table() {
  const routes = routeTable<string>()
  routes.add('GET', '/orders', 'list')
  routes.add('POST', '/orders', 'place')
  routes.add('GET', '/orders/{id}', 'one')
  routes.add('GET', '/orders/stats', 'stats')
  routes.add('DELETE', '/orders/{orderId}', 'cancel')
  routes.add('GET', '/orders/{id}/items/{item}', 'item')
  return routes
}

test('finds by method and path, parameters decoded', () => {
  expect(table().match('GET', '/orders/a%20b%2Fc/items/%C3%BC')).toEqual({
    kind: 'found',
    value: 'item',
    params: { id: 'a b/c', item: 'ü' },
  })
  expect(table().match('DELETE', '/orders/7')).toEqual({ kind: 'found', value: 'cancel', params: { orderId: '7' } })
})

test('a fixed segment goes before a parameter, for its own methods', () => {
  expect(table().match('GET', '/orders/stats')).toMatchObject({ value: 'stats', params: {} })
  expect(table().match('DELETE', '/orders/stats')).toMatchObject({ value: 'cancel', params: { orderId: 'stats' } })
})

test('a path of other methods names them all', () => {
  expect(table().match('PUT', '/orders/stats')).toEqual({ kind: 'method', allow: ['GET', 'DELETE'] })
})

test('no path, an empty parameter, a trailing slash and a different case are not found', () => {
  for (const path of ['', '/', '/order', '/orders/', '/orders//items/1', '/Orders', '/orders/1/items'])
    expect(table().match('GET', path)).toEqual({ kind: 'none' })
})

test('encoding that encodes nothing is told apart', () => {
  for (const path of ['/orders/%', '/orders/%zz', '/orders/%ff', '/%']) expect(table().match('GET', path)).toEqual({ kind: 'malformed' })
})

test('a sign that parts a path is not the same when it is encoded, a letter is', () => {
  const routes = routeTable<string>()
  routes.add('GET', '/items/@me', 'me')
  routes.add('GET', '/items/{id}', 'one')
  routes.add('GET', '/ü', 'umlaut')
  routes.add('GET', '/100%25', 'percent')
  expect(routes.match('GET', '/100%25')).toMatchObject({ value: 'percent' })
  expect(routes.match('GET', '/items/@%6De')).toMatchObject({ value: 'me' })
  expect(routes.match('GET', '/items/%40me')).toMatchObject({ value: 'one', params: { id: '@me' } })
  expect(routes.match('GET', '/items/%2540me')).toMatchObject({ value: 'one', params: { id: '%40me' } })
  expect(routes.match('GET', '/%C3%BC')).toMatchObject({ value: 'umlaut' })
})

test('one method and path twice is refused', () => {
  expect(() => table().add('GET', '/orders/{key}', 'again')).toThrow('cannot serve GET /orders/{key}: it is served already')
})

test('what was put into a path comes out of it', () => {
  const text = fc.string({ minLength: 1, unit: 'grapheme' })
  fc.assert(
    fc.property(text, text, (id, item) => {
      const match = table().match('GET', `/orders/${encodeURIComponent(id)}/items/${encodeURIComponent(item)}`)
      expect(match).toEqual({ kind: 'found', value: 'item', params: { id, item } })
    }),
  )
})

test('names that objects have of themselves are names like others', () => {
  const routes = routeTable<string>()
  routes.add('GET', '/{constructor}/{__proto__}', 'odd')
  const match = routes.match('GET', '/a/b')
  expect(match.kind === 'found' && Object.entries(match.params)).toEqual([
    ['constructor', 'a'],
    ['__proto__', 'b'],
  ])
  expect(routes.match('GET', '/constructor')).toEqual({ kind: 'none' })
})
