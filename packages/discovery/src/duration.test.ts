import { expect, test } from 'vitest'
import { parseDuration } from './duration.ts'

test.each([
  ['10s', 10_000],
  ['1m30s', 90_000],
  ['250ms', 250],
  ['1.5h', 5_400_000],
  ['0s', 0],
  ['1000us', 1],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', '10', 's', '10 s', '-1s', '1d', '1s!'])('"%s" is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})
