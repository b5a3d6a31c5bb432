import { manualWorld, refuse } from '@banyan/core'
import { expect, expectTypeOf, test } from 'vitest'
import { fallback } from './fallback.ts'
import { policy } from './policy.ts'
import { timeout } from './timeout.ts'

const down = () => Promise.reject<number>(new Error('down'))
const never = () => new Promise<number>(() => {})

test('answers a failure with a value, whose type joins the result', async () => {
  const stock = policy('stock', fallback({ onHand: 0, stale: true as const }))
  const answer = await stock.run(down)
  expectTypeOf(answer).toEqualTypeOf<number | { onHand: number; stale: true }>()
  expect(answer).toEqual({ onHand: 0, stale: true })
  expect(await stock.run(() => 7)).toBe(7)
})

test('answers a failure with what a function makes of the error', async () => {
  const stock = policy(
    'stock',
    fallback(async (error, call) => `${String(error)} in attempt ${call.attempt}`),
  )
  const answer = await stock.run(down)
  expectTypeOf(answer).toEqualTypeOf<number | string>()
  expect(answer).toBe('Error: down in attempt 1')
})

test('leaves errors that answerIf does not want, and what the function itself throws', async () => {
  const picky = policy('stock', fallback(0, { answerIf: (error) => error instanceof RangeError }))
  await expect(picky.run(down)).rejects.toThrow('down')
  const broken = policy(
    'stock',
    fallback((): number => {
      throw new Error('cache is empty')
    }),
  )
  await expect(broken.run(down)).rejects.toThrow('cache is empty')
})

test('a refusal is an answer, not a failure', async () => {
  const stock = policy('stock', fallback('unknown'))
  expect(await stock.run(() => refuse('out-of-stock'))).toEqual({ refused: 'out-of-stock' })
})

test('answers when a timeout inside fires, and when the deadline of the caller passes', async () => {
  const world = manualWorld()
  const stock = policy('stock', fallback('stale'), timeout(400, { world }))
  const late = stock.run(never)
  const short = stock.run(never, { deadlineMs: 100 })
  await world.advance(100)
  expect(await short).toBe('stale')
  await world.advance(300)
  expect(await late).toBe('stale')
  expect(world.pendingTimers()).toBe(0)
})

test('does not answer a caller who aborted, also not one who aborts while a fallback function works', async () => {
  const world = manualWorld()
  const first = new AbortController()
  const gone = policy('stock', fallback('stale'), timeout(400, { world })).outcome(never, { signal: first.signal })
  first.abort(new Error('left'))
  expect(await gone).toMatchObject({ ok: false, error: { message: 'left' }, rejected: { rejectedBy: 'cancelled' } })

  const second = new AbortController()
  const slow = policy('stock', fallback(never)).outcome(down, { signal: second.signal })
  await world.advance(0)
  second.abort(new Error('left too'))
  expect(await slow).toMatchObject({ ok: false, error: { message: 'left too' } })
})
