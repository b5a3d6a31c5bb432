import { manualWorld, silentLogger } from '@banyan/core'
import { expect, test, vi } from 'vitest'
import { withinDeadline } from './deadline.ts'
import { inFlightGauge } from './in-flight.ts'
import { currentRequest, requestScope, runInScope, runOutOfScope, timeoutOf } from './request-scope.ts'

function setup(timeoutMs = 100) {
  const world = manualWorld()
  const caller = new AbortController()
  const hear = vi.fn(() => caller.signal)
  const scope = requestScope({ world, service: 'orders', traceId: () => 't', caller: hear }, timeoutMs)
  const running = inFlightGauge(world)
  const within = async (work: () => unknown) => withinDeadline({ world, log: silentLogger, running }, scope, 'orders.place', work)
  return { world, caller, hear, scope, running, within }
}

test('the time left runs down to nothing', async () => {
  const { world, scope } = setup(100)
  await world.advance(60)
  expect(scope.remainingMs()).toBe(40)
  await world.advance(60)
  expect(scope.remainingMs()).toBe(0)
})

test('the signal aborts when the caller goes, and its signal is not touched before somebody wants to know', () => {
  const { caller, hear, scope } = setup()
  expect(hear).not.toHaveBeenCalled()
  const { signal } = scope
  caller.abort('gone')
  expect(signal.reason).toBe('gone')
  const late = setup()
  late.caller.abort('gone before')
  expect(late.scope.signal.reason).toBe('gone before')
})

test('after the deadline the answer is an error, the signal is aborted, and the handler is still counted', async () => {
  const { world, scope, running, within } = setup(100)
  let finish: (value: unknown) => void = () => {}
  const answer = within(() => {
    void scope.signal
    return new Promise((resolve) => {
      finish = resolve
    })
  })
  const error = expect(answer).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT', status: 504 })
  await world.advance(100)
  await error
  expect(scope.signal.aborted).toBe(true)
  expect(running.count).toBe(1)
  const idle = running.idle(1_000)
  finish('late')
  expect(await idle).toBe(true)
  expect(world.pendingTimers()).toBe(0)
})

test('a handler whose time is up before it starts is not called', async () => {
  const { within } = setup(0)
  const work = vi.fn()
  await expect(within(work)).rejects.toMatchObject({ code: 'ERR_REQUEST_TIMEOUT' })
  expect(work).not.toHaveBeenCalled()
})

test('a handler that throws at once rejects, and leaves no timer', async () => {
  const { world, running, within } = setup()
  await expect(
    within(() => {
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  await world.advance(0)
  expect([world.pendingTimers(), running.count]).toEqual([0, 0])
})

test('the current request is seen by what the handler waits for, and by nothing once it is over', async () => {
  const { scope, within } = setup()
  expect(currentRequest()).toBeUndefined()
  let later: () => unknown = () => {}
  await within(async () => {
    await Promise.resolve()
    expect(currentRequest()).toBe(scope)
    expect(runOutOfScope(currentRequest)).toBeUndefined()
    later = () => runInScope(scope, currentRequest)
  })
  expect(later()).toBeUndefined()
})

test('once the handler is done, a caller that hangs up aborts nothing', async () => {
  const { caller, scope, within } = setup()
  const signal = await within(() => scope.signal)
  caller.abort('hung up')
  expect((signal as AbortSignal).aborted).toBe(false)
  const late = setup()
  await late.within(() => undefined)
  const { signal: readLater } = late.scope
  late.caller.abort('hung up')
  expect(readLater.aborted).toBe(false)
})

test('the caller says how long it waits, within bounds', () => {
  const timeout = (text?: string) => timeoutOf(text === undefined ? {} : { 'x-timeout-ms': text }, 5_000)
  expect([timeout(), timeout('250'), timeout('0'), timeout('999999999')]).toEqual([5_000, 250, 0, 60_000])
  expect(timeoutOf({ 'x-timeout-ms': '999999' }, 120_000)).toBe(120_000)
  for (const text of ['', '-1', '1.5', 'soon', '1e3', '9'.repeat(13)])
    expect(() => timeout(text)).toThrow(expect.objectContaining({ code: 'ERR_TIMEOUT_INVALID', status: 400 }))
})

test('waiting for idle gives up after its time', async () => {
  const { world, running } = setup()
  running.enter()
  const idle = running.idle(50)
  await world.advance(50)
  expect(await idle).toBe(false)
  running.leave()
  expect(running.count).toBe(0)
  expect(await running.idle(50)).toBe(true)
})
