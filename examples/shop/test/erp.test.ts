import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { translate } from '../inventory/erp.ts'

describe('the anti-corruption layer', () => {
  it("takes the ERP's words to ours", () => {
    expect(translate({ ITEMNUMBER: 'fig-tree', QTY_ON_HAND: 42, REORDER_PT: 10 })).toEqual({
      ok: true,
      level: { productId: 'fig-tree', onHand: 42, available: 42, reorderPoint: 10 },
    })
  })

  it.each([
    ['a negative quantity', { ITEMNUMBER: 'a', QTY_ON_HAND: -3, REORDER_PT: 1 }, /QTY_ON_HAND/],
    ['a quantity in words', { ITEMNUMBER: 'a', QTY_ON_HAND: '17', REORDER_PT: 1 }, /QTY_ON_HAND/],
    ['a record without a number', { QTY_ON_HAND: 1, REORDER_PT: 1 }, /ITEMNUMBER/],
    ['a quantity that no database holds', { ITEMNUMBER: 'a', QTY_ON_HAND: 2 ** 31, REORDER_PT: 1 }, /QTY_ON_HAND/],
    ['a reorder point that no database holds', { ITEMNUMBER: 'a', QTY_ON_HAND: 1, REORDER_PT: 2 ** 31 }, /REORDER_PT/],
    ['a number with a NUL in it', { ITEMNUMBER: 'a\0', QTY_ON_HAND: 1, REORDER_PT: 1 }, /ITEMNUMBER/],
    ['a number that nobody could order by', { ITEMNUMBER: 'a'.repeat(65), QTY_ON_HAND: 1, REORDER_PT: 1 }, /ITEMNUMBER/],
    ['no record at all', null, /./],
  ])('says what is wrong with %s', (_, record, problem) => {
    expect(translate(record)).toEqual({ ok: false, problem: expect.stringMatching(problem) })
  })

  it('answers to anything, and never with a stock below zero', () => {
    fc.assert(
      fc.property(fc.anything(), (record) => {
        const translation = translate(record)
        return !translation.ok || translation.level.onHand >= 0
      }),
    )
  })
})
