import { shown } from './shown.ts'
import { uuidV7 } from './uuid-v7.ts'
import type { World } from './world.ts'

export interface ManualWorldOptions {
  /** Where the random numbers and ids start. Same seed, same run. Default 1. */
  seed?: number
  /** The wall clock at the start, milliseconds since 1970. Default 2026-01-01T00:00:00Z. */
  startMs?: number
}

/** A world whose time stands still until it is told to pass. */
export interface ManualWorld extends World {
  /**
   * Lets `durationMs` pass: fires what falls due, in order of time, and lets promises settle before and after each. 0 lets
   * promises settle and fires what is due now.
   *
   * @throws {RangeError} for a negative duration: time does not go back
   */
  advance(durationMs: number): Promise<void>
  /** Moves the wall clock alone, as a correction by NTP would. */
  jump(byMs: number): void
  /** How many timers are pending. An idle policy or component has none. */
  pendingTimers(): number
}

/** Creates a {@link ManualWorld}, for tests and simulations: time passes only by `advance`, randomness comes from `seed`. */
export function manualWorld(options: ManualWorldOptions = {}): ManualWorld {
  const { seed = 1, startMs = Date.UTC(2026, 0, 1) } = options
  const random = mulberry32(seed)
  const timers = new Set<{ at: number; fire: () => void }>()
  let elapsed = 0
  let offset = 0

  // Whole, as a wall clock's: what is stored may be refused otherwise. Delays may have fractions.
  const now = () => Math.floor(startMs + offset + elapsed)

  async function advance(durationMs: number): Promise<void> {
    if (!(durationMs >= 0)) throw new RangeError(`cannot advance the world: "durationMs" is ${shown(durationMs)}, wanted a number from 0`)
    const until = elapsed + durationMs
    await settle()
    for (let next = earliest(timers, until); next; next = earliest(timers, until)) {
      timers.delete(next)
      elapsed = Math.max(elapsed, next.at)
      next.fire()
      await settle()
    }
    // Others may have let more of it pass meanwhile.
    elapsed = Math.max(elapsed, until)
  }

  return {
    now,
    monotonic: () => elapsed,
    random,
    uuid: () =>
      uuidV7(
        // An id has no place for a time before 1970, where a jump may lead.
        Math.max(0, now()),
        Uint8Array.from({ length: 10 }, () => random() * 256),
      ),
    after(delayMs, fire) {
      // One that is no number is over at once, as the runtime has it.
      const timer = { at: elapsed + Math.max(0, delayMs || 0), fire }
      timers.add(timer)
      return { cancel: () => void timers.delete(timer) }
    },
    advance,
    jump(byMs) {
      offset += byMs
    },
    pendingTimers: () => timers.size,
  }
}

/** Timers of one instant fire in the order they were set: a Set keeps that order, and `<` keeps the first. */
function earliest(timers: Set<{ at: number; fire: () => void }>, until: number) {
  let next: { at: number; fire: () => void } | undefined
  for (const timer of timers) if (timer.at <= until && (!next || timer.at < next.at)) next = timer
  return next
}

/** Lets every promise that can settle do so: a turn of the event loop's check phase runs after all microtasks. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Mulberry32, a small generator of good enough numbers from 32 bits of state. Public domain, T. Ettinger. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
