import { expect, test } from 'vitest'
import { framedTurns } from './framed-turns.ts'
import type { TransportResponse } from './transport.ts'

const ANSWER: TransportResponse = { status: 204, headers: {}, body: '' }
const HEAD = { method: 'GET', path: '/', headers: {} }

function setUp(maxInFlight: number) {
  let release: () => void = () => {}
  const answered: number[] = []
  const turns = framedTurns({
    service: 'stock',
    maxInFlight,
    handle: ({ body }) => (body === 'slow' ? new Promise((resolve) => (release = () => resolve(ANSWER))) : ANSWER),
    onAnswer: (call, response) => void (response && answered.push(call)),
  })
  return { turns, answered, release: () => release() }
}

test('what is answered at once is answered before the next is read, and its number is free again', () => {
  const { turns, answered } = setUp(1)
  for (let time = 0; time < 2; time += 1) expect(turns.take(7, HEAD, undefined)).toBe(true)
  expect([answered, turns.isFull()]).toEqual([[7, 7], false])
})

test('ten thousand that wait and are then answered at once take their turns one after the other, not one inside the other', async () => {
  const { turns, answered, release } = setUp(1)
  turns.take(0, HEAD, 'slow')
  expect([turns.isFull(), turns.take(0, HEAD, undefined)]).toEqual([true, false])
  for (let call = 1; call <= 10_000; call += 1) turns.take(call, HEAD, undefined)
  turns.cancel(5_000)
  release()
  await expect.poll(() => answered.length).toBe(10_000)
  expect(answered).not.toContain(5_000)
  expect([turns.isFull(), turns.take(5_000, HEAD, undefined)]).toEqual([false, true])
})
