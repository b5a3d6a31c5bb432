import { after, avoided, fresh, isAvoided, isPanic, mostAvoided, type Outcome, type OutlierLimit, type Standing } from './outliers.ts'
import { outliersOf, tallies } from './outliers-sweep.ts'

/** Which endpoints of a service are avoided now. Endpoints are slots; time passes by the `now` of each call, there is no timer. */
export interface OutlierBook {
  /** So many are avoided that all are to be used. */
  readonly panics: boolean
  /** Of those who are here, how many have been avoided. While it is 0 nothing depends on when a call was sent. */
  readonly wereAvoided: number
  /** When somebody comes back; `Infinity` while none is avoided. */
  readonly returnsAt: number
  /** One endpoint more. */
  enter(): void
  /** The endpoint at `slot` is gone; it must have been there, and calls to it are not to be learnt from any more. */
  leave(slot: number): void
  isAvoided(slot: number): boolean
  /** Ends the time of those who were avoided long enough. */
  letReturn(now: number): void
  /** Takes in how a call ended. @returns who is avoided from now on because of it, with the milliseconds */
  learn(slot: number, outcome: Outcome, now: number): readonly Avoided[]
}

/** An endpoint that is avoided from now on. */
export interface Avoided {
  readonly slot: number
  readonly forMs: number
}

const nobody: readonly Avoided[] = []

/**
 * Keeps the book of a service's endpoints.
 *
 * @param changed called with each endpoint that becomes, or no longer is, one to choose from
 */
export function outlierBook(limit: OutlierLimit, changed: (slot: number) => void): OutlierBook {
  /** Of those who failed lately. Of most there is nothing to keep, so a call that succeeds looks into a small map and is done. */
  const standings = new Map<number, Standing>()
  let count = 0
  const out = new Set<number>()
  const counted = tallies(limit.intervalMs)
  // Fields, not getters: those of a literal are not compiled into their callers, and each pick reads two.
  const seen = { panics: false, wereAvoided: 0, returnsAt: Number.POSITIVE_INFINITY }

  /** To be called when somebody is avoided, or no longer. */
  function settle(): void {
    seen.returnsAt = Number.POSITIVE_INFINITY
    for (const slot of out) seen.returnsAt = Math.min(seen.returnsAt, standings.get(slot)?.until ?? seen.returnsAt)
    review()
  }
  /** To be called when the number of all changed. */
  function review(): void {
    const before = seen.panics
    seen.panics = out.size > 0 && isPanic(count, out.size, limit)
    if (seen.panics !== before) for (const slot of out) changed(slot)
  }
  function keep(slot: number, standing: Standing): void {
    if (standing.failures === 0 && standing.times === 0) standings.delete(slot)
    else standings.set(slot, standing)
  }
  function avoid(slot: number, standing: Standing, now: number): Avoided {
    if ((standings.get(slot)?.times ?? 0) === 0) seen.wereAvoided += 1
    standings.set(slot, standing)
    out.add(slot)
    changed(slot)
    settle()
    return { slot, forMs: standing.until - now }
  }
  function mayAvoid(): boolean {
    return out.size < mostAvoided(count, limit)
  }
  function sweep(now: number): readonly Avoided[] {
    return outliersOf(counted.close(now), limit).flatMap((slot) => {
      const isRoom = !out.has(slot) && mayAvoid()
      return isRoom ? [avoid(slot, avoided(standings.get(slot) ?? fresh, now, limit), now)] : []
    })
  }

  return Object.assign(seen, {
    isAvoided: (slot: number) => out.has(slot),
    enter() {
      count += 1
      review()
    },
    leave(slot: number) {
      if ((standings.get(slot)?.times ?? 0) > 0) seen.wereAvoided -= 1
      standings.delete(slot)
      count -= 1
      counted.forget(slot)
      if (out.delete(slot)) settle()
      else review()
    },
    letReturn(now: number) {
      for (const slot of out) {
        if (isAvoided(standings.get(slot) ?? fresh, now)) continue
        out.delete(slot)
        changed(slot)
      }
      settle()
    },
    learn(slot: number, outcome: Outcome, now: number) {
      const swept = now >= counted.endsAt ? sweep(now) : nobody
      const before = standings.get(slot) ?? fresh
      // Sent before it came back: says nothing about now.
      if (outcome.admitted < before.until) return swept
      counted.count(slot, outcome.ok, now)
      const standing = after(before, outcome, now, mayAvoid, limit)
      if (standing.until !== before.until) return [...swept, avoid(slot, standing, now)]
      if (standing !== before) keep(slot, standing)
      return swept
    },
  })
}
