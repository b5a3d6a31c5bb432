/** What today's libraries are known for, each as a scenario that asks any layers whether they have the defect. */
import { manualWorld, type World } from '@banyan/core'
import { expect, vi } from 'vitest'
import type { Layer } from '../layer.ts'
import { policy } from '../policy.ts'

/** The layers under question. */
export interface DefectKit {
  /** Opens after `failures` in a row for `coolDownMs`; one probe decides, or counts as failed after `maxWaitMs`. */
  breaker(options: { failures: number; coolDownMs: number; maxWaitMs: number }, world: World): Layer & { readonly state: string }
  retry(options: { attempts: number; delayMs: number }, world: World): Layer
  bulkhead(options: { limit: number; queue: number }, world: World): Layer & { readonly queued: number }
  timeout(timeoutMs: number, world: World): Layer
  /** A window of the last `size` calls. */
  window(size: number): { fail(now: number): void }
}

const never = () => new Promise<never>(() => {})
const down = () => Promise.reject(new Error('down'))

function deferred() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  return { work: () => promise, pass: () => resolve('answer'), fail: () => reject(new Error('down')) }
}

function breakerOf(kit: DefectKit, failures: number) {
  const world = manualWorld()
  const breaker = kit.breaker({ failures, coolDownMs: 1_000, maxWaitMs: 5_000 }, world)
  return { world, breaker, stock: policy('stock', breaker) }
}

/** Throws where the layers have the defect. */
export type Scenario = (kit: DefectKit) => Promise<void>

export const failuresAnHourOldCount: Scenario = async (kit) => {
  const { world, breaker, stock } = breakerOf(kit, 5)
  for (let i = 0; i < 4; i += 1) await stock.outcome(down)
  await world.advance(3_600_000)
  await stock.outcome(down)
  expect(breaker.state).toBe('closed')
}

export const abortIsIgnoredDuringBackoff: Scenario = async (kit) => {
  const world = manualWorld()
  const controller = new AbortController()
  const work = vi.fn(down)
  const ended = vi.fn()
  const stock = policy('stock', kit.retry({ attempts: 3, delayMs: 60_000 }, world))
  void stock.outcome(work, { signal: controller.signal }).then(ended)
  await world.advance(10)
  expect(world.pendingTimers()).toBe(1)
  controller.abort(new Error('left'))
  await world.advance(0)
  expect(ended).toHaveBeenCalledOnce()
  expect(world.pendingTimers()).toBe(0)
  await world.advance(120_000)
  expect(work).toHaveBeenCalledOnce()
}

export const abortedCallKeepsItsSlot: Scenario = async (kit) => {
  const world = manualWorld()
  const layer = kit.bulkhead({ limit: 1, queue: 1 }, world)
  const stock = policy('stock', layer)
  const running = deferred()
  void stock.outcome(running.work)
  const controller = new AbortController()
  const aborted = vi.fn()
  const second = stock.outcome(aborted, { signal: controller.signal })
  controller.abort(new Error('left'))
  await second
  expect(layer.queued).toBe(0)
  const third = stock.outcome(() => 'third')
  running.pass()
  expect(await third).toMatchObject({ ok: true, value: 'third' })
  expect(aborted).not.toHaveBeenCalled()
}

export const callersWaitBehindHungProbe: Scenario = async (kit) => {
  const { world, breaker, stock } = breakerOf(kit, 1)
  await stock.outcome(down)
  await world.advance(1_000)
  void stock.outcome(never)
  const ended = vi.fn()
  void stock.outcome(() => 'answer').then(ended)
  await world.advance(5_000)
  expect(ended).toHaveBeenCalledOnce()
  expect(breaker.state).toBe('open')
  await world.advance(1_000)
  expect(await stock.outcome(() => 'answer')).toMatchObject({ ok: true })
  expect(breaker.state).toBe('closed')
}

export const failureFromBeforeOpeningReopens: Scenario = async (kit) => {
  const { world, breaker, stock } = breakerOf(kit, 1)
  const old = deferred()
  const late = stock.outcome(old.work)
  await stock.outcome(down)
  await world.advance(1_000)
  expect(breaker.state).toBe('half-open')
  old.fail()
  await late
  expect(breaker.state).toBe('half-open')
}

export const successFromBeforeOpeningCloses: Scenario = async (kit) => {
  const { world, breaker, stock } = breakerOf(kit, 1)
  const [early, later] = [deferred(), deferred()]
  const late = [stock.outcome(early.work), stock.outcome(later.work)]
  await stock.outcome(down)
  early.pass()
  await late[0]
  expect(breaker.state).toBe('open')
  await world.advance(1_000)
  later.pass()
  await late[1]
  expect(breaker.state).toBe('half-open')
}

export const oneTimeoutAbortsAll: Scenario = async (kit) => {
  const world = manualWorld()
  const stock = policy('stock', kit.timeout(100, world))
  const signals: AbortSignal[] = []
  const begin = () =>
    void stock.outcome(({ signal }) => {
      signals.push(signal)
      return never()
    })
  begin()
  await world.advance(1)
  begin()
  await world.advance(99)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
}

/** Counted, not timed: how many numbers a failure reads and writes with so many calls in the window. */
export const failureGoesThroughTheWindow =
  (calls: number): Scenario =>
  async (kit) => {
    const touched = countTouches()
    try {
      const window = kit.window(calls)
      for (let i = 0; i < calls; i += 1) window.fail(i)
      const before = touched()
      window.fail(calls)
      expect(touched() - before).toBeLessThan(20)
    } finally {
      vi.unstubAllGlobals()
    }
  }

/** Until the globals are restored, typed arrays count each number that is read or written; a method of theirs touches all. */
function countTouches(): () => number {
  let touches = 0
  const counting = (original: Uint8ArrayConstructor | Float64ArrayConstructor) =>
    function create(size: number) {
      return new Proxy(new original(size), {
        get(target, key) {
          const value = Reflect.get(target, key, target)
          if (typeof value !== 'function') {
            touches += typeof key === 'string' && key !== 'length' ? 1 : 0
            return value
          }
          return (...args: unknown[]) => {
            touches += target.length
            return value.apply(target, args)
          }
        },
        set(target, key, value) {
          touches += 1
          return Reflect.set(target, key, value, target)
        },
      })
    }
  vi.stubGlobal('Uint8Array', counting(Uint8Array))
  vi.stubGlobal('Float64Array', counting(Float64Array))
  return () => touches
}
