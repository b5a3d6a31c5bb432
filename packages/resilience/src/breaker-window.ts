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
  /** Time window: how long a slice is, milliseconds. Default: as long as in the window that takes it over. */
  readonly sliceMs?: number
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
  /** As of `now`: the window's own tally, which the next outcome changes. */
  counts(now: number): BreakerCounts
  clear(): void
  snapshot(now: number): WindowSnapshot
  /** Takes over a snapshot made `elapsedMs` ago; of another kind of window only the failures in a row. */
  restore(snapshot: WindowSnapshot, now: number, elapsedMs: number): void
}

/** What a window counts, in place: an outcome makes no object. */
type Tally = { -readonly [Name in keyof BreakerCounts]: BreakerCounts[Name] }

const emptyTally = (): Tally => ({ calls: 0, failures: 0, slow: 0, consecutive: 0 })

/** Creates a window that only knows how many failures came in a row. */
export function consecutiveWindow(): BreakerWindow {
  const tally = emptyTally()

  function set(consecutive: number): void {
    tally.calls = consecutive
    tally.failures = consecutive
    tally.consecutive = consecutive
  }

  return {
    kind: 'consecutive',
    isCalm: () => tally.consecutive === 0,
    record: (_now, failed) => set(failed ? tally.consecutive + 1 : 0),
    counts: () => tally,
    clear: () => set(0),
    snapshot: () => ({ consecutive: tally.consecutive }),
    restore: (snapshot) => set(snapshot.consecutive),
  }
}

/** Creates a window over the last `size` calls. */
export function countWindow(size: number): BreakerWindow {
  const ring = new Uint8Array(size)
  const tally = emptyTally()
  let next = 0

  function add(outcome: number): void {
    if (tally.calls === size) {
      const evicted = ring[next] ?? 0
      tally.failures -= evicted & 1
      tally.slow -= evicted >> 1
    } else {
      tally.calls += 1
    }
    ring[next] = outcome
    tally.failures += outcome & 1
    tally.slow += outcome >> 1
    next = next + 1 === size ? 0 : next + 1
  }

  function clear(): void {
    next = 0
    Object.assign(tally, emptyTally())
  }

  return {
    kind: 'calls',
    isCalm: () => false,
    record(_now, failed, wasSlow) {
      add((failed ? 1 : 0) + (wasSlow ? 2 : 0))
      tally.consecutive = failed ? tally.consecutive + 1 : 0
    },
    counts: () => tally,
    clear,
    snapshot: () => ({
      consecutive: tally.consecutive,
      outcomes: Array.from({ length: tally.calls }, (_, index) => ring[(next - tally.calls + index + size) % size] ?? 0),
    }),
    restore(snapshot) {
      clear()
      for (const outcome of snapshot.outcomes ?? []) add(outcome & 3)
      tally.consecutive = snapshot.consecutive
    },
  }
}

/** Numbers a slice of time has in its row: calls, failures, slow ones. */
const ROW = 3

/** Creates a window over the last `timeMs` milliseconds, kept in `slices` slices: the oldest falls out as a whole. */
export function timeWindow(timeMs: number, slices: number): BreakerWindow {
  const sliceMs = timeMs / slices
  const table = new Float64Array(slices * ROW)
  const tally = emptyTally()
  let latest = 0
  let consecutive = 0

  const at = (row: number, column: number) => table[row * ROW + column] ?? 0

  function add(row: number, calls: number, failures: number, slow: number): void {
    table[row * ROW] = at(row, 0) + calls
    table[row * ROW + 1] = at(row, 1) + failures
    table[row * ROW + 2] = at(row, 2) + slow
    tally.calls += calls
    tally.failures += failures
    tally.slow += slow
  }

  /** Moves on to the slice of `now` and takes the slices that fell out of the window off the totals. */
  function forget(now: number): void {
    const slice = Math.floor(now / sliceMs)
    if (slice <= latest) return
    for (let step = 1; step <= Math.min(slices, slice - latest); step += 1) {
      const row = (latest + step) % slices
      add(row, -at(row, 0), -at(row, 1), -at(row, 2))
    }
    latest = slice
  }

  function clear(): void {
    table.fill(0)
    consecutive = 0
    Object.assign(tally, emptyTally())
  }

  function snapshotSlices(): WindowSlice[] {
    const rowOf = (age: number) => (((latest - age) % slices) + slices) % slices
    return Array.from({ length: slices }, (_, age) => {
      const row = rowOf(age)
      return { age, calls: at(row, 0), failures: at(row, 1), slow: at(row, 2) }
    }).filter(({ calls }) => calls > 0)
  }

  return {
    kind: 'time',
    isCalm: () => false,
    record(now, failed, wasSlow) {
      forget(now)
      add(latest % slices, 1, failed ? 1 : 0, wasSlow ? 1 : 0)
      consecutive = failed ? consecutive + 1 : 0
    },
    counts(now) {
      forget(now)
      // A run of failures that began before the window counts as far as it lies inside.
      tally.consecutive = Math.min(consecutive, tally.failures)
      return tally
    },
    clear,
    snapshot(now) {
      forget(now)
      return { consecutive, slices: snapshotSlices(), sliceMs }
    },
    restore(snapshot, now, elapsedMs) {
      forget(now)
      clear()
      const scale = (snapshot.sliceMs ?? sliceMs) / sliceMs
      for (const { age: ageThen, calls, failures, slow } of snapshot.slices ?? []) {
        const age = Math.floor(ageThen * scale + elapsedMs / sliceMs)
        if (age < slices) add((latest - age + slices) % slices, calls, failures, slow)
      }
      consecutive = snapshot.consecutive
    },
  }
}
