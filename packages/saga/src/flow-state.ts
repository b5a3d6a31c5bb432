/** How one flow stands. */
export type FlowState = Ignored | Followed

/** Its start said that it is not to be followed. */
export interface Ignored {
  readonly status: 'ignored'
}

export interface Followed {
  /** `running`: no end yet. `stopped`: no end in time; one that comes late makes it `ended`. */
  readonly status: 'running' | 'stopped' | 'ended'
  /** In the order they were seen. */
  readonly events: readonly SeenEvent[]
  /** How many more events were seen than are kept: 200 are, and beyond them the first of each type and what raises a flag. */
  readonly more: number
  /** The event furthest on the way. */
  readonly standsAt: string
  readonly flags: readonly FlowFlag[]
  /** When to look again, milliseconds since 1970; `undefined`: only an event can change it. */
  readonly wakeAt: number | undefined
}

/** An event of a flow. */
export interface SeenEvent {
  /** The envelope's: unique within its source. */
  readonly id: string
  /** Who published it; `undefined` for one that an older version has stored. */
  readonly source?: string
  readonly type: string
  /** When it was published, by the publisher's clock, milliseconds since 1970. */
  readonly time: number
  /** The id of the event whose handling published it. */
  readonly cause: string | undefined
  /** When the watcher saw it, milliseconds since 1970. */
  readonly seenAt: number
}

/**
 * What is wrong with a flow. `stopped`: no end in time. `no-start`: events without their start. `undeclared`: a path nobody
 * declared. `ended-twice`: two ends. `after-end`: it went on after its end.
 */
export type FlowFlagKind = 'stopped' | 'no-start' | 'undeclared' | 'ended-twice' | 'after-end'

export interface FlowFlag {
  readonly kind: FlowFlagKind
  /** The event it is about; of a stopped flow the one it stands at. */
  readonly event: string
  /** In words. */
  readonly detail: string
  /** When it was raised, milliseconds since 1970. */
  readonly at: number
  /** When it turned out to be none: what was missing has come. */
  readonly clearedAt?: number
  /** Who has looked at it. */
  readonly acknowledged?: { readonly by: string; readonly why: string; readonly at: number }
}

/** The flags that wait for somebody. */
export function openFlags(state: FlowState): readonly FlowFlag[] {
  return state.status === 'ignored' ? [] : state.flags.filter(({ clearedAt, acknowledged }) => clearedAt === undefined && !acknowledged)
}
