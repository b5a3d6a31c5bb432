import { expect, it } from 'vitest'
import { schemasOf } from './schemas.ts'

const root = { components: { schemas: { Items: { type: 'array', uniqueItems: true }, Any: { type: 'array', uniqueItems: false } } } }
const schemas = schemasOf({ file: 'shop.yaml', root })
const check = schemas.body('/components/schemas/Items')

it.each<[unknown[], boolean]>([
  [[], true],
  [[1, '1', true, null, [1], { a: 1 }], true],
  [[1, 2, 1.0], false],
  [[null, null], false],
  [
    [
      { a: 1, b: [2, { c: 3, d: 4 }] },
      { b: [2, { d: 4, c: 3 }], a: 1 },
    ],
    false,
  ],
  [[{ a: 1 }, { a: 1, b: 2 }], true],
  [[['a', 'b'], ['a,b']], true],
  [[JSON.parse('{"__proto__":1}'), {}], true],
])('items of %j are unlike each other: %s', (items, wanted) => {
  expect(check(items)).toEqual(wanted ? [] : [{ in: 'body', at: '', message: expect.stringMatching(/^must NOT have duplicate items/) }])
  expect(schemas.body('/components/schemas/Any')(items)).toEqual([])
})

it('finds out in a time that grows as the list does', () => {
  const items = Array.from({ length: 20_000 }, (_, n) => ({ n }))
  const before = performance.now()
  expect(check(items)).toEqual([])
  expect(performance.now() - before).toBeLessThan(10_000)
})
