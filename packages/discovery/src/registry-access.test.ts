import { expect, test } from 'vitest'
import { accessOf, readAccessRules } from './registry-access.ts'

const rules = readAccessRules({
  tokens: [
    { name: 'orders', secret: 's1', services: { orders: 'write', 'orders-internal': 'deny', '': 'read' } },
    { name: 'operator', secret: 's2', services: { '': 'write' }, node: 'write' },
    { name: 'nobody', secret: 's3' },
  ],
  anonymous: { services: { public: 'read' } },
})
const find = accessOf(rules)

test.each([
  ['s1', 'orders', 'write', true],
  ['s1', 'orders-eu', 'write', true],
  ['s1', 'orders-internal', 'read', false],
  ['s1', 'billing', 'read', true],
  ['s1', 'billing', 'write', false],
  ['s2', 'anything', 'write', true],
  ['s3', 'orders', 'read', false],
  ['', 'public-api', 'read', true],
  ['', 'public-api', 'write', false],
  ['', 'orders', 'read', false],
] as const)('the longest prefix that fits counts: token "%s" on "%s" to %s: %s', (token, service, what, may) => {
  expect(find(token)?.mayService(service, what)).toBe(may)
})

test('nodes are written by those who are told so', () => {
  expect(['s1', 's2', ''].map((token) => find(token)?.mayWriteNode)).toEqual([false, true, false])
})

test('a token that is none has no access, and none is needed where there are no rules', () => {
  expect(find('wrong')).toBeUndefined()
  expect(accessOf({ tokens: [] })('')).toBeUndefined()
  expect(accessOf(undefined)('')?.mayService('x', 'write')).toBe(true)
})

test('a name with "_" and capitals is taken as it stands', () => {
  const one = accessOf(readAccessRules({ tokens: [{ name: 'a', secret: 's', services: { Order_Items: 'read' } }] }))('s')
  expect(one?.mayService('Order_Items', 'read')).toBe(true)
  expect(one?.mayService('orderitems', 'read')).toBe(false)
})

test.each([
  [[], 'wanted an object'],
  [{ tokens: [{ secret: 's' }] }, '"tokens[0].name" is missing'],
  [{ tokens: [{ name: 'a' }] }, '"tokens[0].secret" is missing'],
  [{ tokens: [{ name: 'a', secret: 's', services: { x: 'admin' } }] }, '"tokens[0].services.x" is "admin", wanted deny, read, write'],
  [{ tokens: [{ name: 'a', secret: 's', node: 'all' }] }, '"tokens[0].node" is "all", wanted read, write'],
  [{ tokens: [{ name: 'a', secret: 's', rules: '' }] }, 'unknown field "tokens[0].rules"'],
  [
    {
      tokens: [
        { name: 'a', secret: 's' },
        { name: 'b', secret: 's' },
      ],
    },
    'the secret of "b" twice',
  ],
  [
    {
      tokens: [
        { name: 'a', secret: 's' },
        { name: 'a', secret: 't' },
      ],
    },
    'the name of "a" twice',
  ],
])('a token file that is wrong is told where: %j', (json, message) => {
  expect(() => readAccessRules(json)).toThrow(message)
})
