/** Endpoints that came lately and do not get their whole weight yet. */
export interface SlowStart {
  /** When {@link step} has something to do; never: `Infinity`. */
  readonly nextAt: number
  /** Begins to warm up the endpoint at `slot`. */
  begin(slot: number, now: number): void
  /** No longer cares for it. */
  forget(slot: number): void
  /** The part of its weight that the endpoint at `slot` gets, 0.1 to 1. */
  partOf(slot: number, now: number): number
  /** Calls `changed` for each endpoint whose part may have changed; forgets those that are warm. */
  step(now: number, changed: (slot: number) => void): void
}

/** What a new endpoint gets at once: enough to warm it up. Envoy's default. */
const leastPart = 0.1

/** In how many steps it grows. */
const steps = 20

/**
 * Gives new endpoints a tenth of their weight at first and all of it after `durationMs`, growing evenly: an instance with cold caches
 * and uncompiled code is slow until it had some calls.
 *
 * @see gRPC proposal A100, "Client-side weighted round robin slow start"
 */
export function slowStart(durationMs: number): SlowStart {
  const since = new Map<number, number>()

  function partOf(slot: number, now: number): number {
    const began = since.get(slot)
    if (began === undefined) return 1
    return Math.min(1, Math.max(leastPart, (now - began) / durationMs))
  }

  const made = {
    // A field, not a getter: that of a literal is not compiled into its callers, and each pick reads it.
    nextAt: Number.POSITIVE_INFINITY,
    partOf,
    begin(slot: number, now: number) {
      if (durationMs === 0) return
      since.set(slot, now)
      made.nextAt = Math.min(made.nextAt, now + durationMs / steps)
    },
    forget(slot: number) {
      since.delete(slot)
    },
    step(now: number, changed: (slot: number) => void) {
      for (const slot of since.keys()) {
        if (partOf(slot, now) === 1) since.delete(slot)
        changed(slot)
      }
      made.nextAt = since.size === 0 ? Number.POSITIVE_INFINITY : now + durationMs / steps
    },
  }
  return made
}
