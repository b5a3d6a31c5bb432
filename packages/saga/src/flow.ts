import type { EventData, EventType } from '@banyan/core'
import type { FlowPlace, FlowPlaceEvent, FlowShape } from './flow-shape.ts'
import { checkName, checkWhole, isYes, LONGEST_MS } from './options.ts'

export interface FlowOptions {
  /** The version of the declaration, a whole number from 1. A flow in flight is judged by the version it began under. */
  version: number
}

export interface StartOptions<E extends EventType> {
  /** Which starts are followed; all events of the others' correlation ids are let pass. Default: all. */
  where?: (data: EventData<E>) => boolean
}

/** An event that may come more than once, made by {@link repeated}. */
export interface Repeated<E extends EventType = EventType> {
  readonly repeated: E
}

/** Says of an event of a flow that it may come more than once. */
export function repeated<const E extends EventType>(event: E): Repeated<E> {
  return { repeated: event }
}

/** What may stand in a flow besides its start and its ends. */
export type FlowStep = EventType | Repeated

type NameOf<S> = S extends Repeated<infer E> ? NameOf<E> : S extends EventType<infer Name> ? Name : never

/** An event no other place has. Else a sentence, which the compiler then shows as the type it wants. */
type Fresh<S, Seen extends string> = NameOf<S> extends Seen ? `event '${NameOf<S>}' stands in this flow already` : S

/** A flow that has no start yet. */
export interface FlowStart {
  /** The event a flow starts with. */
  starts<const E extends EventType>(event: E, options?: StartOptions<E>): FlowSteps<NameOf<E>>
}

/** A flow that has no end yet. Each event stands in it once; wrap it in {@link repeated} if it may come more than once. */
export interface FlowSteps<Seen extends string> {
  /** One of these has to come next. */
  then<const S extends readonly [FlowStep, ...FlowStep[]]>(
    ...events: { [K in keyof S]: Fresh<S[K], Seen> }
  ): FlowFork<Seen | NameOf<S[number]>>
  /** Each of these may come here, in any order, or not. */
  maybe<const S extends readonly [FlowStep, ...FlowStep[]]>(
    ...events: { [K in keyof S]: Fresh<S[K], Seen> }
  ): FlowSteps<Seen | NameOf<S[number]>>
  /**
   * How it ends. `goal` comes when every step has; a list says that one of several does. The `others` are ways out: they may come at
   * any time after the start, and at no other time after an event of {@link FlowFork.otherwise} may anything else come.
   */
  ends<const G extends EventType | readonly [EventType, ...EventType[]], const O extends readonly EventType[]>(
    goal: G extends readonly EventType[] ? { [K in keyof G]: Fresh<G[K], Seen> } : Fresh<G, Seen>,
    ...others: { [K in keyof O]: Fresh<O[K], Seen> }
  ): FlowEnd
}

/** A flow whose last step may come out otherwise. */
export interface FlowFork<Seen extends string> extends FlowSteps<Seen> {
  /** Instead of the step before, one of these: the flow then leaves its way, and has to end by one of the other ends. */
  otherwise<const S extends readonly [FlowStep, ...FlowStep[]]>(
    ...events: { [K in keyof S]: Fresh<S[K], Seen> }
  ): FlowSteps<Seen | NameOf<S[number]>>
}

/** A flow that has everything but a time. */
export interface FlowEnd {
  /** How long it may take from its start to an end, milliseconds from 1, at most 1,000 years. */
  withinMs(withinMs: number): Flow
}

/** A complete declaration, for {@link watchFlows} and {@link diagramFlow}. */
export interface Flow extends FlowShape {
  /** Every event it speaks of. */
  readonly events: readonly EventType[]
  /** Whether a flow that starts with this data is followed. @throws {TypeError} for a "where" that gives neither yes nor no */
  follows(data: unknown): boolean
}

/**
 * Declares what should happen between services that only speak by events: a flow is what shares a correlation id.
 *
 * ```ts
 * flow('checkout', { version: 1 })
 *   .starts(orderCreated)
 *   .then(stockReserved).otherwise(stockRejected)
 *   .then(paymentSucceeded)
 *   .ends(shipmentCreated, orderRejected)
 *   .withinMs(5 * MINUTE)
 * ```
 *
 * @throws {TypeError} {RangeError} naming the event or the option that is wrong; the types refuse most of them before
 * @see Richardson, Microservices Patterns, 4.2.1, "Choreography-based sagas"
 */
export function flow(name: string, { version }: FlowOptions): FlowStart {
  checkName('declare flow', '"name"', name)
  checkWhole(`declare flow "${name}"`, 'version', version, 1)
  return {
    starts(event, { where } = {}) {
      // The data of the start has passed the schema of this event when it is asked about.
      const follows = (data: unknown) => (where ? isYes(where(data as EventData<typeof event>), `the "where" of flow "${name}"`) : true)
      const started = { name, version, follows, events: [], places: [] }
      // What the typed interface lets through is collected, and checked again as it comes.
      return steps(withPlace(started, 'start', [[event, 'on']])) as unknown as FlowSteps<NameOf<typeof event>>
    },
  }
}

interface Collected {
  readonly name: string
  readonly version: number
  readonly follows: (data: unknown) => boolean
  readonly events: readonly EventType[]
  readonly places: readonly FlowPlace[]
}

type Leading = readonly [step: FlowStep, leads: FlowPlaceEvent['leads']]

function steps(collected: Collected, canFork = false) {
  const on = (events: readonly FlowStep[]) => events.map((event): Leading => [event, 'on'])
  const out = (events: readonly FlowStep[]) => events.map((event): Leading => [event, 'out'])
  return {
    // biome-ignore lint/suspicious/noThenProperty: it reads as what it declares; awaited by mistake, it refuses what a promise hands it.
    then: (...events: FlowStep[]) => steps(withPlace(collected, 'step', on(events)), true),
    maybe: (...events: FlowStep[]) => steps(withPlace(collected, 'maybe', on(events))),
    otherwise(...events: FlowStep[]) {
      if (!canFork) throw new TypeError(`cannot declare flow "${collected.name}": "otherwise" stands after "then", and once`)
      return steps(withMore(collected, out(events)))
    },
    ends(goal: EventType | readonly EventType[], ...others: EventType[]) {
      const goals = isList(goal) ? goal : [goal]
      const ended = withPlace(collected, 'end', [...on(goals), ...out(others)])
      checkWaysOut(ended)
      return {
        withinMs(withinMs: number): Flow {
          checkWhole(`declare flow "${ended.name}"`, 'withinMs', withinMs, 1, LONGEST_MS)
          return { ...ended, withinMs }
        },
      }
    },
  }
}

function withPlace(collected: Collected, kind: FlowPlace['kind'], leading: readonly Leading[]): Collected {
  if (leading.length === 0) throw new TypeError(`cannot declare flow "${collected.name}": a place without events`)
  return withMore({ ...collected, places: [...collected.places, { kind, events: [] }] }, leading)
}

/** Adds events to the last place. */
function withMore(collected: Collected, leading: readonly Leading[]): Collected {
  return leading.reduce((sofar, [step, leads]) => withEvent(sofar, step, leads), collected)
}

function withEvent(collected: Collected, step: FlowStep, leads: FlowPlaceEvent['leads']): Collected {
  const fail = (what: string) => new TypeError(`cannot declare flow "${collected.name}": ${what}`)
  const repeats = typeof step === 'object' && step !== null && 'repeated' in step
  const event: EventType | undefined = repeats ? step.repeated : step
  if (typeof event !== 'object' || typeof event?.name !== 'string')
    throw fail(
      `wanted an event as event() declares it, got ${typeof step === 'function' ? 'a function; is an "await" before it?' : String(step)}`,
    )
  const place = collected.places.at(-1)
  if (!place) throw fail(`"${event.name}" has no place`)
  if (repeats && (place.kind === 'start' || place.kind === 'end')) throw fail(`"${event.name}" is its ${place.kind} and cannot repeat`)
  if (collected.events.some(({ name }) => name === event.name)) throw fail(`event "${event.name}" stands in it already`)
  const grown: FlowPlace = { ...place, events: [...place.events, { type: event.name, leads, repeats }] }
  return { ...collected, events: [...collected.events, event], places: [...collected.places.slice(0, -1), grown] }
}

function checkWaysOut({ name, places }: Collected): void {
  const detour = places.slice(0, -1).flatMap(({ events }) => events.filter(({ leads }) => leads === 'out'))[0]
  const hasWayOut = places.at(-1)?.events.some(({ leads }) => leads === 'out')
  if (detour && !hasWayOut)
    throw new TypeError(`cannot declare flow "${name}": after "${detour.type}" it cannot end; give "ends" another end after its goal`)
}

function isList(goal: EventType | readonly EventType[]): goal is readonly EventType[] {
  return Array.isArray(goal)
}
