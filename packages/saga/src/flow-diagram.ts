import type { FlowPlace, FlowPlaceEvent, FlowShape } from './flow-shape.ts'
import { indented, quoted } from './mermaid.ts'

/** A flow as a Mermaid flowchart: its way in full lines, what may come and the ways out dotted. */
export function diagramFlow(flow: FlowShape): string {
  return ['flowchart LR', ...indented(flowLines(flow))].join('\n')
}

/** The nodes and the edges of a flow's chart, a line each. `prefix` sets its nodes apart from those of others in one chart. */
export function flowLines({ places }: FlowShape, prefix = ''): string[] {
  const nodes = places.flatMap(({ kind, events }, place) => events.map((event, at) => nodeOf(kind, event, flowNode(place, at, prefix))))
  return [...nodes, ...edges(places, prefix)]
}

/** What the node of an event is called: by its place in the flow and where it stands there, both from 0. */
export function flowNode(place: number, at: number, prefix = ''): string {
  return `${prefix}e${place}_${at}`
}

function nodeOf(kind: FlowPlace['kind'], { type, repeats }: FlowPlaceEvent, id: string): string {
  const label = quoted(`${type}${repeats ? ' (1..n)' : ''}`)
  return kind === 'start' || kind === 'end' ? `${id}([${label}])` : `${id}[${label}]`
}

function edges(places: readonly FlowPlace[], prefix: string): string[] {
  const idsOf = (place: number, leads: FlowPlaceEvent['leads']) =>
    (places[place]?.events ?? []).flatMap((event, at) => (event.leads === leads ? [flowNode(place, at, prefix)] : []))
  const exits = idsOf(places.length - 1, 'out')
  const lines = join(idsOf(0, 'on'), exits, '-. at any time .->')
  let before: string[] = []
  for (const [place, { kind }] of places.entries()) {
    const here = idsOf(place, 'on')
    const detours = kind === 'end' ? [] : idsOf(place, 'out')
    lines.push(...join(before, here, kind === 'maybe' ? '-.->' : '-->'), ...join(before, detours, '-.->'), ...join(detours, exits, '-->'))
    // The way also goes past what may come.
    before = kind === 'maybe' ? [...before, ...here] : here
  }
  return lines
}

function join(from: readonly string[], to: readonly string[], arrow: string): string[] {
  return from.flatMap((one) => to.map((other) => `${one} ${arrow} ${other}`))
}
