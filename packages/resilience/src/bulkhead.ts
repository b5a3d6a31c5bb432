import { systemWorld, type World } from '@banyan/core'
import type { Scope } from './call.ts'
import { deadlineList } from './deadline-list.ts'
import { ResilienceError } from './errors.ts'
import { isHeard, tell } from './events.ts'
import type { Layer, Next } from './layer.ts'
import { linkedList } from './linked-list.ts'
import { checkDuration, checkNumber } from './option-checks.ts'

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
  const deadlines = maxWaitMs === undefined ? undefined : deadlineList(world, maxWaitMs)
  const waiting = linkedList<() => void>()
  let active = 0

  /** Gives a place to the next who waits, or back. */
  function release(): void {
    const next = order === 'fifo' ? waiting.first : waiting.last
    if (!next) {
      active -= 1
      return
    }
    waiting.remove(next)
    next.value()
  }

  function enter(next: Next, scope: Scope): Promise<unknown> {
    return next(scope).finally(release)
  }

  function reject(policy: string, why: 'full' | 'waited'): ResilienceError {
    if (isHeard('bulkhead')) tell('bulkhead', { policy, why, active, queued: waiting.size })
    return full(policy, why, { limit, queue, maxWaitMs })
  }

  function wait(policy: string, next: Next, scope: Scope): Promise<unknown> {
    return new Promise((resolve, refuse) => {
      const node = waiting.append(() => {
        quit()
        resolve(enter(next, scope))
      })
      const entry = deadlines?.add(() => {
        waiting.remove(node)
        quit()
        refuse(reject(policy, 'waited'))
      })
      const leave = scope.cancel.onAbort((reason) => {
        waiting.remove(node)
        quit()
        refuse(reason)
      })
      function quit(): void {
        entry?.remove()
        leave()
      }
    })
  }

  function around(policy: string, next: Next): Next {
    return (scope) => {
      if (scope.cancel.aborted) return Promise.reject(scope.cancel.reason)
      if (active < limit) {
        active += 1
        return enter(next, scope)
      }
      if (waiting.size >= queue) return Promise.reject(reject(policy, 'full'))
      return wait(policy, next, scope)
    }
  }

  return {
    facts: { kind: 'bulkhead', limit, queue, maxWaitMs: queue === 0 ? 0 : (maxWaitMs ?? Number.POSITIVE_INFINITY) },
    world,
    around,
    get active() {
      return active
    },
    get queued() {
      return waiting.size
    },
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
