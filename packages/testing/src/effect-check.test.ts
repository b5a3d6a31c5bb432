import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkEffects, countFaults } from './effect-check.ts'

const row = (key: string, count: number) => Array.from({ length: count }, (_, n) => ({ key, n: n + 1 }))

describe('checkEffects', () => {
  it('names what is lost, twice, inverted and invented', () => {
    const sent = [...row('a', 4), ...row('b', 2)]
    const effects = ['a1', 'b1', 'a3', 'a2', 'a3', 'c9', 'b2'].map((text) => ({ key: text[0] ?? '', n: Number(text[1]) }))
    expect(checkEffects(sent, effects)).toEqual({
      lost: [{ key: 'a', n: 4 }],
      twice: [{ key: 'a', n: 3 }],
      inverted: [{ key: 'a', n: 2 }],
      invented: [{ key: 'c', n: 9 }],
    })
  })

  it('does not hold against those that were sent that an invented one came before them', () => {
    const effects = [{ key: 'a', n: 9 }, ...row('a', 3)]
    expect(checkEffects(row('a', 3), effects)).toEqual({ lost: [], twice: [], inverted: [], invented: [{ key: 'a', n: 9 }] })
  })

  it('property: any mix of keys that keeps each key in order is well, and any one change of it is found', () => {
    const keys = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(keys, fc.nat(), fc.constantFrom('drop', 'repeat'), (order, at, change) => {
        const next = new Map<string, number>()
        const effects = order.map((key) => {
          next.set(key, (next.get(key) ?? 0) + 1)
          return { key, n: next.get(key) ?? 0 }
        })
        const sent = [...effects].sort((one, other) => one.key.localeCompare(other.key) || one.n - other.n)
        expect(countFaults(checkEffects(sent, effects))).toBe(0)
        const index = at % effects.length
        const wrong = change === 'drop' ? effects.toSpliced(index, 1) : effects.toSpliced(index, 0, ...effects.slice(index, index + 1))
        expect(countFaults(checkEffects(sent, wrong))).toBe(1)
      }),
    )
  })
})
