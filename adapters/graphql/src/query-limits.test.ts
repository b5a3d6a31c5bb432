import { Kind, type OperationDefinitionNode, parse } from 'graphql'
import { expect, test } from 'vitest'
import { measureOperation } from './query-limits.ts'

function measure(text: string) {
  const document = parse(text)
  return measureOperation(document, document.definitions.find(({ kind }) => kind === Kind.OPERATION_DEFINITION) as OperationDefinitionNode)
}

test('an operation is as deep as its deepest field, and as wide as all of them', () => {
  expect(measure('{ a { b { c } d: e } f }')).toEqual({ depth: 3, fields: 5, aliases: 1, calls: 2 })
})

test('fragments count at each place they are used, also at the top', () => {
  expect(measure('{ ...f ... on Query { x } } fragment f on Query { p: a { b } q: a { b } }')).toEqual({
    depth: 2,
    fields: 5,
    aliases: 2,
    calls: 3,
  })
})

test('what the schema says of itself is neither deep nor a call', () => {
  expect(measure('{ __schema { types { fields { name } } } __typename }')).toEqual({ depth: 1, fields: 5, aliases: 0, calls: 0 })
})

test('fragments that multiply are counted in no time, and those that use themselves end', () => {
  const doubling = Array.from({ length: 40 }, (_, level) => `fragment f${level} on T { ...f${level + 1} ...f${level + 1} }`).join('\n')
  expect(measure(`{ ...f0 } ${doubling} fragment f40 on T { x }`).fields).toBe(2 ** 40)
  expect(measure('{ ...a } fragment a on T { x ...b } fragment b on T { y ...a }').fields).toBe(2)
})
