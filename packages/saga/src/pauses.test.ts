import { expect, it } from 'vitest'
import { saga } from './define.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { bench } from './test/bench.ts'

const v1 = { version: 1, key: ({ n }: { n: number }) => `${n}` }
const none = nothing('it only reads')
const DAY_MS = 24 * 60 * 60 * 1_000

/** Fails, and asks to be asked again then. */
const busy = (retryAfterMs: number) => Promise.reject(Object.assign(new Error('busy'), { retryAfterMs }))

it('a step of an "all" is not tried again sooner than the other side asked for, although another one is tried in between', async () => {
  const b = bench()
  const definition = saga<{ n: number }>('trip', v1)
    .all({
      hotel: { do: () => busy(2_000), undo: none, retry: { attempts: 1_000 } },
      flight: { do: (c) => busy(b.calls.push(`flight ${c.attempt}`) * 60_000), undo: none },
    })
    .done()
  await b.run([definition])
  await startSaga(b.database, definition, { n: 1 })
  await b.world.advance(59_000)
  expect(b.calls).toEqual(['flight 1'])
  await b.world.advance(3_000)
  expect(b.calls).toEqual(['flight 1', 'flight 2'])
})

it('a pause of days, which no timer is set for at once, is as long as the other side asked for', async () => {
  const b = bench()
  const days: (() => void)[] = []
  const { after } = b.world
  const timer: typeof after = (delayMs, fire) => (delayMs < DAY_MS / 2 ? after(delayMs, fire) : { cancel() {}, day: days.push(fire) })
  Object.assign(b.world, { after: timer })
  const definition = saga<{ n: number }>('trip', v1)
    .step('hotel', { do: (c) => (b.calls.push(`hotel ${c.attempt}`) === 1 ? busy(3 * DAY_MS) : 'a room'), undo: none })
    .done()
  await b.run([definition], { parkAfterMs: 10 * DAY_MS })
  await startSaga(b.database, definition, { n: 1 })
  await b.world.advance(0)
  const attempts: number[] = []
  for (let day = 1; day <= 3; day += 1) {
    b.world.jump(DAY_MS)
    for (const pass of days.splice(0)) pass()
    await b.world.advance(100)
    attempts.push(b.calls.length)
  }
  expect(attempts).toEqual([1, 1, 2])
})
