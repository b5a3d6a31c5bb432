import { api } from '@banyan/core'
import { buildSchema } from 'graphql'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { schemaText } from './schema-text.ts'

const Item = z.object({
  sku: z.string(),
  cents: z.int().min(0),
  left: z.int().min(0).max(1_000),
  state: z.enum(['held', 'released']),
  note: z.string().nullable(),
  tags: z.array(z.string()).optional(),
  extra: z.record(z.string(), z.string()),
})
const stockApi = api('stock', {
  operations: {
    list: {
      method: 'GET',
      path: '/stock',
      summary: 'Everything',
      query: z.object({ page: z.coerce.number().default(1) }),
      response: z.array(Item.meta({ title: 'Item' })),
      protocols: ['graphql'],
    },
    reserve: {
      method: 'POST',
      path: '/stock/{sku}/reservations',
      body: z.object({ quantity: z.int(), to: z.object({ city: z.string() }).optional() }),
      response: z.union([z.string(), z.number()]),
      refusals: ['sold-out'],
      idempotencyKey: 'required',
      protocols: ['http', 'graphql'],
    },
    drop: { method: 'DELETE', path: '/stock/{sku}', protocols: ['graphql'] },
    hidden: { method: 'GET', path: '/hidden' },
  },
})

test('a contract becomes a schema: GET is a query, the rest are mutations', () => {
  const text = schemaText([stockApi])
  expect(text).toMatchInlineSnapshot(`
    "type Query {
      """Everything."""
      list(query: ListQueryInput): [Item!]
    }

    type Item {
      sku: String!
      cents: SafeInt!
      left: Int!
      state: ItemState!
      note: String
      tags: [String!]
      extra: JSON!
    }

    """A whole number between -(2^53 - 1) and 2^53 - 1."""
    scalar SafeInt

    enum ItemState {
      held
      released
    }

    """Any JSON value."""
    scalar JSON @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc8259")

    input ListQueryInput {
      page: Float
    }

    type Mutation {
      """Refuses with the code sold-out."""
      reserve(
        sku: ID!
        body: ReserveInput!

        """
        Makes the call safe to repeat: new for each intent, the same when it is tried again.
        """
        idempotencyKey: String!
      ): JSON

      """True when it is done."""
      drop(sku: ID!): Boolean
    }

    input ReserveInput {
      quantity: SafeInt!
      to: ReserveToInput
    }

    input ReserveToInput {
      city: String!
    }"
  `)
  expect(buildSchema(text).getQueryType()?.name).toBe('Query')
})

test('several contracts make one schema, and what falls together is refused by name', () => {
  const get = (path: `/${string}`, response: z.ZodType) => ({ method: 'GET', path, response, protocols: ['graphql'] }) as const
  const a = api('a', { operations: { one: get('/one', z.object({ x: z.string() }).meta({ title: 'T' })) } })
  const b = api('b', { operations: { two: get('/two', z.object({ x: z.string() }).meta({ title: 'T' })) } })
  const c = api('c', { operations: { one: get('/one', z.string()) } })
  const d = api('d', { operations: { three: get('/three', z.object({ y: z.string() }).meta({ title: 'T' })) } })
  expect(schemaText([a, b])).toContain('type Query {\n  one: T\n  two: T\n}')
  expect(() => schemaText([a, c])).toThrow('two contracts have an operation "one"')
  // Fields of types are made when they are asked for; the name is taken at once.
  expect(() => schemaText([a, d])).toThrow('two schemas of different fields become the type "T"')
  expect(() => schemaText([api('e', { operations: { e: { method: 'GET', path: '/e' } } })])).toThrow('no operation of "e" has "graphql"')
  const odd = api('f', { operations: { 'get-it': get('/f', z.string()) } })
  expect(() => schemaText([odd])).toThrow('"f.get-it" is no name that GraphQL has')
})

test('a schema that contains itself, one with names that GraphQL lacks, and one without fields', () => {
  const Tree = z
    .object({
      id: z.string(),
      get kids() {
        return z.array(Tree)
      },
    })
    .meta({ title: 'Tree' })
  const get = (path: `/${string}`, response: z.ZodType) => ({ method: 'GET', path, response, protocols: ['graphql'] }) as const
  const text = schemaText([
    api('odd', {
      operations: { tree: get('/tree', Tree), odd: get('/odd', z.object({ 'a b': z.string() })), empty: get('/empty', z.object({})) },
    }),
  ])
  expect(text).toContain('type Tree {\n  id: String!\n  kids: [Tree!]!\n}')
  expect(text).toContain('odd: JSON')
  expect(text).toContain('empty: JSON')
})

test('a title that GraphQL has given away is refused by name, as any names that fall together', () => {
  const titled = (title: string) => {
    const response = z.object({ id: z.string(), more: z.unknown() }).meta({ title })
    const operation = { method: 'POST', path: '/a', body: z.object({ a: z.string() }), response, protocols: ['graphql'] } as const
    return api('a', { operations: { put: operation } })
  }
  for (const title of ['Query', 'Mutation', 'String', 'JSON', 'PutInput'])
    expect(() => schemaText([titled(title)])).toThrow(
      expect.objectContaining({
        code: 'ERR_GRAPHQL_CONTRACT',
        message: expect.stringMatching(`^cannot make a GraphQL schema: .* named "${title}"`),
      }),
    )
})
