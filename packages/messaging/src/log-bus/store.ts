import type { Envelope, Logger, World } from '@banyan/core'
import type { HeldPartition, SavedPartition } from './cursors.ts'

/** What an adapter brings for a bus over a log that many processes open: {@link logBus} does the rest. */
export interface BusStore {
  readonly log: BusLog
  readonly groups: BusGroups
  /** Calls `wake` when there may be new events, of the given types or of any, until it is stopped. Polling is the floor of it. */
  watch(wake: (types: ReadonlySet<string> | undefined) => void): { stop(): Promise<void> }
  /** The adapter's own error of that code. */
  error(code: BusErrorCode, message: string, options?: { retryAfterMs?: number }): Error
  close(): Promise<void>
}

/** The codes that every adapter has for a bus. */
export type BusErrorCode = 'ERR_BUS_CLOSED' | 'ERR_BUS_GROUP_TYPES'

/** The events, in the order of their positions. */
export interface BusLog {
  /** A short name of this very log: one that is made anew has another. */
  identity(): Promise<string>
  /** Resolves when they are on disk. Events of one batch keep their order, and so do those of one subject. */
  append(batch: readonly Envelope[]): Promise<void>
  /** Only up to where nothing can appear any more. */
  read(range: LogRange): Promise<LogSlice>
  /** Deletes up to `limit` events stored before `cutoffMs` that every group has passed; says how many. */
  prune(cutoffMs: number, limit: number): Promise<number>
}

/** What to read of the log. */
export interface LogRange {
  /** Events after this position. */
  after: number
  types: readonly string[]
  partitions: readonly number[]
  /** The most events at once. */
  limit: number
}

/** Some of the log. */
export interface LogSlice {
  readonly events: readonly LoggedEvent[]
  /** Nothing of the range is left up to there. */
  readonly upTo: number
  /** The log ends there. */
  readonly atEnd: boolean
  /**
   * How often the log may have gone back while this process knew it, as after a failover that lacks the last commits: when it grows, positions that
   * were read before are worth nothing. Left out where a log cannot go back while it is open.
   */
  readonly setbacks?: number
}

/** One event of the log. */
export interface LoggedEvent {
  readonly position: number
  readonly type: string
  readonly partition: number
  readonly raw: string
}

/** One subscription among those of its group. */
export interface GroupMember {
  readonly id: string
  /** The bus handle it belongs to; one renewal a handle keeps all of its members alive. */
  readonly handle: string
  readonly group: string
  readonly types: readonly string[]
}

/** What a member may handle now, or who stands in its way. */
export type JoinOutcome =
  | {
      readonly held: readonly HeldPartition[]
      /** The oldest event kept; no event can still appear before it. */
      readonly oldest: number
      /** As in {@link LogSlice}, from before the rest was read. */
      readonly setbacks?: number
    }
  | { readonly otherTypes: readonly string[] }

/** Who handles what for a group, and how far it has come. Each call is one transaction. */
export interface BusGroups {
  /**
   * Makes a member known, keeps it alive for `leaseMs`, and takes or gives back partitions until it has its share. Called between
   * batches: what it gives back must not be in anybody's hands. `unsaved` is written first, under the old epochs.
   */
  join(member: GroupMember, unsaved: readonly SavedPartition[], leaseMs: number): Promise<JoinOutcome>
  /** What would change if the member joined again now, and in how many milliseconds the first of the others may be taken for dead. */
  look(member: GroupMember): Promise<{ changes: boolean; nextExpiryMs: number }>
  /** Keeps all members of a handle alive. @returns those that still are members */
  renew(handle: string, leaseMs: number): Promise<string[]>
  /**
   * Writes how far members have come, where they still hold the partition under the same epoch.
   *
   * @returns for each the partitions that were written; the others belong to somebody else now
   */
  save(work: readonly { member: GroupMember; unsaved: readonly SavedPartition[] }[]): Promise<number[][]>
  /** Gives everything back. */
  leave(member: GroupMember, unsaved: readonly SavedPartition[]): Promise<void>
}

/** How a bus over a log works. */
export interface BusSettings {
  readonly world: World
  readonly log: Logger
  /** After how long a silent member is taken for dead, milliseconds. */
  readonly leaseMs: number
  /** How long positions may wait to be saved, milliseconds. */
  readonly saveMs: number
  /** The most events in one batch. */
  readonly maxBatch: number
  /** How long events are kept, milliseconds. */
  readonly retentionMs: number
}
