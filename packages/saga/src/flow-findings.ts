import { type FlowPlace, type FlowShape, type Placed, placeOf } from './flow-shape.ts'
import type { FlowFlag, SeenEvent } from './flow-state.ts'

/** Something about a flow that is not as declared, from a time on: until then, what is missing may be under way. */
export interface Finding extends Pick<FlowFlag, 'kind' | 'event' | 'detail'> {
  /** Milliseconds since 1970. */
  readonly from: number
}

interface Known extends SeenEvent, Placed {
  /** The ids of the events that led to it, as far as they are known. */
  readonly causes: ReadonlySet<string>
}

/**
 * What is wrong with these events, whatever the order they arrived in.
 *
 * Arrival says nothing: topics and keys overtake each other. That one event was before another is known when it led to it
 * (causation ids), or when it was published more than `graceMs` earlier (clocks differ by less). What is not known counts as
 * declared.
 */
export function findings(shape: FlowShape, events: readonly SeenEvent[], graceMs: number): Finding[] {
  const known = withCauses(shape, events)
  return [
    ...repetitions(known),
    ...inversions(known, graceMs),
    ...detours(known),
    ...gaps(shape, known, graceMs),
    ...overdue(shape, known, graceMs),
  ]
}

function withCauses(shape: FlowShape, events: readonly SeenEvent[]): Known[] {
  const byId = Map.groupBy(events, ({ id }) => id)
  return events.flatMap((event) => {
    const placed = placeOf(shape, event.type)
    if (!placed) return []
    const causes = new Set<string>()
    // A chain that bites its tail, which only a publisher that makes ids up could write, ends where it began.
    for (let id = event.cause; id !== undefined && !causes.has(id); ) {
      const [cause, another] = byId.get(id) ?? []
      // Publishers that count alike: which of them is meant, a causation id does not say.
      if (another) break
      causes.add(id)
      id = cause?.cause
    }
    return [{ ...event, ...placed, causes }]
  })
}

/** More events at one place than it takes. */
function repetitions(known: readonly Known[]): Finding[] {
  return known.flatMap((event, index) => {
    const before = known
      .slice(0, index)
      .filter(({ place, type }) => place === event.place && (event.kind !== 'maybe' || type === event.type))
    const other = before.find(({ type }) => type !== event.type || !event.repeats)
    if (!other) return []
    const kind = event.kind === 'end' ? 'ended-twice' : 'undeclared'
    const detail = other.type === event.type ? `${event.type} came twice` : `${event.type} came as well as ${other.type}`
    return [{ kind, event: event.type, detail, from: event.seenAt }]
  })
}

/** Events known to have happened after one that stands behind them. */
function inversions(known: readonly Known[], graceMs: number): Finding[] {
  return known.flatMap((event) => {
    // The furthest of them: after its end is after its end, whatever else it stands behind.
    const later = furthest(known.filter((other) => other.place > event.place && isBefore(other, event, graceMs)))
    if (!later) return []
    const kind = later.kind === 'end' ? 'after-end' : 'undeclared'
    return [{ kind, event: event.type, detail: `${event.type} came after ${later.type}`, from: event.seenAt }]
  })
}

function isBefore(one: Known, other: Known, graceMs: number): boolean {
  return other.causes.has(one.id) || one.time + graceMs < other.time
}

/** What came although the flow had left its way. */
function detours(known: readonly Known[]): Finding[] {
  const [detour] = known.filter(({ kind, leads }) => kind === 'step' && leads === 'out').sort((one, other) => one.place - other.place)
  if (!detour) return []
  return known
    .filter(({ place, kind, leads }) => place > detour.place && !(kind === 'end' && leads === 'out'))
    .map(({ type, seenAt }) => ({ kind: 'undeclared', event: type, detail: `${type} came although ${detour.type} had`, from: seenAt }))
}

/**
 * Places that were passed over, each told of once: by the event behind it that was seen first, which stays so whatever else comes. Of a
 * way out only the start is sure.
 */
function gaps(shape: FlowShape, known: readonly Known[], graceMs: number): Finding[] {
  const told = new Set<FlowPlace>()
  const isEmpty = ({ events }: FlowPlace) => !events.some(({ type }) => known.some((one) => one.type === type))
  return known.flatMap(({ type, place, kind: at, leads, seenAt }) => {
    const needed = shape.places.slice(0, at === 'end' && leads === 'out' ? 1 : place)
    const missing = needed.filter((one) => one.kind !== 'maybe' && isEmpty(one) && !told.has(one))
    if (missing.length === 0) return []
    for (const one of missing) told.add(one)
    const kind = missing.some((one) => one.kind === 'start') ? 'no-start' : 'undeclared'
    const names = missing.map(({ events }) => events.map((event) => event.type).join(' or '))
    return [{ kind, event: type, detail: `${type} came without ${names.join(', ')}`, from: seenAt + graceMs }]
  })
}

/** No end in time: by the watcher's clock while there is none, by the publishers' clocks when there is. */
function overdue({ withinMs }: FlowShape, known: readonly Known[], graceMs: number): Finding[] {
  const start = known.find(({ kind }) => kind === 'start')
  if (!start) return []
  const [end] = known.filter(({ kind }) => kind === 'end').sort((one, other) => one.time - other.time)
  if (!end) {
    const event = furthest(known)?.type ?? start.type
    return [
      { kind: 'stopped', event, detail: `no end within ${withinMs} ms, it stands at ${event}`, from: start.seenAt + withinMs + graceMs },
    ]
  }
  const tookMs = end.time - start.time
  if (tookMs <= withinMs + graceMs) return []
  return [{ kind: 'stopped', event: end.type, detail: `${end.type} came after ${tookMs} ms, wanted ${withinMs}`, from: end.seenAt }]
}

/** The event furthest on the way, the latest of several. */
export function furthest<E extends Pick<Placed, 'place'>>(events: readonly E[]): E | undefined {
  return events.reduce<E | undefined>((best, event) => (best && best.place > event.place ? best : event), undefined)
}
