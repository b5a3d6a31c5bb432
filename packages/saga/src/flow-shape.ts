/** What is declared of a flow: plain data. */
export interface FlowShape {
  readonly name: string
  readonly version: number
  /** From the start to an end, milliseconds. */
  readonly withinMs: number
  /** In their order: the start, the steps, the end. */
  readonly places: readonly FlowPlace[]
}

export interface FlowPlace {
  /** `maybe`: each of its events may come or not. Of any other place, one of its events has to come. */
  readonly kind: 'start' | 'step' | 'maybe' | 'end'
  readonly events: readonly FlowPlaceEvent[]
}

export interface FlowPlaceEvent {
  readonly type: string
  /** `on`: the flow goes on to the next place. `out`: it has left its way, and only an end that is `out` may follow; or it is one. */
  readonly leads: 'on' | 'out'
  /** Whether it may come more than once. */
  readonly repeats: boolean
}

/** Where an event stands in a flow. */
export interface Placed {
  /** The number of its place, from 0. */
  readonly place: number
  readonly kind: FlowPlace['kind']
  readonly leads: FlowPlaceEvent['leads']
  readonly repeats: boolean
}

/** Where an event type stands; `undefined` where the flow has nothing to say about it. */
export function placeOf(shape: FlowShape, type: string): Placed | undefined {
  for (const [place, { kind, events }] of shape.places.entries()) {
    const found = events.find((event) => event.type === type)
    if (found) return { place, kind, leads: found.leads, repeats: found.repeats }
  }
  return undefined
}
