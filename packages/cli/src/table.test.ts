import { expect, it } from 'vitest'
import { table } from './table.ts'

it('writes a row a line, whatever its texts have in them', () => {
  const rows = [
    ['one', 'no room:\nthe hotel is full'],
    ['\u001b[2Jtwo', undefined],
  ]
  expect(table(['id', 'why'], rows).split('\n')).toEqual([
    'id            why',
    'one           no room:\\nthe hotel is full',
    '\\u001b[2Jtwo  -',
    '',
  ])
})
