import type { SagaShape, StepShape } from './shape.ts'

/** A saga as a Mermaid flowchart: the way forward in full lines, the way back dotted, the point of no return a hexagon. */
export function diagramSaga({ name, version, steps }: SagaShape): string {
  const nodes = steps.map((step, index) => `  ${nodeOf(step, index)}`)
  const lines = [`  start(["${name}, version ${version}"])`, ...nodes, '  done(["completed"])', ...forward(steps), ...backward(steps)]
  return `flowchart TD\n${lines.join('\n')}\n`
}

function nodeOf({ name, kind, place, each }: StepShape, index: number): string {
  const label = `"${name}<br/>${kind}${each ? ', for each' : ''}"`
  if (place === 'pivot') return `s${index}{{${label}}}`
  return kind === 'when' ? `s${index}{${label}}` : `s${index}[${label}]`
}

/** Where the way goes on from. */
interface End {
  readonly id: string
  readonly label?: string
}

function forward(steps: readonly StepShape[]): string[] {
  const lines: string[] = []
  let ends: End[] = [{ id: 'start' }]
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
    const id = `s${index}`
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
  return [...lines, ...ends.map((end) => edge(end, 'done'))]
}

function edge({ id, label }: End, to: string): string {
  return `  ${id} -->${label ? `|${label}|` : ''} ${to}`
}

/** Undos run in the reverse order of their starts. */
function backward(steps: readonly StepShape[]): string[] {
  const undoable = steps.flatMap(({ undoable }, index) => (undoable ? [`s${index}`] : [])).reverse()
  if (undoable.length === 0) return []
  const undone = [...undoable, 'compensated']
  const lines = undone.slice(1).map((id, index) => `  ${undone[index]} -. undo .-> ${id}`)
  return ['  compensated(["compensated"])', ...lines]
}
