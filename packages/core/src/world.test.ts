import { afterEach, expect, test, vi } from 'vitest'
import { manualWorld } from './manual-world.ts'
import { systemWorld } from './system-world.ts'
import { sleep } from './world.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('time stands still until it is told to pass, and wall clock and monotonic pass together', async () => {
  const world = manualWorld({ startMs: 1_000 })
  expect([world.now(), world.monotonic()]).toEqual([1_000, 0])
  await world.advance(250)
  expect([world.now(), world.monotonic()]).toEqual([1_250, 250])
})

test('a jump moves the wall clock alone', async () => {
  const world = manualWorld({ startMs: 1_000 })
  let fired = false
  world.after(100, () => (fired = true))
  world.jump(-500)
  expect([world.now(), world.monotonic()]).toEqual([500, 0])
  await world.advance(100)
  expect([world.now(), fired]).toEqual([600, true])
})

test('the wall clock is whole also after a delay with a fraction', async () => {
  const world = manualWorld({ startMs: 1_000 })
  const seen: number[][] = []
  world.after(10.5, () => seen.push([world.now(), world.monotonic()]))
  await world.advance(20)
  expect(seen).toEqual([[1_010, 10.5]])
})

test('timers fire in the order of their time, those of one instant in the order they were set', async () => {
  const world = manualWorld()
  const fired: string[] = []
  const set = (name: string, delayMs: number) => world.after(delayMs, () => fired.push(`${name} at ${world.monotonic()}`))
  set('late', 20)
  set('first', 10)
  set('second', 10)
  set('now', -5)
  await world.advance(15)
  expect(fired).toEqual(['now at 0', 'first at 10', 'second at 10'])
  await world.advance(5)
  expect(fired.at(-1)).toBe('late at 20')
})

test('a timer set by what another one led to fires within the same advance', async () => {
  const world = manualWorld()
  const seen: number[] = []
  void (async () => {
    await sleep(world, 10)
    seen.push(world.monotonic())
    await sleep(world, 10)
    seen.push(world.monotonic())
  })()
  await world.advance(20)
  expect(seen).toEqual([10, 20])
})

test('time never goes back, also where several let it pass at once', async () => {
  const world = manualWorld()
  const seen: number[] = []
  const pass = async (durationMs: number) => {
    await world.advance(durationMs)
    seen.push(world.monotonic())
  }
  await Promise.all([pass(100), pass(50)])
  expect(seen).toEqual([100, 100])
})

test('a cancelled timer does not fire and is not pending', async () => {
  const world = manualWorld()
  let fired = false
  const timer = world.after(10, () => (fired = true))
  expect(world.pendingTimers()).toBe(1)
  timer.cancel()
  timer.cancel()
  expect(world.pendingTimers()).toBe(0)
  await world.advance(100)
  expect(fired).toBe(false)
})

test('time does not go back', async () => {
  await expect(manualWorld().advance(-1)).rejects.toThrow('cannot advance the world: "durationMs" is -1, wanted a number from 0')
  await expect(manualWorld().advance(Number.NaN)).rejects.toThrow('"durationMs" is NaN')
})

test('one seed gives one row of numbers and ids, another seed another', () => {
  const take = (seed: number) => {
    const world = manualWorld({ seed })
    return [world.random(), world.random(), world.uuid()]
  }
  expect(take(7)).toEqual(take(7))
  expect(take(7)).not.toEqual(take(8))
  const world = manualWorld()
  const numbers = Array.from({ length: 1_000 }, world.random)
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true)
  expect(new Set(numbers).size).toBeGreaterThan(990)
})

test('an id of a time before 1970 is one all the same', () => {
  const world = manualWorld({ startMs: 0 })
  world.jump(-1_000)
  expect(world.now()).toBe(-1_000)
  expect(world.uuid()).toMatch(/^00000000-0000-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('a delay that is no number is over at once, as with the system', async () => {
  const world = manualWorld()
  let fired = false
  world.after(Number.NaN, () => (fired = true))
  await world.advance(1)
  expect([fired, world.pendingTimers()]).toEqual([true, 0])
})

test('sleep ends at its time', async () => {
  const world = manualWorld()
  let awake = false
  void sleep(world, 100).then(() => (awake = true))
  await world.advance(99)
  expect(awake).toBe(false)
  await world.advance(1)
  expect(awake).toBe(true)
})

test('an abort ends sleep at once, with its reason and without a timer left', async () => {
  const world = manualWorld()
  const controller = new AbortController()
  const slept = sleep(world, 100, controller.signal)
  const reason = new Error('enough')
  controller.abort(reason)
  await expect(slept).rejects.toBe(reason)
  expect(world.pendingTimers()).toBe(0)
  await expect(sleep(world, 100, AbortSignal.abort(reason))).rejects.toBe(reason)
  expect(world.pendingTimers()).toBe(0)
})

test('sleep leaves no listener on a signal that lives on', async () => {
  const world = manualWorld()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...args)
  }
  const slept = sleep(world, 10, signal)
  expect(listeners).toBe(1)
  await world.advance(10)
  await slept
  expect(listeners).toBe(0)
})

test('ids of the system sort in the order they were made', () => {
  const ids = Array.from({ length: 20_000 }, () => systemWorld.uuid())
  expect(ids).toEqual(ids.toSorted())
  expect(new Set(ids).size).toBe(ids.length)
})

test('the system runs a timer and can cancel one', async () => {
  const cancelled = systemWorld.after(0, () => {
    throw new Error('was cancelled')
  })
  cancelled.cancel()
  const before = systemWorld.monotonic()
  await new Promise<void>((resolve) => systemWorld.after(1, resolve))
  expect(systemWorld.monotonic()).toBeGreaterThan(before)
})

const DAY_MS = 86_400_000

test('the system waits as long as it is told, also longer than one timer can', () => {
  vi.useFakeTimers()
  const fired: string[] = []
  systemWorld.after(24 * DAY_MS, () => fired.push('24 days'))
  systemWorld.after(30 * DAY_MS, () => fired.push('30 days'))
  systemWorld.after(60 * DAY_MS, () => fired.push('60 days'))
  const longest = vi.spyOn(globalThis, 'setTimeout')
  vi.advanceTimersByTime(30 * DAY_MS - 1)
  expect(fired).toEqual(['24 days'])
  vi.advanceTimersByTime(1)
  expect(fired).toEqual(['24 days', '30 days'])
  vi.advanceTimersByTime(30 * DAY_MS)
  expect(fired).toEqual(['24 days', '30 days', '60 days'])
  for (const [, delayMs] of longest.mock.calls) expect(delayMs).toBeLessThan(2 ** 31)
})

test('the system cancels a long timer wherever it is', () => {
  vi.useFakeTimers()
  const fire = vi.fn()
  const [early, late] = [systemWorld.after(60 * DAY_MS, fire), systemWorld.after(60 * DAY_MS, fire)]
  early.cancel()
  vi.advanceTimersByTime(50 * DAY_MS)
  late.cancel()
  vi.advanceTimersByTime(50 * DAY_MS)
  expect(fire).not.toHaveBeenCalled()
  expect(vi.getTimerCount()).toBe(0)
})
