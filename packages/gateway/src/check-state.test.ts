import fc from 'fast-check'
import { expect, it } from 'vitest'
import { afterCheck, atFirst, type CheckState } from './check-state.ts'

const limits = { failures: 3, successes: 2 }
const after = (answers: string) => [...answers].reduce<CheckState>((state, answer) => afterCheck(state, answer === '+', limits), atFirst)

it.each([
  ['', true],
  ['--', true],
  ['---', false],
  ['--+--', true],
  ['---+', false],
  ['---+-+', false],
  ['---++', true],
  ['---++--', true],
])('after %s it is well: %s', (answers, isWell) => {
  expect(after(answers).isWell).toBe(isWell)
})

it('agrees with who looks at the whole row', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('+', '-')), (answers) => {
      let isWell = true
      for (let end = 1, from = 0; end <= answers.length; end += 1) {
        const row = answers.slice(from, end)
        const wanted = isWell ? 3 : 2
        const last = row.slice(-wanted)
        if (last.length === wanted && last.every((answer) => answer === (isWell ? '-' : '+'))) {
          isWell = !isWell
          from = end
        }
      }
      expect(after(answers.join('')).isWell).toBe(isWell)
    }),
  )
})
