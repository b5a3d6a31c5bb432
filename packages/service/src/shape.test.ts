import type { Schema } from '@banyan/core'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { queryShapeOf, shapeOf } from './shape.ts'

const Product = z.object({ id: z.string(), cents: z.int().min(0), tags: z.array(z.string()).optional() }).meta({ title: 'Product' })

test('an object is its fields, with their names, needs and bounds', () => {
  const { shape, nullable } = shapeOf(Product, 'output')
  expect(nullable).toBe(false)
  expect(shape).toEqual({
    kind: 'object',
    name: 'Product',
    description: undefined,
    closed: true,
    fields: [
      { name: 'id', required: true, nullable: false, description: undefined, shape: { kind: 'text' } },
      {
        name: 'cents',
        required: true,
        nullable: false,
        description: undefined,
        shape: { kind: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      },
      {
        name: 'tags',
        required: false,
        nullable: false,
        description: undefined,
        shape: { kind: 'list', of: { shape: { kind: 'text' }, nullable: false } },
      },
    ],
  })
})

test('what comes in and what goes out differ where a schema fills in', () => {
  const schema = z.object({ note: z.string().default('') })
  const required = (side: 'input' | 'output') => {
    const { shape } = shapeOf(schema, side)
    return shape.kind === 'object' && shape.fields[0]?.required
  }
  expect([required('input'), required('output')]).toEqual([false, true])
})

test('a schema that contains itself makes a ring, not an endless tree', () => {
  const Tree = z
    .object({
      id: z.string(),
      get kids() {
        return z.array(Tree)
      },
    })
    .meta({ id: 'Tree' })
  const { shape } = shapeOf(Tree, 'input')
  const kids = shape.kind === 'object' ? shape.fields[1]?.shape : undefined
  expect(shape).toMatchObject({ kind: 'object', name: 'Tree' })
  expect(kids?.kind === 'list' && kids.of.shape === shape).toBe(true)
})

test.each([
  ['a nullable text', z.string().nullable(), { shape: { kind: 'text' }, nullable: true }],
  ['a few texts', z.enum(['a', 'b']), { shape: { kind: 'text', values: ['a', 'b'] }, nullable: false }],
  ['one text', z.literal('a'), { shape: { kind: 'text', values: ['a'] }, nullable: false }],
  [
    'a map',
    z.record(z.string(), z.number()),
    { shape: { kind: 'map', of: { shape: { kind: 'number' }, nullable: false } }, nullable: false },
  ],
  [
    'an open object',
    z.looseObject({ a: z.string() }),
    { shape: { kind: 'map', of: { shape: { kind: 'any' }, nullable: true } }, nullable: false },
  ],
  ['a union', z.union([z.string(), z.number()]), { shape: { kind: 'any' }, nullable: false }],
  ['a tuple', z.tuple([z.string()]), { shape: { kind: 'any' }, nullable: false }],
  ['what JSON Schema cannot say', z.date(), { shape: { kind: 'any' }, nullable: true }],
])('%s', (_, schema, slot) => {
  expect(shapeOf(schema, 'output')).toEqual(slot)
})

test('of a vendor without JSON Schema nothing is known', () => {
  const schema: Schema<string> = { '~standard': { version: 1, vendor: 'test', validate: () => ({ value: 'x' }) } }
  expect(shapeOf(schema, 'input')).toEqual({ shape: { kind: 'any' }, nullable: true })
})

test('a query that is read out of texts has the types of what is read', () => {
  const { shape } = queryShapeOf(z.object({ page: z.coerce.number().default(1), sort: z.string().optional() }))
  expect(shape.kind === 'object' && shape.fields.map((field) => [field.name, field.shape.kind, field.required])).toEqual([
    ['page', 'number', false],
    ['sort', 'text', false],
  ])
})

test('a schema that contains itself with no object between is any JSON there', () => {
  const Folders: z.ZodType = z.lazy(() => z.record(z.string(), Folders))
  const Lists: z.ZodType = z.lazy(() => z.array(Lists))
  const any = { shape: { kind: 'any' }, nullable: true }
  expect(shapeOf(Folders, 'input').shape).toEqual({ kind: 'map', of: any })
  const { shape } = shapeOf(z.object({ folders: Folders, lists: Lists }), 'input')
  expect(shape.kind === 'object' && shape.fields.map((field) => field.shape)).toEqual([
    { kind: 'map', of: any },
    { kind: 'list', of: any },
  ])
})
