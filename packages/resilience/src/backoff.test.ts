import { manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { exponential } from './backoff.ts'

const half = () => 0.5
const most = () => 1 - Number.EPSILON

test('without jitter, waits double up to the cap', () => {
  const backoff = exponential({ baseMs: 50, capMs: 300, jitter: 'none' })
  expect([1, 2, 3, 4, 5].map((n) => backoff.delayMs(n, half))).toEqual([50, 100, 200, 300, 300])
})

test('full jitter is anywhere below the wait, equal jitter in its upper half', () => {
  const full = exponential({ baseMs: 100, capMs: 1_000, jitter: 'full' })
  const equal = exponential({ baseMs: 100, capMs: 1_000, jitter: 'equal' })
  expect([() => 0, half].map((random) => full.delayMs(2, random))).toEqual([0, 100])
  expect([() => 0, half].map((random) => equal.delayMs(2, random))).toEqual([100, 150])
})

test('decorrelated jitter lies between the base and three times the wait before', () => {
  const backoff = exponential({ baseMs: 100, capMs: 1_000, jitter: 'decorrelated' })
  expect(backoff.delayMs(1, () => 0)).toBe(100)
  expect(backoff.delayMs(1, half)).toBe(200)
  expect(backoff.delayMs(2, half, 200)).toBe(350)
  expect(backoff.delayMs(3, most, 900)).toBe(1_000)
})

test('no wait is over the cap or over what maxMs says, whatever the retry', () => {
  const jitters = ['none', 'full', 'equal', 'decorrelated'] as const
  fc.assert(
    fc.property(fc.constantFrom(...jitters), fc.integer({ min: 1, max: 2_000 }), fc.integer(), (jitter, baseMs, seed) => {
      const backoff = exponential({ baseMs, capMs: 5_000, jitter })
      const { random } = manualWorld({ seed })
      let previous: number | undefined
      for (const retry of [1, 2, 3, 4, 5, 6, 2_000]) {
        previous = backoff.delayMs(retry, random, previous)
        expect(previous).toBeGreaterThanOrEqual(0)
        expect(previous).toBeLessThanOrEqual(backoff.maxMs(retry))
        expect(backoff.maxMs(retry)).toBeLessThanOrEqual(5_000)
      }
    }),
  )
})

test('bad options are refused by name', () => {
  expect(() => exponential({ baseMs: 0 })).toThrow('cannot create backoff: "baseMs" is 0, wanted a number from 1 to 2147483647')
  expect(() => exponential({ baseMs: 10, capMs: 5 })).toThrow('"capMs" is 5')
  expect(() => exponential({ factor: 0.5 })).toThrow('"factor" is 0.5')
  expect(() => exponential({ baseMs: Number.NaN })).toThrow('"baseMs" is NaN')
  expect(() => exponential({ jitter: 'some' as 'full' })).toThrow('"jitter" is "some", wanted one of none, full, equal, decorrelated')
})
