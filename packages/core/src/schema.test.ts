import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { describeIssues, type InputOf, type OutputOf, type Schema, validate } from './schema.ts'

const order = z.object({ items: z.array(z.object({ quantity: z.coerce.number() })), note: z.string().default('') })

test('a good value comes back as the schema gives it, with its type', async () => {
  const result = await validate(order, { items: [{ quantity: '3' }] })
  if (result.ok) expectTypeOf(result.value).toEqualTypeOf<{ items: { quantity: number }[]; note: string }>()
  expect(result).toEqual({ ok: true, value: { items: [{ quantity: 3 }], note: '' } })
  expectTypeOf<OutputOf<typeof order>>().toEqualTypeOf<{ items: { quantity: number }[]; note: string }>()
  expectTypeOf<InputOf<typeof order>['note']>().toEqualTypeOf<string | undefined>()
})

test('each thing that is wrong is named by its place', async () => {
  const result = await validate(order, { items: [{ quantity: 1 }, { quantity: 'many' }], note: 7 })
  expect(result.ok ? [] : result.issues.map(({ path }) => path)).toEqual(['items.1.quantity', 'note'])
})

test('a schema that takes its time, and one that names places by objects, work too', async () => {
  // Not zod: Standard Schema lets validate() be asynchronous and a path consist of { key } objects.
  const slow: Schema<string> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: async (value) => (value === 'good' ? { value } : { issues: [{ message: 'is bad', path: [{ key: 'a' }, 0] }] }),
    },
  }
  expect(await validate(slow, 'good')).toEqual({ ok: true, value: 'good' })
  expect(await validate(slow, 'other')).toEqual({ ok: false, issues: [{ path: 'a.0', message: 'is bad' }] })
})

test('issues are described in one line', () => {
  const issues = [
    { path: 'items.0', message: 'is missing' },
    { path: '', message: 'is not an object' },
  ]
  expect(describeIssues(issues)).toBe('items.0: is missing; is not an object')
})
