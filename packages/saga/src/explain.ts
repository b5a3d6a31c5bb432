import { isolationWarnings } from './isolation.ts'
import type { SagaShape, StepKind, StepShape } from './shape.ts'

/** A definition in words. */
export interface Explanation {
  readonly name: string
  readonly version: number
  /** The name of the point of no return, if there is one. */
  readonly pivot: string | undefined
  readonly steps: readonly StepExplanation[]
  /** What may be meant otherwise. */
  readonly warnings: readonly string[]
  /** All of it as text, a line a step. */
  readonly text: string
}

export interface StepExplanation {
  readonly name: string
  readonly kind: StepKind
  readonly place: 'before' | 'pivot' | 'after'
  /** `exactly once` in the service's own database, `at least once, under one key` elsewhere. */
  readonly guarantee: string
  /** What happens when its attempts are used up. */
  readonly onFailure: string
  /** How it is taken back. */
  readonly undo: string
}

/** Says what a saga does, in order, and what about it may be a mistake. */
export function explainSaga(saga: SagaShape): Explanation {
  const steps = saga.steps.map(explainStep)
  const pivot = saga.steps.find(({ place }) => place === 'pivot')?.name
  const warnings = warningsOf(saga.steps, pivot)
  const lines = steps.map((step, index) => {
    const mark = step.place === 'pivot' ? ' (pivot)' : ''
    return `${index + 1}. ${step.name}${mark}: ${step.kind}, ${step.guarantee}; on failure ${step.onFailure}; undo: ${step.undo}`
  })
  const text = [`saga ${saga.name}, version ${saga.version}`, ...lines, ...warnings.map((warning) => `! ${warning}`)].join('\n')
  return { name: saga.name, version: saga.version, pivot, steps, warnings, text }
}

function explainStep(step: StepShape): StepExplanation {
  const { name, kind, place, retry, withinMs } = step
  return {
    name,
    kind,
    place,
    guarantee: kind === 'local' ? 'exactly once' : `at least once, under one key, ${withinMs} ms an attempt`,
    onFailure: canGiveUp(step)
      ? `${retry.attempts} attempts, then undo`
      : `attempts without end, pauses up to ${retry.capMs} ms, an alert each ${retry.attempts}`,
    undo: undoOf(step),
  }
}

function canGiveUp({ place, kind }: StepShape): boolean {
  return place === 'before' || (place === 'pivot' && kind === 'local')
}

function undoOf({ place, undoable, noUndo, undoRetry }: StepShape): string {
  if (place !== 'before') return 'never'
  return undoable ? `yes, ${undoRetry.attempts} attempts, then stuck` : `nothing, as ${noUndo}`
}

function warningsOf(steps: readonly StepShape[], pivot: string | undefined): string[] {
  const warnings: string[] = []
  if (!pivot && steps.length > 1)
    warnings.push('it has no pivot: until the last step has worked, everything may be undone; readers may see what is then taken back')
  if (steps.find(({ place }) => place === 'pivot')?.kind === 'remote')
    warnings.push(`pivot "${pivot}" is in another system: after a lost answer it can only go forward, and a refusal then needs a person`)
  const empty = steps.filter(({ place, undoable, noUndo }) => place === 'before' && !undoable && !noUndo?.trim())
  for (const { name } of empty) warnings.push(`step "${name}" has nothing to undo and does not say why`)
  return [...warnings, ...isolationWarnings(steps)]
}
