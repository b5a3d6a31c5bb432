import { systemWorld, type World } from '@banyan/core'
import type { Scope } from './call.ts'
import type { End } from './end.ts'
import { ResilienceError, rejection } from './errors.ts'
import { isHeard, tell } from './events.ts'
import type { Layer, Next } from './layer.ts'
import { linkedList } from './linked-list.ts'
import { checkDuration, checkNumber } from './option-checks.ts'
import { Waiting } from './waiting.ts'

export interface BulkheadOptions {
  /** How many calls run at once, a whole number from 1. */
  limit: number
  /** How many more may wait for a place, a whole number from 0. Default 0: none. */
  queue?: number
  /** How long one may wait, milliseconds. Default: until the call's own deadline or abort. */
  maxWaitMs?: number
  /**
   * Who of the waiting goes next. `fifo`: the first to come. `lifo`: the last; better under overload, as those who came first are
   * about to give up. Default `fifo`.
   */
  order?: 'fifo' | 'lifo'
  /** Default: the system's. */
  world?: World
}

/** A layer that limits how many calls run at once. */
export interface Bulkhead extends Layer {
  /** How many calls run. */
  readonly active: number
  /** How many wait for a place. */
  readonly queued: number
}

/**
 * Keeps one dependency from taking all there is: at most `limit` calls run, at most `queue` wait. A place is held until the
 * function is really done; to let go of one that hangs, put a `timeout` inside. One who waits and is aborted leaves at once.
 *
 * @throws {RangeError} for an option out of its range. Calls reject with {@link ResilienceError} `ERR_BULKHEAD_FULL`
 * @see Nygard, Release It!, 2nd ed., "Bulkheads"
 */
export function bulkhead(options: BulkheadOptions): Bulkhead {
  const { limit, queue = 0, maxWaitMs, order = 'fifo', world = systemWorld } = options
  checkOptions(limit, queue, maxWaitMs, order)
  const waiting = linkedList<Waiting>()
  let active = 0
  let isDraining = false

  /** Gives a place back, and it goes to the next who waits. */
  function release(): void {
    active -= 1
    // Calls that end at once, as behind an open breaker, come back here: one after the other, and not one inside the other.
    if (isDraining) return
    isDraining = true
    while (active < limit && waiting.size > 0) {
      active += 1
      const next = order === 'fifo' ? waiting.first : waiting.last
      next?.value.go()
    }
    isDraining = false
  }

  function reject(policy: string, why: 'full' | 'waited', scope: Scope): ResilienceError {
    if (isHeard('bulkhead')) tell('bulkhead', { policy, why, active, queued: waiting.size })
    return rejection(scope.run.asValue, () => full(policy, why, { limit, queue, maxWaitMs }))
  }

  function wait(policy: string, next: Next, scope: Scope, end: End): void {
    const waiter = new Waiting(scope, end, {
      go: () => next(scope.later(), new Placed(end, release)),
      late: () => end.bad(reject(policy, 'waited', scope)),
      leave: () => void waiting.remove(node),
    })
    const node = waiting.append(waiter)
    waiter.begin(maxWaitMs)
  }

  function around(policy: string, next: Next): Next {
    return (scope, end) => {
      if (scope.aborted) return end.bad(scope.reason)
      if (active < limit) {
        active += 1
        return next(scope, new Placed(end, release))
      }
      if (waiting.size >= queue) return end.bad(reject(policy, 'full', scope))
      wait(policy, next, scope, end)
    }
  }

  return {
    facts: { kind: 'bulkhead', limit, queue, maxWaitMs: queue === 0 ? 0 : (maxWaitMs ?? Number.POSITIVE_INFINITY) },
    world,
    around,
    gauges: () => [
      { name: 'active', value: active },
      { name: 'queued', value: waiting.size },
    ],
    get active() {
      return active
    },
    get queued() {
      return waiting.size
    },
  }
}

/** A call that has a place, and gives it back at its end. */
class Placed implements End {
  readonly #end: End
  readonly #release: () => void

  constructor(end: End, release: () => void) {
    this.#end = end
    this.#release = release
  }

  ok(value: unknown): void {
    this.#release()
    this.#end.ok(value)
  }

  bad(error: unknown): void {
    this.#release()
    this.#end.bad(error)
  }
}

function checkOptions(limit: number, queue: number, maxWaitMs: number | undefined, order: string): void {
  checkNumber('create bulkhead', 'limit', limit, { min: 1, whole: true })
  checkNumber('create bulkhead', 'queue', queue, { min: 0, whole: true })
  if (maxWaitMs !== undefined) checkDuration('create bulkhead', 'maxWaitMs', maxWaitMs, 1)
  if (order !== 'fifo' && order !== 'lifo') throw new TypeError(`cannot create bulkhead: "order" is "${order}", wanted "fifo" or "lifo"`)
}

function full(
  policy: string,
  why: 'full' | 'waited',
  { limit, queue, maxWaitMs }: { limit: number; queue: number; maxWaitMs: number | undefined },
): ResilienceError {
  const what = why === 'full' ? `${limit} calls run and ${queue} wait` : `no place became free within ${maxWaitMs} ms`
  return new ResilienceError('ERR_BULKHEAD_FULL', policy, `cannot call "${policy}": its bulkhead is full, ${what}`)
}
