import type { Timer, World } from '@banyan/core'
import type { Cancellation } from '@banyan/resilience'

/**
 * How asking a service ended: its answer is kept for others; it may be for nobody else; it did not come through, as when its client left, and
 * another may try; the service failed, and who waited has waited long enough.
 */
export type Landing = 'kept' | 'not kept' | 'lost' | 'failed'

/** A key whose answers are for one client each is not waited for again for this long, milliseconds. */
const forgetAfterMs = 60_000
const mostForgotten = 10_000

/** Which answers are on their way, so that of many requests for one only the first goes to the service. */
export class Flights {
  readonly #world: World
  readonly #waitMs: number
  readonly #underWay = new Map<string, Set<(result: 'none' | 'over') => void>>()
  /** Keys that are not waited for, and until when, in `world.monotonic()` time. */
  readonly #alone = new Map<string, number>()

  /** @param waitMs the longest wait; 0: nobody waits */
  constructor(waitMs: number, world: World) {
    this.#waitMs = waitMs
    this.#world = world
  }

  isUnderWay(key: string): boolean {
    return this.#underWay.has(key)
  }

  /** Waits for an answer that is on its way. `none`: there is none, or it is not worth it; `over`: look again. */
  join(key: string, cancellation: Cancellation): Promise<'none' | 'over'> {
    const waiting = this.#underWay.get(key)
    if (!waiting || this.#waitMs === 0 || cancellation.aborted || this.#isAlone(key)) return Promise.resolve('none')
    return new Promise((resolve) => {
      let timer: Timer | undefined
      const leave = (result: 'none' | 'over') => {
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

  /** Begins one. Others of the same key may be under way; the first one counts. @returns what ends it */
  begin(key: string): (landing: Landing) => void {
    const waiting = new Set<(result: 'none' | 'over') => void>()
    if (!this.#underWay.has(key)) this.#underWay.set(key, waiting)
    return (landing) => {
      if (this.#underWay.get(key) === waiting) this.#underWay.delete(key)
      if (landing === 'not kept') this.#leaveAlone(key)
      else if (landing === 'kept') this.#alone.delete(key)
      for (const leave of [...waiting]) leave(landing === 'failed' ? 'none' : 'over')
    }
  }

  #leaveAlone(key: string): void {
    this.#alone.delete(key)
    this.#alone.set(key, this.#world.monotonic() + forgetAfterMs)
    const [oldest] = this.#alone.keys()
    if (this.#alone.size > mostForgotten && oldest !== undefined) this.#alone.delete(oldest)
  }

  #isAlone(key: string): boolean {
    const until = this.#alone.get(key)
    return until !== undefined && this.#world.monotonic() < until
  }
}
