import { systemWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { messageIdOf } from './message-id.ts'

it('is a UUID as it stands, whatever the source', () => {
  const id = systemWorld.uuid()
  expect(messageIdOf({ id, source: 'one' })).toBe(id)
  expect(messageIdOf({ id: id.toUpperCase(), source: 'two' })).toBe(id.toUpperCase())
})

it('is the same for two pairs of source and id only if they are the same', () => {
  // Few characters, so that they meet, and those that part the two.
  const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '[', ']', '\\', '\n'), maxLength: 4 })
  fc.assert(
    fc.property(text, text, text, text, (source, id, otherSource, otherId) => {
      const isSame = source === otherSource && id === otherId
      expect(messageIdOf({ source, id }) === messageIdOf({ source: otherSource, id: otherId })).toBe(isSame)
    }),
    { numRuns: 2_000 },
  )
})

it('is no other one however long the two are', () => {
  const long = 'x'.repeat(1_000)
  const ids = ['1', '2', long].flatMap((id) => ['one', 'two', long].map((source) => messageIdOf({ id, source })))
  expect(new Set(ids).size).toBe(9)
  expect(Math.max(...ids.map(({ length }) => length))).toBeLessThan(510)
})
