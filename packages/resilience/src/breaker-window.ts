/** What happened lately, as the breaker judges it. */
export interface BreakerCounts {
  readonly calls: number
  readonly failures: number
  /** Calls that took too long, failed or not. */
  readonly slow: number
  /** Failures since the last success, in a window of time those that lie in it. */
  readonly consecutive: number
}

/** A window's content as JSON. */
export interface WindowSnapshot {
  readonly consecutive: number
  /** Count window: one number a call, oldest first: 1 for failed + 2 for slow. */
  readonly outcomes?: readonly number[]
  /** Time window: what is in each slice that is not empty, with its age in slices. */
  readonly slices?: readonly WindowSlice[]
}

export interface WindowSlice {
  readonly age: number
  readonly calls: number
  readonly failures: number
  readonly slow: number
}

/** Remembers outcomes. Adding one takes the same time however many there are. */
export interface BreakerWindow {
  readonly kind: 'consecutive' | 'calls' | 'time'
  /** Whether it has nothing to forget and does not care when a call began. */
  isCalm(): boolean
  record(now: number, failed: boolean, slow: boolean): void
  counts(now: number): BreakerCounts
  clear(): void
  snapshot(now: number): WindowSnapshot
  /** Takes over a snapshot made `elapsedMs` ago; of another kind of window only the failures in a row. */
  restore(snapshot: WindowSnapshot, now: number, elapsedMs: number): void
}

/** Creates a window that only knows how many failures came in a row. */
export function consecutiveWindow(): BreakerWindow {
  let consecutive = 0
  return {
    kind: 'consecutive',
    isCalm: () => consecutive === 0,
    record(_now, failed) {
      consecutive = failed ? consecutive + 1 : 0
    },
    counts: () => ({ calls: consecutive, failures: consecutive, slow: 0, consecutive }),
    clear() {
      consecutive = 0
    },
    snapshot: () => ({ consecutive }),
    restore(snapshot) {
      consecutive = snapshot.consecutive
    },
  }
}

/** Creates a window over the last `size` calls. */
export function countWindow(size: number): BreakerWindow {
  const ring = new Uint8Array(size)
  let next = 0
  let calls = 0
  let failures = 0
  let slow = 0
  let consecutive = 0

  function add(outcome: number): void {
    if (calls === size) {
      const evicted = ring[next] ?? 0
      failures -= evicted & 1
      slow -= evicted >> 1
    } else {
      calls += 1
    }
    ring[next] = outcome
    failures += outcome & 1
    slow += outcome >> 1
    next = (next + 1) % size
  }

  function clear(): void {
    next = 0
    calls = 0
    failures = 0
    slow = 0
    consecutive = 0
  }

  return {
    kind: 'calls',
    isCalm: () => false,
    record(_now, failed, wasSlow) {
      add((failed ? 1 : 0) + (wasSlow ? 2 : 0))
      consecutive = failed ? consecutive + 1 : 0
    },
    counts: () => ({ calls, failures, slow, consecutive }),
    clear,
    snapshot: () => ({
      consecutive,
      outcomes: Array.from({ length: calls }, (_, index) => ring[(next - calls + index + size) % size] ?? 0),
    }),
    restore(snapshot) {
      clear()
      for (const outcome of snapshot.outcomes ?? []) add(outcome & 3)
      consecutive = snapshot.consecutive
    },
  }
}

/** Creates a window over the last `timeMs` milliseconds, kept in `slices` slices: the oldest falls out as a whole. */
export function timeWindow(timeMs: number, slices: number): BreakerWindow {
  const sliceMs = timeMs / slices
  const table = [new Float64Array(slices), new Float64Array(slices), new Float64Array(slices)] as const
  const totals = [0, 0, 0] as [number, number, number]
  let latest = 0
  let consecutive = 0

  function add(slice: number, amounts: readonly [number, number, number]): void {
    const index = slice % slices
    for (const row of [0, 1, 2] as const) {
      table[row][index] = (table[row][index] ?? 0) + amounts[row]
      totals[row] += amounts[row]
    }
  }

  /** Moves on to the slice of `now` and takes the slices that fell out of the window off the totals. */
  function forget(now: number): void {
    const slice = Math.floor(now / sliceMs)
    for (let step = 1; step <= Math.min(slices, slice - latest); step += 1) {
      const index = (latest + step) % slices
      for (const row of [0, 1, 2] as const) {
        totals[row] -= table[row][index] ?? 0
        table[row][index] = 0
      }
    }
    if (slice > latest) latest = slice
  }

  function clear(): void {
    for (const row of [0, 1, 2] as const) {
      table[row].fill(0)
      totals[row] = 0
    }
    consecutive = 0
  }

  function snapshotSlices(): WindowSlice[] {
    const at = (row: 0 | 1 | 2, age: number) => table[row][(((latest - age) % slices) + slices) % slices] ?? 0
    return Array.from({ length: slices }, (_, age) => ({ age, calls: at(0, age), failures: at(1, age), slow: at(2, age) })).filter(
      ({ calls }) => calls > 0,
    )
  }

  return {
    kind: 'time',
    isCalm: () => false,
    record(now, failed, wasSlow) {
      forget(now)
      add(latest, [1, failed ? 1 : 0, wasSlow ? 1 : 0])
      consecutive = failed ? consecutive + 1 : 0
    },
    counts(now) {
      forget(now)
      // A run of failures that began before the window counts as far as it lies inside.
      return { calls: totals[0], failures: totals[1], slow: totals[2], consecutive: Math.min(consecutive, totals[1]) }
    },
    clear,
    snapshot(now) {
      forget(now)
      return { consecutive, slices: snapshotSlices() }
    },
    restore(snapshot, now, elapsedMs) {
      forget(now)
      clear()
      const elapsed = Math.floor(elapsedMs / sliceMs)
      for (const { age, calls, failures, slow } of snapshot.slices ?? []) {
        if (age + elapsed < slices) add(latest - age - elapsed + slices, [calls, failures, slow])
      }
      consecutive = snapshot.consecutive
    },
  }
}
