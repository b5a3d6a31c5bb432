import type { World } from '@banyan/core'
import { Scope } from '../call.ts'
import { Cancellation } from '../cancellation.ts'
import type { End } from '../end.ts'
import type { Layer, Next } from '../layer.ts'
import type { DefectKit } from './defects.ts'

/** The defects of libraries in use, to be switched on one at a time. */
export type Defect =
  | 'never-forgets'
  | 'deaf-backoff'
  | 'keeps-slot'
  | 'waits-behind-probe'
  | 'old-failure-reopens'
  | 'old-success-closes'
  | 'aborts-all'
  | 'sorts-window'

/**
 * Layers as one would write them in an afternoon, with one of the known defects, or with none: mutants for the tests of those defects,
 * and the proof that the tests ask for nothing but the defect's absence.
 */
export function naiveKit(defect: Defect | undefined): DefectKit {
  const has = (one: Defect): boolean => one === defect
  return {
    breaker: (options, world) => naiveBreaker(options, world, has),
    retry: (options, world) => naiveRetry(options, world, has),
    bulkhead: (options) => naiveBulkhead(options, has),
    timeout: (timeoutMs, world) => naiveTimeout(timeoutMs, world, has),
    window: (size) => naiveWindow(size, has),
  }
}

type Has = (defect: Defect) => boolean

/** Counts failures in a row; after the cool-down one probe decides. */
function naiveBreaker(options: Parameters<DefectKit['breaker']>[0], world: World, has: Has): ReturnType<DefectKit['breaker']> {
  let state: 'closed' | 'open' | 'half-open' = 'closed'
  let openedAt = 0
  let probeAt: number | undefined
  let failures = 0
  let lastAt = 0
  let generation = 0
  const waiting: (() => void)[] = []

  function tick(): void {
    const now = world.monotonic()
    if (state === 'open' && now >= openedAt + options.coolDownMs) go('half-open')
    const isHung = probeAt !== undefined && now >= probeAt + options.maxWaitMs
    if (state === 'half-open' && isHung && !has('waits-behind-probe')) go('open')
  }
  function go(next: typeof state): void {
    state = next
    generation += 1
    probeAt = undefined
    failures = 0
    if (next === 'open') openedAt = world.monotonic()
  }
  function settle(ok: boolean, admitted: number): void {
    tick()
    if (admitted !== generation) {
      if (!ok && state === 'half-open' && has('old-failure-reopens')) go('open')
      if (ok && state !== 'closed' && has('old-success-closes')) go('closed')
      return
    }
    if (state === 'half-open') go(ok ? 'closed' : 'open')
    else if (ok) failures = 0
    else {
      if (!has('never-forgets') && world.monotonic() - lastAt > 300_000) failures = 0
      failures += 1
      lastAt = world.monotonic()
      if (failures >= options.failures) go('open')
    }
    for (const wake of waiting.splice(0)) wake()
  }
  function around(_policy: string, next: Next): Next {
    return function enter(scope, end) {
      tick()
      if (state === 'open') return end.bad(new Error('open'))
      if (state === 'half-open' && probeAt !== undefined) {
        if (has('waits-behind-probe')) waiting.push(() => enter(scope, end))
        else end.bad(new Error('half-open'))
        return
      }
      if (state === 'half-open') probeAt = world.monotonic()
      const admitted = generation
      next(
        scope,
        telling(end, (ok) => settle(ok, admitted)),
      )
    }
  }
  return {
    facts: { kind: 'circuit-breaker', text: 'naive', waitMs: 0 },
    world,
    around,
    get state() {
      tick()
      return state
    },
  }
}

/** Always the same wait. */
function naiveRetry({ attempts, delayMs }: Parameters<DefectKit['retry']>[0], world: World, has: Has): Layer {
  const around = (_policy: string, next: Next): Next => {
    return (scope, end) => {
      function attempt(number: number): void {
        next(new Scope(scope.run, scope.cancel, number), {
          ok: (value) => end.ok(value),
          bad(error) {
            if (number >= attempts || scope.aborted) end.bad(error)
            else wait(number)
          },
        })
      }
      function wait(number: number): void {
        const timer = world.after(delayMs, () => attempt(number + 1))
        if (has('deaf-backoff')) return
        scope.cancel?.listen({
          onAbort(reason) {
            timer.cancel()
            end.bad(reason)
          },
        })
      }
      attempt(1)
    }
  }
  return { facts: { kind: 'retry', attempts, waitsMs: delayMs }, world, around }
}

function naiveBulkhead({ limit, queue }: Parameters<DefectKit['bulkhead']>[0], has: Has): ReturnType<DefectKit['bulkhead']> {
  let active = 0
  let waiting: { go: () => void; isGone: boolean }[] = []
  function enter(next: Next, scope: Scope, end: End): void {
    active += 1
    next(
      scope,
      telling(end, () => {
        active -= 1
        waiting.shift()?.go()
      }),
    )
  }
  const around = (_policy: string, next: Next): Next => {
    return (scope, end) => {
      if (active < limit) return enter(next, scope, end)
      if (waiting.length >= queue) return end.bad(new Error('full'))
      const waiter = { go: () => enter(next, scope, end), isGone: false }
      waiting.push(waiter)
      scope.cancel?.listen({
        onAbort(reason) {
          if (!has('keeps-slot')) waiting = waiting.filter((one) => one !== waiter)
          end.bad(reason)
        },
      })
    }
  }
  return {
    facts: { kind: 'bulkhead', limit, queue, maxWaitMs: 0 },
    around,
    get queued() {
      return waiting.length
    },
  }
}

function naiveTimeout(timeoutMs: number, world: World, has: Has): Layer {
  const create = () => new Cancellation(world, world.monotonic() + timeoutMs)
  let shared = create()
  const around = (_policy: string, next: Next): Next => {
    return (scope, end) => {
      if (shared.aborted) shared = create()
      const cancel = has('aborts-all') ? shared : create()
      const timer = world.after(timeoutMs, () => cancel.abort(new Error('too late')))
      cancel.listen({ onAbort: (reason) => end.bad(reason) })
      const quiet = telling(end, () => timer.cancel())
      next(new Scope(scope.run, cancel, 1), {
        ok: (value) => !cancel.aborted && quiet.ok(value),
        bad: (error) => !cancel.aborted && quiet.bad(error),
      })
    }
  }
  return { facts: { kind: 'timeout', timeoutMs }, world, around }
}

/** Keeps each outcome's time and, with the defect, sorts them to find those of the window, as percentiles do. */
function naiveWindow(size: number, has: Has): ReturnType<DefectKit['window']> {
  const times = new Float64Array(size)
  let next = 0
  return {
    fail(now) {
      times[next % size] = now
      next += 1
      if (has('sorts-window')) times.sort()
    },
  }
}

function telling(end: End, tell: (ok: boolean) => void): End {
  return {
    ok(value) {
      tell(true)
      end.ok(value)
    },
    bad(error) {
      tell(false)
      end.bad(error)
    },
  }
}
