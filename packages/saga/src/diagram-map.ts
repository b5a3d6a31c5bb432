import { type SagaNodes, sagaLines, sagaNodes } from './diagram.ts'
import { flowLines, flowNode } from './flow-diagram.ts'
import type { FlowShape } from './flow-shape.ts'
import { indented, quoted } from './mermaid.ts'
import type { SagaShape } from './shape.ts'

/** What stands on a map: definitions and declarations, or plain data of them. */
export interface MapParts {
  readonly sagas?: readonly SagaShape[]
  readonly flows?: readonly FlowShape[]
}

/**
 * Both kinds of saga on one map, as a Mermaid flowchart: a box for each, drawn as {@link diagramSaga} and {@link diagramFlow} draw it, and
 * thick lines where they meet: from an event that a flow declares to each `wait` for it, and from a `child` step to the saga it
 * starts (the latest version on the map). What is not on the map is met by nothing.
 *
 * @see Richardson, Microservices Patterns, 4.2, "Coordinating sagas": choreography and orchestration
 */
export function diagramMap({ sagas = [], flows = [] }: MapParts): string {
  const drawnSagas = sagas.map((saga, index) => ({ saga, id: `saga${index + 1}`, nodes: sagaNodes(`saga${index + 1}_`) }))
  const drawnFlows = flows.map((flow, index) => ({ flow, id: `flow${index + 1}`, prefix: `flow${index + 1}_` }))
  const lines = [
    ...drawnFlows.flatMap(({ flow, id, prefix }) => box(id, `flow ${titleOf(flow)}`, 'LR', flowLines(flow, prefix))),
    ...drawnSagas.flatMap(({ saga, id, nodes }) => box(id, `saga ${titleOf(saga)}`, 'TD', sagaLines(saga, nodes))),
    ...waits(drawnSagas, drawnFlows),
    ...children(drawnSagas),
  ]
  return `${['flowchart LR', ...indented(lines)].join('\n')}\n`
}

interface DrawnSaga {
  readonly saga: SagaShape
  readonly nodes: SagaNodes
}

interface DrawnFlow {
  readonly flow: FlowShape
  readonly prefix: string
}

function titleOf({ name, version }: { name: string; version: number }): string {
  return `${name}, version ${version}`
}

function box(id: string, title: string, direction: 'LR' | 'TD', lines: readonly string[]): string[] {
  return [`subgraph ${id}[${quoted(title)}]`, ...indented([`direction ${direction}`, ...lines]), 'end']
}

function waits(sagas: readonly DrawnSaga[], flows: readonly DrawnFlow[]): string[] {
  const declared = flows.flatMap(({ flow, prefix }) =>
    flow.places.flatMap(({ events }, place) => events.map(({ type }, at) => ({ type, id: flowNode(place, at, prefix) }))),
  )
  return stepsOf(sagas, 'wait').flatMap(({ of, id }) => declared.filter(({ type }) => type === of).map((event) => meet(event.id, of, id)))
}

function children(sagas: readonly DrawnSaga[]): string[] {
  return stepsOf(sagas, 'child').flatMap(({ of, id }) => {
    const [latest] = sagas.filter(({ saga }) => saga.name === of).sort((one, other) => other.saga.version - one.saga.version)
    return latest ? [meet(id, 'starts', latest.nodes.start)] : []
  })
}

function stepsOf(sagas: readonly DrawnSaga[], kind: 'wait' | 'child'): { of: string; id: string }[] {
  return sagas.flatMap(({ saga, nodes }) =>
    saga.steps.flatMap((step, index) => (step.kind === kind && step.of !== undefined ? [{ of: step.of, id: nodes.step(index) }] : [])),
  )
}

/** The text between bars: within the arrow, a dot of an event's name would end it. */
function meet(from: string, text: string, to: string): string {
  return `${from} ==>|${quoted(text)}| ${to}`
}
