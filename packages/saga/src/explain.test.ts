import { expect, it } from 'vitest'
import { saga } from './define.ts'
import { explainSaga } from './explain.ts'
import { nothing } from './steps.ts'

const trip = () => saga<string>('trip', { version: 2, key: (id) => id })

it('says what a saga does, in order', () => {
  const { text, pivot, warnings } = explainSaga(
    trip()
      .local('note', { do: () => 1, undo: () => {} })
      .step('look', { do: () => 1, undo: nothing('it only reads'), withinMs: 500, retry: { attempts: 3 } })
      .pivot('confirm', { local: () => 1 })
      .step('mail', { do: () => 1 })
      .done(),
  )
  expect(text.split('\n')).toEqual([
    'saga trip, version 2',
    '1. note: local, exactly once; on failure 8 attempts, then undo; undo: yes, 30 attempts, then stuck',
    '2. look: remote, at least once, under one key, 500 ms an attempt; on failure 3 attempts, then undo; undo: nothing, as it only reads',
    '3. confirm (pivot): local, exactly once; on failure 8 attempts, then undo; undo: never',
    '4. mail: remote, at least once, under one key, 30000 ms an attempt; on failure attempts without end, pauses up to 10000 ms, an alert each 8; undo: never',
  ])
  expect(pivot).toBe('confirm')
  expect(warnings).toEqual([])
})

it('warns of a missing pivot, of one in another system, and of a reason left out', () => {
  const step = { do: () => 1, undo: nothing('') }
  expect(explainSaga(trip().step('a', step).step('b', step).done()).warnings).toEqual([
    expect.stringContaining('it has no pivot'),
    'step "a" has nothing to undo and does not say why',
    'step "b" has nothing to undo and does not say why',
  ])
  expect(
    explainSaga(
      trip()
        .pivot('pay', { do: () => 1 })
        .done(),
    ).warnings,
  ).toEqual([expect.stringContaining('pivot "pay" is in another system')])
})
