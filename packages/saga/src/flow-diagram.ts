import type { FlowPlace, FlowPlaceEvent, FlowShape } from './flow-shape.ts'

/** A flow as a Mermaid flowchart: its way in full lines, what may come and the ways out dotted. */
export function diagramFlow(flow: FlowShape): string {
  const nodes = flow.places.flatMap(({ kind, events }, place) => events.map((event, at) => nodeOf(kind, event, idOf(place, at))))
  return ['flowchart LR', ...nodes, ...edges(flow.places)].map((line, index) => (index === 0 ? line : `  ${line}`)).join('\n')
}

function nodeOf(kind: FlowPlace['kind'], { type, repeats }: FlowPlaceEvent, id: string): string {
  const label = `"${type}${repeats ? ' (1..n)' : ''}"`
  return kind === 'start' || kind === 'end' ? `${id}([${label}])` : `${id}[${label}]`
}

function edges(places: readonly FlowPlace[]): string[] {
  const exits = idsOf(places, places.length - 1, 'out')
  const lines = join(idsOf(places, 0, 'on'), exits, '-. at any time .->')
  let before: string[] = []
  for (const [place, { kind }] of places.entries()) {
    const here = idsOf(places, place, 'on')
    const detours = kind === 'end' ? [] : idsOf(places, place, 'out')
    lines.push(...join(before, here, kind === 'maybe' ? '-.->' : '-->'), ...join(before, detours, '-.->'), ...join(detours, exits, '-->'))
    // The way also goes past what may come.
    before = kind === 'maybe' ? [...before, ...here] : here
  }
  return lines
}

function join(from: readonly string[], to: readonly string[], arrow: string): string[] {
  return from.flatMap((one) => to.map((other) => `${one} ${arrow} ${other}`))
}

function idsOf(places: readonly FlowPlace[], place: number, leads: FlowPlaceEvent['leads']): string[] {
  return (places[place]?.events ?? []).flatMap((event, at) => (event.leads === leads ? [idOf(place, at)] : []))
}

function idOf(place: number, at: number): string {
  return `e${place}_${at}`
}
