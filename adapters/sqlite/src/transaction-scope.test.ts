import { expect, it, vi } from 'vitest'
import { assertNotInside, insideScope } from './transaction-scope.ts'

it('asks nothing of transactions that were over when one began, also where those of two databases always overlap', () => {
  const [one, other] = [{}, {}]
  const asked = vi.fn()
  let over = -1
  const begin = (n: number): void => {
    const isOver = () => {
      asked(n)
      return n <= over
    }
    insideScope(n % 2 ? one : other, isOver, () => {
      // The one before is under way when this one begins, and ends before the next.
      over = n - 1
      if (n < 100) return begin(n + 1)
      asked.mockClear()
      assertNotInside({}, 'run a transaction')
      expect(() => assertNotInside(other, 'run a transaction')).toThrow(expect.objectContaining({ code: 'ERR_NESTED_TRANSACTION' }))
      expect(() => assertNotInside(one, 'run a transaction')).not.toThrow()
    })
  }
  begin(0)
  expect(new Set(asked.mock.calls.flat())).toEqual(new Set([99, 100]))
})
