import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { policy } from './policy.ts'
import { timeout } from './timeout.ts'

const never = () => new Promise<never>(() => {})

test('rejects and aborts the signal with the same error after timeoutMs', async () => {
  const world = manualWorld()
  let signal: AbortSignal | undefined
  const outcome = policy('stock', timeout(400, { world })).outcome((call) => {
    signal = call.signal
    return never()
  })
  await world.advance(399)
  expect(signal?.aborted).toBe(false)
  await world.advance(1)
  expect(await outcome).toMatchObject({
    ok: false,
    error: { code: 'ERR_TIMEOUT', status: 504, policy: 'stock', message: 'the call of "stock" took longer than 400 ms' },
    rejected: { rejectedBy: 'timeout', policy: 'stock' },
    attempts: 1,
  })
  expect(signal?.reason).toHaveProperty('code', 'ERR_TIMEOUT')
  expect(world.pendingTimers()).toBe(0)
})

test('a signal that is first read after the timeout is aborted already', async () => {
  const world = manualWorld()
  let read: (() => AbortSignal) | undefined
  const outcome = policy('stock', timeout(10, { world })).outcome((call) => {
    read = () => call.signal
    return never()
  })
  await world.advance(10)
  await outcome
  expect(read?.().aborted).toBe(true)
})

test('a call in time leaves no timer behind', async () => {
  const world = manualWorld()
  const quick = policy('stock', timeout(400, { world }))
  expect(await quick.run(() => 7)).toBe(7)
  await expect(quick.run(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
  await world.advance(0)
  expect(world.pendingTimers()).toBe(0)
})

test('all calls of a layer share one timer, and each has its own deadline', async () => {
  const world = manualWorld()
  const slow = policy('stock', timeout(100, { world }))
  const ended: number[] = []
  const begin = (id: number, work: () => Promise<unknown>) => void slow.outcome(work).then(() => ended.push(id))
  begin(1, never)
  await world.advance(30)
  let finish = () => {}
  begin(2, () => new Promise<void>((resolve) => (finish = resolve)))
  await world.advance(30)
  begin(3, never)
  expect(world.pendingTimers()).toBe(1)
  finish()
  await world.advance(40)
  expect(ended).toEqual([2, 1])
  await world.advance(59)
  expect(ended).toEqual([2, 1])
  await world.advance(1)
  expect(ended).toEqual([2, 1, 3])
  expect(world.pendingTimers()).toBe(0)
})

test('the nearer deadline wins, inside or outside', async () => {
  const world = manualWorld()
  const nested = policy('stock', timeout(1_000, { world }), timeout(200, { world }))
  let remainingMs = 0
  const first = nested.outcome((call) => {
    remainingMs = call.remainingMs
    return never()
  })
  expect(remainingMs).toBe(200)
  const second = nested.outcome(
    (call) => {
      remainingMs = call.remainingMs
      return never()
    },
    { deadlineMs: 50 },
  )
  expect(remainingMs).toBe(50)
  await world.advance(50)
  expect(await second).toMatchObject({ error: { code: 'ERR_TIMEOUT', message: 'the call of "stock" took longer than 50 ms' } })
  await world.advance(150)
  expect(await first).toMatchObject({ error: { code: 'ERR_TIMEOUT', message: 'the call of "stock" took longer than 200 ms' } })
})

test('bad durations are refused by name', () => {
  expect(() => timeout(0)).toThrow('cannot create timeout: "timeoutMs" is 0, wanted a number from 1 to 2147483647')
  expect(() => timeout(Number.POSITIVE_INFINITY)).toThrow('"timeoutMs" is Infinity')
})
