import { manualWorld } from '@banyan/core'
import { expect, it } from 'vitest'
import { weightedChooser } from './weighted-chooser.ts'

it('chooses each place as often as its weight says, and none with 0', () => {
  const choose = weightedChooser([90, 0, 10], manualWorld({ seed: 7 }))
  const counts = [0, 0, 0]
  for (let n = 0; n < 10_000; n += 1) {
    const chosen = choose()
    counts[chosen] = (counts[chosen] ?? 0) + 1
  }
  expect(counts[1]).toBe(0)
  expect((counts[0] ?? 0) / 10_000).toBeCloseTo(0.9, 1)
  expect((counts[2] ?? 0) / 10_000).toBeCloseTo(0.1, 1)
})
