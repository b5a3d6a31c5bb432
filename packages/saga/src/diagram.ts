import { indented, quoted } from './mermaid.ts'
import type { SagaShape, StepShape } from './shape.ts'

/** A saga as a Mermaid flowchart: the way forward in full lines, the way back dotted, the point of no return a hexagon. */
export function diagramSaga(saga: SagaShape): string {
  return `${['flowchart TD', ...indented(sagaLines(saga))].join('\n')}\n`
}

/** What the nodes of a saga are called in its chart. */
export interface SagaNodes {
  readonly start: string
  readonly done: string
  readonly compensated: string
  /** Of the step at this place of the definition, from 0. */
  step(index: number): string
}

/** The nodes' names, each with what sets it apart from those of others in one chart. */
export function sagaNodes(prefix = ''): SagaNodes {
  return { start: `${prefix}start`, done: `${prefix}done`, compensated: `${prefix}compensated`, step: (index) => `${prefix}s${index}` }
}

/** The nodes and the edges of a saga's chart, a line each. */
export function sagaLines({ name, version, steps }: SagaShape, nodes: SagaNodes = sagaNodes()): string[] {
  return [
    `${nodes.start}([${quoted(`${name}, version ${version}`)}])`,
    ...steps.map((step, index) => nodeOf(step, nodes.step(index))),
    `${nodes.done}(["completed"])`,
    ...forward(steps, nodes),
    ...backward(steps, nodes),
  ]
}

function nodeOf({ name, kind, place, each }: StepShape, id: string): string {
  const label = quoted(`${name}<br/>${kind}${each ? ', for each' : ''}`)
  if (place === 'pivot') return `${id}{{${label}}}`
  return kind === 'when' ? `${id}{${label}}` : `${id}[${label}]`
}

/** Where the way goes on from. */
interface End {
  readonly id: string
  readonly label?: string
}

function forward(steps: readonly StepShape[], nodes: SagaNodes): string[] {
  const lines: string[] = []
  let ends: End[] = [{ id: nodes.start }]
  let fork: End[] = []
  const whens: { name: string; id: string }[] = []
  const leave = (inside: readonly string[]) => {
    for (let last = whens.at(-1); last && !inside.includes(last.name); last = whens.at(-1)) {
      whens.pop()
      ends = [...ends, { id: last.id, label: 'no' }]
    }
  }
  for (const [index, { name, kind, group, inside = [] }] of steps.entries()) {
    leave(inside)
    const id = nodes.step(index)
    // The steps of an `all` start together, from where the first of them starts.
    const together = group !== undefined && steps[index - 1]?.group === group
    if (!together) fork = ends
    lines.push(...fork.map((end) => edge(end, id)))
    ends = together ? [...ends, { id }] : [{ id }]
    if (kind !== 'when') continue
    whens.push({ name, id })
    ends = [{ id, label: 'yes' }]
  }
  leave([])
  return [...lines, ...ends.map((end) => edge(end, nodes.done))]
}

function edge({ id, label }: End, to: string): string {
  return `${id} -->${label ? `|${label}|` : ''} ${to}`
}

/** Undos run in the reverse order of their starts. */
function backward(steps: readonly StepShape[], nodes: SagaNodes): string[] {
  const undoable = steps.flatMap(({ undoable }, index) => (undoable ? [nodes.step(index)] : [])).reverse()
  if (undoable.length === 0) return []
  const undone = [...undoable, nodes.compensated]
  const lines = undone.slice(1).map((id, index) => `${undone[index]} -. undo .-> ${id}`)
  return [`${nodes.compensated}(["compensated"])`, ...lines]
}
