import { expect, it } from 'vitest'
import { saga } from './define.ts'
import { diagramSaga } from './diagram.ts'
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

const branchy = () => {
  const step = { do: () => 1, undo: () => {} }
  return saga<string>('trip', { version: 2, key: (id) => id, deadlineMs: 1_000 })
    .all({ hotel: step, car: step })
    .when(
      'insured',
      () => true,
      (branch) => branch.each('policies', () => [1], step),
    )
    .approve('boss', { withinMs: 1_000, otherwise: 'undo' })
    .pivot('pay', { local: () => 1 })
    .sleep('rest', 5)
    .done()
}

it('says what stands beside, inside, and for each', () => {
  const { text, warnings } = explainSaga(branchy())
  expect(text.split('\n').slice(0, 7)).toEqual([
    'saga trip, version 2; undone after 1000 ms, unless it is past its pivot',
    '1. hotel (with car): remote, at least once, under one key, 30000 ms an attempt; on failure 8 attempts, then undo; undo: yes, 30 attempts, then stuck',
    '2. car (with hotel): remote, at least once, under one key, 30000 ms an attempt; on failure 8 attempts, then undo; undo: yes, 30 attempts, then stuck',
    '3. insured: when, decided once; on failure undo; undo: nothing, as it has no effect',
    '4. policies (for each item, if insured): remote, at least once, under one key, 30000 ms an attempt; on failure 8 attempts, then undo; undo: yes, 30 attempts, then stuck',
    '5. boss: approve, a person, within 1000 ms; on failure undo; undo: nothing, as it has no effect',
    '6. pay (pivot): local, exactly once; on failure 8 attempts, then undo; undo: never',
  ])
  expect(warnings).toEqual([`step "boss" waits 1000 ms, and the saga's deadline is 1000 ms: the deadline comes first`])
})

it('draws the ways forward and back', () => {
  const lines = diagramSaga(branchy()).trim().split('\n')
  expect(lines[0]).toBe('flowchart TD')
  expect(lines).toEqual(
    expect.arrayContaining([
      '  start --> s0',
      '  start --> s1',
      '  s2 -->|yes| s3',
      '  s2 -->|no| s4',
      '  s3 -. undo .-> s1',
      '  s0 -. undo .-> compensated',
    ]),
  )
})
