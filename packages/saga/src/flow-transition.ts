import { type Finding, findings, furthest } from './flow-findings.ts'
import { type FlowShape, placeOf } from './flow-shape.ts'
import type { FlowFlag, FlowFlagKind, FlowState, Followed, SeenEvent } from './flow-state.ts'

/** What happens to a flow. */
export type FlowHappening =
  /** An event of it came; of a start, whether it is to be followed. */
  | { readonly kind: 'seen'; readonly event: SeenEvent; readonly follows: boolean }
  /** The time it waited for has come. */
  | { readonly kind: 'woke' }

/** The times a flow is judged by. */
export interface FlowTimes {
  /** Milliseconds since 1970. */
  readonly now: number
  /** How much later than those after it an event may arrive, and how far publishers' clocks may differ, milliseconds. */
  readonly graceMs: number
}

/** A flow's new state, and the flags that are new in it. */
export interface FlowChange {
  readonly state: FlowState
  readonly raised: readonly FlowFlag[]
}

/** Events kept of one flow, but for those that a flag is about: enough for any path, few enough to write them back with each. */
const MOST_EVENTS = 200

const NOTHING_YET: Followed = { status: 'running', events: [], more: 0, standsAt: '', flags: [], wakeAt: undefined }

/** Every rule of the watcher: what becomes of a flow. Pure. */
export function after(shape: FlowShape, state: FlowState | undefined, happening: FlowHappening, times: FlowTimes): FlowChange {
  if (state?.status === 'ignored') return { state, raised: [] }
  if (happening.kind === 'woke') return judged(shape, state ?? NOTHING_YET, times)
  const { event, follows } = happening
  if (placeOf(shape, event.type)?.kind === 'start' && !follows) return { state: { status: 'ignored' }, raised: [] }
  return judged(shape, withEvent(shape, state, event, times), times)
}

/** Notes that somebody has looked at its open flags, at those of one kind where it is given. */
export function acknowledged(
  state: FlowState,
  kind: FlowFlagKind | undefined,
  note: NonNullable<FlowFlag['acknowledged']>,
): { state: FlowState; flags: readonly FlowFlag[] } {
  if (state.status === 'ignored') return { state, flags: [] }
  const isMeant = (flag: FlowFlag) => flag.clearedAt === undefined && !flag.acknowledged && (kind ?? flag.kind) === flag.kind
  const flags = state.flags.map((flag) => (isMeant(flag) ? { ...flag, acknowledged: note } : flag))
  return { state: { ...state, flags }, flags: state.flags.filter(isMeant) }
}

function withEvent(shape: FlowShape, state: Followed | undefined, event: SeenEvent, times: FlowTimes): Followed {
  const before = state ?? { ...NOTHING_YET, standsAt: event.type }
  if (before.events.some((one) => isSameEvent(one, event))) return before
  const grown = { ...before, events: [...before.events, event] }
  const isFirst = !before.events.some(({ type }) => type === event.type)
  return before.events.length < MOST_EVENTS || isFirst || isFlagged(shape, grown, times) ? grown : { ...before, more: before.more + 1 }
}

/** Whether something about the flow is wrong that no flag tells of yet: of each kind and event once, so that few are kept for it. */
function isFlagged(shape: FlowShape, { events, flags }: Followed, { now, graceMs }: FlowTimes): boolean {
  return findings(shape, events, graceMs).some((finding) => finding.from <= now && !flags.some((flag) => isSame(finding, flag)))
}

function isSameEvent(one: SeenEvent, other: SeenEvent): boolean {
  return one.id === other.id && (one.source === other.source || one.source === undefined)
}

function judged(shape: FlowShape, state: Followed, { now, graceMs }: FlowTimes): FlowChange {
  const found = findings(shape, state.events, graceMs)
  const isFound = (flag: FlowFlag) => found.some((finding) => isSame(finding, flag))
  const kept = state.flags.map((flag) => settled(flag, isFound(flag), now))
  const due = found.filter(({ from }) => from <= now)
  const raised = due
    .filter((finding, index) => !kept.some((flag) => isSame(finding, flag)) && due.findIndex((other) => isSame(finding, other)) === index)
    .map(({ kind, event, detail }): FlowFlag => ({ kind, event, detail, at: now }))
  const flags = [...kept, ...raised]
  const later = found.filter(({ from }) => from > now).map(({ from }) => from)
  const wakeAt = later.length > 0 ? Math.min(...later) : undefined
  const placed = state.events.map(({ type }) => ({ type, place: placeOf(shape, type)?.place ?? -1 }))
  const standsAt = furthest(placed)?.type ?? state.standsAt
  return { state: { ...state, status: statusOf(shape, state.events, flags), standsAt, flags, wakeAt }, raised }
}

/** A flag for something missing is cleared when that comes, and stands again should it be found again. */
function settled(flag: FlowFlag, isFound: boolean, now: number): FlowFlag {
  const { clearedAt, ...standing } = flag
  if (isFound) return standing
  return { ...standing, clearedAt: clearedAt ?? now }
}

function isSame(one: Pick<Finding, 'kind' | 'event'>, other: Pick<Finding, 'kind' | 'event'>): boolean {
  // A flow stops once, wherever it stood when that was seen, and lacks one start, whatever came without it.
  return one.kind === other.kind && (one.event === other.event || one.kind === 'stopped' || one.kind === 'no-start')
}

function statusOf(shape: FlowShape, events: readonly SeenEvent[], flags: readonly FlowFlag[]): Followed['status'] {
  if (events.some(({ type }) => placeOf(shape, type)?.kind === 'end')) return 'ended'
  return flags.some(({ kind, clearedAt }) => kind === 'stopped' && clearedAt === undefined) ? 'stopped' : 'running'
}
