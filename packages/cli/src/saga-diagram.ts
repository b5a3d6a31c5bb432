import type { SagaShape } from './saga-module.ts'
import { table } from './table.ts'

/** A step as far as it is drawn: `all`, `when` and `each` are told by where it stands. */
interface Drawn {
  readonly name: string
  readonly kind: string
  readonly place: 'before' | 'pivot' | 'after'
  readonly undoable: boolean
  readonly noUndo: string | undefined
  readonly group?: string
  readonly inside?: readonly string[]
  readonly each?: boolean
}

/** A saga as a table for the terminal. */
export function sagaTable({ name, version, steps }: SagaShape): string {
  const drawn: readonly Drawn[] = steps
  const rows = drawn.map((step, index) => [
    placeText(drawn, step, index),
    `${'  '.repeat(step.inside?.length ?? 0)}${step.name}`,
    kindText(step),
    backText(step),
  ])
  return `saga ${name}, version ${version}\n${table(['', 'step', 'what', 'the way back'], rows)}`
}

function placeText(steps: readonly Drawn[], { place, group }: Drawn, index: number): string {
  if (place === 'pivot') return '=='
  return group !== undefined && steps[index - 1]?.group === group ? '||' : '|'
}

function kindText({ kind, each }: Drawn): string {
  return each ? `${kind}, for each` : kind
}

function backText({ place, undoable, noUndo, kind }: Drawn): string {
  if (place === 'pivot') return 'none: the point of no return'
  if (place === 'after') return 'none: repeated until it works'
  if (undoable) return 'undo'
  return noUndo ? `nothing: ${noUndo}` : kind === 'local' || kind === 'remote' ? 'nothing, and nobody says why' : 'nothing'
}
