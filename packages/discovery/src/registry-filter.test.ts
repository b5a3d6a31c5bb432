import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readFilter } from './registry-filter.ts'

const row = {
  Node: { Node: 'banyan', Meta: {} },
  Service: {
    ID: 'o-1',
    Service: 'orders',
    Port: 3001,
    Tags: ['blue', 'eu'],
    Meta: { version: '7', 'my.key': 'a b', and: 'or' },
    EnableTagOverride: false,
  },
  Checks: [],
}

test.each([
  ['Service.Meta.version == "7"', true],
  ['Service.Meta.version == 7', true],
  ['Service.Meta.version != "7"', false],
  ['Service.Port == 3001', true],
  ['Service.EnableTagOverride == false', true],
  ['Service.Meta["my.key"] == "a b"', true],
  ['Service.Meta["my.key"] == `a b`', true],
  ['Service.Meta.missing == ""', false],
  ['Service.Meta.missing != "x"', true],
  ['Service.Meta.missing is empty', true],
  ['"blue" in Service.Tags', true],
  ['blue in Service.Tags', true],
  ['"red" in Service.Tags', false],
  ['"red" not in Service.Tags', true],
  ['Service.Tags contains "eu"', true],
  ['Service.Tags not contains eu', false],
  ['version in Service.Meta', true],
  ['"rder" in Service.Service', true],
  ['Node.Meta is empty', true],
  ['Service.Tags is not empty', true],
  ['"and" in Service.Meta', true],
  ['not "blue" in Service.Tags', false],
  ['NOT (Service.Port == 1 OR Service.Port == 3001)', false],
  ['Service.Port == 1 and Service.Port == 1 or Service.Port == 3001', true],
  ['Service.Port == 3001 or Service.Port == 1 and Service.Port == 2', true],
  ['(Service.Port == 3001 or Service.Port == 1) and Service.Port == 2', false],
])('%s is %s', (filter, stays) => {
  expect(readFilter(filter)(row)).toBe(stays)
})

test.each([
  ['', 'its end where a field or a value'],
  ['Service.Port', 'its end where ==, !=, in'],
  ['Service.Port ==', 'its end where a value'],
  ['(Service.Port == 1', 'its end where ")"'],
  ['Service.Port == 1 Service.Port == 2', '"Service.Port" where "and", "or" or the end'],
  ['Service.Port = 1', 'cannot be read from " = 1" on'],
  ['Service.ID matches "^o"', '"matches" where =='],
  ['Service.ID == "x', 'cannot be read from'],
  ['Service.Tags is full', '"full" where "empty"'],
  ['a not == b', '"==" where "in" or "contains"'],
  ['('.repeat(200), 'nests deeper than 50'],
  ['not '.repeat(200), 'nests deeper than 50'],
])('%.40s is refused, saying where', (filter, message) => {
  expect(() => readFilter(filter)).toThrow(message)
})

test.each([
  ['Service.Prot == 1', 'which rows of this answer do not have; they have ID, Service, Port'],
  ['Service.ID.x == 1', 'which rows of this answer do not have'],
  ['__proto__.x == 1', 'which rows of this answer do not have'],
])('%s asks for what is not there', (filter, message) => {
  expect(() => readFilter(filter)(row)).toThrow(message)
})

/** Formulas over three facts, with what they come to. */
type Formula = { text: string; value: boolean }
const fact = fc.constantFrom<Formula>(
  { text: '"blue" in Service.Tags', value: true },
  { text: 'Service.Port == 80', value: false },
  { text: 'Service.Meta.version == "7"', value: true },
)
const formulas = fc.letrec<{ formula: Formula }>((tie) => ({
  formula: fc.oneof(
    { maxDepth: 5 },
    fact,
    tie('formula').map(({ text, value }) => ({ text: `not (${text})`, value: !value })),
    fc.tuple(tie('formula'), tie('formula')).map(([a, b]) => ({ text: `(${a.text}) and (${b.text})`, value: a.value && b.value })),
    fc.tuple(tie('formula'), tie('formula')).map(([a, b]) => ({ text: `(${a.text}) or (${b.text})`, value: a.value || b.value })),
  ),
}))

test('comes to what the formula comes to, however it nests', () => {
  fc.assert(fc.property(formulas.formula, ({ text, value }) => void expect(readFilter(text)(row)).toBe(value)))
})

test('any text is read or refused, never anything else', () => {
  const pieces = fc.constantFrom(
    'Service.Port',
    '==',
    '!=',
    'not',
    'and',
    'or',
    'in',
    'is',
    'empty',
    '(',
    ')',
    '"x"',
    '`',
    '"',
    '\\',
    '7',
    '=',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(pieces, fc.string()), { maxLength: 12 }), (words) => {
      try {
        readFilter(words.join(' '))(row)
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_BAD_REQUEST' })
      }
    }),
  )
})
