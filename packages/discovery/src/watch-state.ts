import type { Instance, Snapshot } from '@banyan/core'
import type { Listing } from './consul-instance.ts'

/** How many instances may go at once without a second look. */
export interface MassExpiryOptions {
  /** Largest share of a service's instances that may fail within `verifyMs`, 0 to 1. Default 0.15. 1: no limit. */
  share?: number
  /** How long those beyond it are kept until the registry is believed, milliseconds. Default 5,000. */
  verifyMs?: number
}

/** What a watch knows. Times are those of `World.monotonic`. */
export interface WatchState {
  readonly snapshot: Snapshot
  /** The index of the last listing; 0: the next question asks for the whole list at once. */
  readonly index: number
  /** Failed questions in a row. */
  readonly failures: number
  /** Instances kept although the last listing did not have them as healthy. */
  readonly held: Held | undefined
  /** When instances were lost lately, one entry each. */
  readonly losses: readonly number[]
}

interface Held {
  /** When the first of them is believed to be gone. */
  readonly until: number
  /** Each with the time when it is believed to be gone. */
  readonly ids: ReadonlyMap<string, number>
}

/** What happens to a watch: an answer, or none. */
export type WatchEvent = { readonly type: 'listed'; readonly listing: Listing } | { readonly type: 'failed' }

/** A watch that has heard nothing. */
export const unheard: WatchState = {
  snapshot: { instances: [], revision: 0, stale: false },
  index: 0,
  failures: 0,
  held: undefined,
  losses: [],
}

/**
 * What the watch knows after `event`.
 *
 * Instances that were taken out on purpose go at once. Instances that fail their checks, or that are gone after the watch
 * was broken, may be lost to a registry that itself is cut off: one goes at once, but when many would go, they stay
 * until the registry says so still after `verifyMs`.
 *
 * @see Eureka, "self preservation", which never gives in; this does
 */
export function after(state: WatchState, event: WatchEvent, now: number, limit: Required<MassExpiryOptions>): WatchState {
  if (event.type === 'failed') {
    return { ...state, index: 0, failures: state.failures + 1, snapshot: { ...state.snapshot, stale: true } }
  }
  const { listing } = event
  const suspects = suspectsOf(state, listing)
  const untilOf = ({ id }: Instance) => state.held?.ids.get(id) ?? now + limit.verifyMs
  // The registry has said so for long enough of those who are kept, but not of those who are lost only now.
  const doubted = suspects.filter((suspect) => now < untilOf(suspect))
  const losses = state.losses.filter((at) => now - at < limit.verifyMs)
  const known = state.snapshot.instances.length - (suspects.length - doubted.length) + losses.length
  const lost = doubted.length + losses.length
  const many = lost >= 2 && lost > known * limit.share
  const hold = doubted.length > 0 && (many || doubted.some(({ id }) => state.held?.ids.has(id)))
  return {
    index: listing.index,
    failures: 0,
    held: hold ? heldOf(new Map(doubted.map((one) => [one.id, untilOf(one)]))) : undefined,
    losses: hold ? losses : [...losses, ...doubted.map(() => now)],
    snapshot: snapshotAfter(state.snapshot, hold ? [...listing.healthy, ...doubted] : listing.healthy),
  }
}

function heldOf(ids: ReadonlyMap<string, number>): Held {
  return { until: Math.min(...ids.values()), ids }
}

/** Known instances that the listing has no longer, and not because somebody took them out. */
function suspectsOf(state: WatchState, listing: Listing): readonly Instance[] {
  const healthy = new Set(listing.healthy.map(({ id }) => id))
  // After a break, or by a registry that lost its state, "not listed" need not mean "deregistered".
  const broken = state.index === 0 || listing.index < state.index
  return state.snapshot.instances.filter(({ id }) => !healthy.has(id) && (listing.failing.has(id) || broken || state.held?.ids.has(id)))
}

function snapshotAfter(before: Snapshot, instances: readonly Instance[]): Snapshot {
  const sorted = [...instances].sort((a, b) => (a.id < b.id ? -1 : 1))
  // Known once is known, even when it is known that there are none.
  const same = before.revision > 0 && JSON.stringify(sorted) === JSON.stringify(before.instances)
  if (same && !before.stale) return before
  return { instances: same ? before.instances : sorted, revision: same ? before.revision : before.revision + 1, stale: false }
}
