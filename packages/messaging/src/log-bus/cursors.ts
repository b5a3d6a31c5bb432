/** A partition that a subscription holds, as the file has it. */
export interface HeldPartition {
  readonly partition: number
  readonly epoch: number
  /** The last position handled, by type. A type that is missing has not begun. */
  readonly positions: Readonly<Record<string, number>>
}

/** How far a partition has come, to be written to the file. */
export interface SavedPartition {
  readonly partition: number
  readonly epoch: number
  /** JSON, as in {@link HeldPartition}. */
  readonly positions: string
  /** After how many setbacks of the log the partition was taken over: with more of them it is worth nothing. */
  readonly setbacks?: number | undefined
}

/** How far a subscription has come in each partition it holds. */
export interface Cursors {
  /**
   * Takes over what the subscription holds now; what it held already under the same epoch goes on from memory, unless the log has gone
   * back meanwhile: then `setbacks` has grown.
   */
  hold(partitions: readonly HeldPartition[], oldest: number, setbacks?: number): void
  /** Whether its positions are of the log as it is after so many setbacks. */
  fits(setbacks: number | undefined): boolean
  /** Knows nothing from memory any more: what is held next goes on from the file. */
  forget(): void
  partitions(): number[]
  /** Every event up to here is handled, in all partitions. */
  lowest(): number
  /** Whether an event is still to be handled. */
  wants(event: { partition: number; type: string; position: number }): boolean
  /** Everything up to `position` is handled. `delivered` false: nothing of it was ours, so saving it has time. */
  pass(position: number, delivered: boolean): void
  /** What has moved enough to be saved; `all`: whatever has moved. */
  unsaved(all: boolean): SavedPartition[]
  /** These were written. */
  saved(partitions: readonly SavedPartition[]): void
}

interface Cursor {
  readonly epoch: number
  readonly positions: Map<string, number>
  saved: string
  savedLowest: number
  delivered: boolean
}

/** How far the log may run past a group that none of it concerns before that is saved. */
const IDLE_SAVE_DISTANCE = 1_000

/** Creates {@link Cursors} for events of `types`. */
export function busCursors(types: readonly string[]): Cursors {
  let held = new Map<number, Cursor>()
  let ofSetbacks: number | undefined

  return {
    hold(partitions, oldest, setbacks) {
      const before = setbacks === ofSetbacks ? held : new Map<number, Cursor>()
      held = new Map()
      ofSetbacks = setbacks
      for (const { partition, epoch, positions } of partitions) {
        const known = before.get(partition)
        const begun = new Map(types.map((type) => [type, Math.max(positions[type] ?? 0, oldest - 1)]))
        const saved = JSON.stringify(positions)
        held.set(
          partition,
          known?.epoch === epoch ? known : { epoch, positions: begun, saved, savedLowest: lowestOf(begun), delivered: false },
        )
      }
    },
    fits: (setbacks) => setbacks === ofSetbacks,
    forget() {
      held = new Map()
    },
    partitions: () => [...held.keys()],
    lowest: () => Math.min(...[...held.values()].map(({ positions }) => lowestOf(positions))),
    wants({ partition, type, position }) {
      const reached = held.get(partition)?.positions.get(type)
      return reached !== undefined && position > reached
    },
    pass(position, delivered) {
      for (const cursor of held.values()) {
        cursor.delivered ||= delivered
        for (const [type, reached] of cursor.positions) if (position > reached) cursor.positions.set(type, position)
      }
    },
    unsaved(all) {
      return [...held]
        .filter(([, cursor]) => all || cursor.delivered || lowestOf(cursor.positions) - cursor.savedLowest >= IDLE_SAVE_DISTANCE)
        .map(([partition, { epoch, positions }]) => ({ partition, epoch, positions: positionsText(positions), setbacks: ofSetbacks }))
        .filter(({ partition, positions }) => positions !== held.get(partition)?.saved)
    },
    saved(partitions) {
      for (const { partition, epoch, positions } of partitions) {
        const cursor = held.get(partition)
        if (cursor?.epoch !== epoch) continue
        cursor.saved = positions
        cursor.savedLowest = lowestOf(cursor.positions)
        // What was handled while this was being written is still to be saved.
        cursor.delivered &&= positionsText(cursor.positions) !== positions
      }
    },
  }
}

function lowestOf(positions: ReadonlyMap<string, number>): number {
  return Math.min(...positions.values())
}

function positionsText(positions: ReadonlyMap<string, number>): string {
  return JSON.stringify(Object.fromEntries(positions))
}
