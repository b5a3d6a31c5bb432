/**
 * The appender fence: up to which position a log that many transactions append to is final, so that a reader with a cursor
 * misses nothing that commits late and inverts nothing.
 *
 * PostgreSQL gives a statement that inserts the table's ROW EXCLUSIVE lock, which appenders share, *before* it runs, and so before it
 * draws positions from the sequence. The transaction holds it to its end; a commit is visible before its locks are free. The reader looks
 * at the sequence, *then* at who holds the lock.
 * A transaction that was not there at the look before has drawn all its positions after what that look saw: that is its floor.
 * Below the lowest floor nothing can appear any more. No clock, and only who changes the table can delay it: other transactions of
 * the cluster, however old, do not. Readers never block writers.
 *
 * Positions that were rolled back stay holes; a backend that dies frees its lock as it rolls back.
 */
export interface FenceState {
  /** Nothing can appear any more up to here. */
  readonly final: number
  /** What the sequence had given at the last look. */
  readonly last: number
  /** What each holder may have drawn lies above. */
  readonly floors: ReadonlyMap<string, number>
  /** The server of the last look; undefined before the first. */
  readonly server: string | undefined
  /** How often the log may have gone back since the first look. Positions that were read before that are worth nothing. */
  readonly setbacks: number
}

/** The sequence, and after it the holders. */
export interface Look {
  /** Which server answered, since its start: another one, or the same with a backup restored, has another name. */
  readonly server: string
  /** The last position drawn, 0 before the first. */
  readonly last: number
  readonly holders: readonly Holder[]
}

/** A transaction that holds the lock. */
export interface Holder {
  /** Its virtual id: a backend that ends one transaction and begins another has two. */
  readonly id: string
  /** Prepared for two-phase commit: it goes by another id since then. */
  readonly prepared: boolean
}

/** Before the first look. */
export const UNSEEN: FenceState = { final: 0, last: 0, floors: new Map(), server: undefined, setbacks: 0 }

/** The state after a look. */
export function afterLook(state: FenceState, look: Look): FenceState {
  const { server, last } = look
  // Another server took over that may lack the last commits, or a backup was restored: all begins anew, as at the first look.
  const isOther = state.server !== undefined && state.server !== server
  const before = isOther || last < state.last ? { ...UNSEEN, setbacks: state.setbacks + 1 } : state
  const floors = new Map(look.holders.map(({ id, prepared }) => [id, before.floors.get(id) ?? (prepared ? before.final : before.last)]))
  return { final: Math.max(before.final, Math.min(last, ...floors.values())), last, floors, server, setbacks: before.setbacks }
}
