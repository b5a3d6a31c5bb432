import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkSagaEffects, countSagaFaults, type SagaEffect } from './effect-check-saga.ts'

const rules = { before: ['stock', 'money'], past: ['confirm', 'label'] }
const effectsOf = (saga: string, text: string): SagaEffect[] =>
  text === ''
    ? []
    : text.split(' ').map((one) => ({ saga, step: one.replace('!', ''), kind: one.startsWith('!') ? ('undo' as const) : ('do' as const) }))
const check = (status: string, text: string, refusedAt?: string) =>
  checkSagaEffects(['a'], [{ saga: 'a', status, refusedAt }], effectsOf('a', text), rules)

const WELL = [
  ['completed', 'stock money confirm label'],
  ['compensated', ''],
  ['compensated', 'stock !stock'],
  ['compensated', 'stock money !money !stock'],
] as const

describe('checkSagaEffects', () => {
  it.each(WELL)('finds nothing in a saga that %s with "%s"', (status, text) => {
    expect(countSagaFaults(check(status, text))).toBe(0)
  })

  it.each([
    ['completed', 'stock money label', 'lost'],
    ['completed', 'stock stock money confirm label', 'twice'],
    ['compensated', 'stock !stock !stock', 'twice'],
    ['compensated', 'stock money !stock', 'left'],
    ['compensated', 'confirm', 'left'],
    ['completed', 'stock money !money confirm label', 'left'],
    ['compensated', '!stock stock', 'inverted'],
    ['compensated', 'confirm !confirm', 'inverted'],
    ['running', 'stock', 'inLimbo'],
    ['stuck', 'stock', 'inLimbo'],
    ['compensated', 'gift !gift', 'orphans'],
  ] as const)('finds what is wrong with a saga that is %s with "%s": %s', (status, text, fault) => {
    expect(check(status, text)[fault].length).toBeGreaterThan(0)
  })

  it('finds a saga that was asked for and never started, and effects without a saga', () => {
    const faults = checkSagaEffects(['a', 'b'], [{ saga: 'a', status: 'compensated' }], effectsOf('c', 'stock !stock'), rules)
    expect(faults).toMatchObject({ lost: ['b was never started'], orphans: ['c stock do', 'c stock undo'] })
  })

  it('finds what was undone in the order of its start, where one receiver has recorded it', () => {
    const undone = effectsOf('a', 'stock money !stock !money')
    const inverted = (effects: readonly SagaEffect[]) =>
      checkSagaEffects(['a'], [{ saga: 'a', status: 'compensated' }], effects, rules).inverted
    expect(inverted(undone.map((effect) => ({ ...effect, at: 'shop' })))).toEqual(['a stock was undone before money'])
    expect(inverted(undone.map((effect) => ({ ...effect, at: effect.step })))).toEqual([])
    expect(inverted(undone)).toEqual([])
    expect(inverted(effectsOf('a', 'stock money !money !stock').map((effect) => ({ ...effect, at: 'shop' })))).toEqual([])
  })

  it('finds a refused step that was done, and a saga that completed all the same', () => {
    expect(check('compensated', 'stock !stock', 'stock').orphans).toEqual(['a stock was refused, and done'])
    expect(check('completed', 'stock money confirm label', 'money').left).toEqual(['a completed, and money was refused'])
  })

  it('property: any one effect more or less than a good run leaves is found', () => {
    fc.assert(
      fc.property(fc.constantFrom(WELL[0], WELL[3]), fc.nat(), fc.boolean(), ([status, text], at, more) => {
        const effects = effectsOf('a', text)
        const index = at % effects.length
        const wrong = more ? effects.toSpliced(index, 0, ...effects.slice(index, index + 1)) : effects.toSpliced(index, 1)
        expect(countSagaFaults(checkSagaEffects(['a'], [{ saga: 'a', status }], wrong, rules))).toBeGreaterThan(0)
      }),
    )
  })
})
