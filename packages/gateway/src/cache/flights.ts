import { hash } from 'node:crypto'
import type { Timer, World } from '@banyan/core'
import type { Cancellation } from '@banyan/resilience'

/**
 * How asking a service ended: its answer is kept for others; it may be for nobody else; it did not come through, as when its client left, and
 * another may try; the service failed, and who waited has waited long enough.
 */
export type Landing = 'kept' | 'not kept' | 'lost' | 'failed'

/** An answer on its way. */
export interface Flight {
  /** A change came after it was asked for: it may be from before that, and is not kept. */
  readonly isOutdated: boolean
  readonly hasLanded: boolean
  /** Ends it for those who wait. Only the first time counts. */
  land(landing: Landing): void
}

/** Answers whose lane is for one client each are not waited for again for this long, milliseconds. */
const forgetAfterMs = 60_000
const mostForgotten = 10_000

type Leave = (result: 'none' | 'over') => void

interface Flying {
  readonly lane: string | undefined
  readonly waiting: Set<Leave>
  isOutdated: boolean
  hasLanded: boolean
}

/**
 * Which answers are on their way, so that of many requests for one only the first goes to the service. A key is what a change makes old;
 * requests of one lane of it can do with the same answer.
 */
export class Flights {
  readonly #world: World
  readonly #waitMs: number
  readonly #flying = new Map<string, Set<Flying>>()
  /** Lanes that are not waited for, by their hashes, and until when, in `world.monotonic()` time. */
  readonly #alone = new Map<string, number>()

  /** @param waitMs the longest wait; 0: nobody waits */
  constructor(waitMs: number, world: World) {
    this.#waitMs = waitMs
    this.#world = world
  }

  isUnderWay(key: string, lane: string): boolean {
    return this.#find(key, lane) !== undefined
  }

  /** Waits for an answer that is on its way. `none`: there is none, or it is not worth it; `over`: look again. */
  join(key: string, lane: string, cancellation: Cancellation): Promise<'none' | 'over'> {
    const waiting = this.#find(key, lane)?.waiting
    if (!waiting || this.#waitMs === 0 || cancellation.aborted || this.#isAlone(key, lane)) return Promise.resolve('none')
    return new Promise((resolve) => {
      let timer: Timer | undefined
      const leave: Leave = (result) => {
        timer?.cancel()
        waiting.delete(leave)
        cancellation.unlisten(listener)
        resolve(result)
      }
      const listener = { onAbort: () => leave('none') }
      timer = this.#world.after(this.#waitMs, () => leave('none'))
      waiting.add(leave)
      cancellation.listen(listener)
    })
  }

  /** Begins one. @param lane `undefined`: nobody waits for it */
  begin(key: string, lane: string | undefined): Flight {
    const one: Flying = { lane, waiting: new Set(), isOutdated: false, hasLanded: false }
    const all = this.#flying.get(key) ?? new Set()
    this.#flying.set(key, all.add(one))
    const land = (landing: Landing) => {
      if (one.hasLanded) return
      one.hasLanded = true
      all.delete(one)
      if (all.size === 0 && this.#flying.get(key) === all) this.#flying.delete(key)
      if (landing === 'not kept') this.#leaveAlone(key, lane)
      else if (landing === 'kept' && this.#alone.size > 0) this.#alone.delete(laneKey(key, lane))
      for (const leave of [...one.waiting]) leave(landing === 'failed' ? 'none' : 'over')
    }
    return {
      get isOutdated() {
        return one.isOutdated
      },
      get hasLanded() {
        return one.hasLanded
      },
      land,
    }
  }

  /** A change has succeeded: what is on its way may be from before it. */
  outdate(key: string): void {
    for (const one of this.#flying.get(key) ?? []) one.isOutdated = true
  }

  #find(key: string, lane: string): Flying | undefined {
    for (const one of this.#flying.get(key) ?? []) if (one.lane === lane && !one.isOutdated) return one
    return undefined
  }

  #leaveAlone(key: string, lane: string | undefined): void {
    if (lane === undefined) return
    const hashed = laneKey(key, lane)
    this.#alone.delete(hashed)
    this.#alone.set(hashed, this.#world.monotonic() + forgetAfterMs)
    const [oldest] = this.#alone.keys()
    if (this.#alone.size > mostForgotten && oldest !== undefined) this.#alone.delete(oldest)
  }

  #isAlone(key: string, lane: string): boolean {
    const until = this.#alone.size === 0 ? undefined : this.#alone.get(laneKey(key, lane))
    return until !== undefined && this.#world.monotonic() < until
  }
}

/** Short, whatever a client puts into its address: many of them are remembered. */
function laneKey(key: string, lane = ''): string {
  return hash('sha256', `${key}\n${lane}`, 'base64')
}
