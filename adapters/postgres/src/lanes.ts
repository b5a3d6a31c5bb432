import type { World } from '@banyan/core'

/** The tables that are locked for a turn. */
export const LANES: readonly string[] = Array.from({ length: 8 }, (_, index) => `banyan_lane_${index}`)

/** How long a lane is used after a transaction was last refused twice. */
const BUSY_MS = 1_000

/**
 * Turns for transactions that get in each other's way. Running again after a pause helps while few compete; where many do without end, those
 * that pause lose every time. So transactions that begin with the same statement as one that was refused twice take turns for a while, in
 * all processes that have met it: they wait for a table lock as the first thing they do. That comes before their snapshot, so it cannot be
 * out of date when their turn comes, and before all other locks, so it cannot make a deadlock.
 */
export interface Lanes {
  /** What a transaction must do behind BEGIN: nothing, or to wait for its turn. */
  behindBegin(firstText: string): readonly string[]
  /** PostgreSQL refused an attempt for the sake of others. */
  refused(firstText: string, attempt: number): void
}

/** Creates {@link Lanes}. */
export function takeTurns(world: World): Lanes {
  const busyUntil = LANES.map(() => Number.NEGATIVE_INFINITY)
  return {
    behindBegin(firstText) {
      const lane = laneOf(firstText)
      if (world.monotonic() >= (busyUntil[lane] ?? 0)) return []
      return [`lock table ${LANES[lane]} in share row exclusive mode`]
    },
    refused(firstText, attempt) {
      if (attempt >= 2) busyUntil[laneOf(firstText)] = world.monotonic() + BUSY_MS
    },
  }
}

function laneOf(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index += 1) hash = (hash * 31 + text.charCodeAt(index)) | 0
  return Math.abs(hash) % LANES.length
}
