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
  const { name, version, deadlineMs } = saga
  const steps = saga.steps.map(explainStep)
  const pivot = saga.steps.find(({ place }) => place === 'pivot')?.name
  const warnings = warningsOf(saga, pivot)
  const title = `saga ${name}, version ${version}${deadlineMs === undefined ? '' : `; undone after ${deadlineMs} ms, unless it is past its pivot`}`
  const lines = saga.steps.map((step, index) => lineOf(saga, step, steps[index], index))
  const text = [title, ...lines, ...warnings.map((warning) => `! ${warning}`)].join('\n')
  return { name, version, pivot, steps, warnings, text }
}

function lineOf(saga: SagaShape, step: StepShape, explained: StepExplanation | undefined, index: number): string {
  const marks = [
    step.place === 'pivot' ? 'pivot' : undefined,
    step.each ? 'for each item' : undefined,
    withOthers(saga, step),
    step.inside ? `if ${step.inside.join(' and ')}` : undefined,
  ].filter((mark) => mark !== undefined)
  const head = `${index + 1}. ${step.name}${marks.length > 0 ? ` (${marks.join(', ')})` : ''}: ${step.kind}, ${explained?.guarantee}`
  return `${head}; on failure ${explained?.onFailure}; undo: ${explained?.undo}`
}

function withOthers({ steps }: SagaShape, { group, name }: StepShape): string | undefined {
  const others = steps.filter((other) => group !== undefined && other.group === group && other.name !== name)
  return others.length === 0 ? undefined : `with ${others.map((other) => other.name).join(' and ')}`
}

function explainStep(step: StepShape): StepExplanation {
  const { name, kind, place } = step
  return { name, kind, place, guarantee: guaranteeOf(step), onFailure: onFailureOf(step), undo: undoOf(step) }
}

function guaranteeOf({ kind, withinMs, of }: StepShape): string {
  switch (kind) {
    case 'local':
      return 'exactly once'
    case 'remote':
      return `at least once, under one key, ${withinMs} ms an attempt`
    case 'wait':
      return `event "${of}", taken once, within ${withinMs} ms`
    case 'approve':
      return `a person, within ${withinMs} ms`
    case 'child':
      return `saga "${of}", started once`
    case 'sleep':
      return 'a time that survives restarts'
    default:
      return 'decided once'
  }
}

function onFailureOf(step: StepShape): string {
  const { kind, place, retry, otherwise } = step
  if (kind === 'sleep' || kind === 'when') return place === 'before' ? 'undo' : 'attempts without end'
  if (kind === 'wait' || kind === 'approve') return otherwise === 'undo' ? 'undo' : 'on without a result'
  if (kind === 'child') return place === 'before' ? 'undo' : 'stuck'
  return canGiveUp(step)
    ? `${retry.attempts} attempts, then undo`
    : `attempts without end, pauses up to ${retry.capMs} ms, an alert each ${retry.attempts}`
}

function canGiveUp({ place, kind }: StepShape): boolean {
  return place === 'before' || (place === 'pivot' && kind === 'local')
}

function undoOf({ place, undoable, noUndo, undoRetry }: StepShape): string {
  if (place !== 'before') return 'never'
  return undoable ? `yes, ${undoRetry.attempts} attempts, then stuck` : `nothing, as ${noUndo}`
}

function warningsOf({ steps, deadlineMs }: SagaShape, pivot: string | undefined): string[] {
  const warnings: string[] = []
  if (!pivot && steps.length > 1)
    warnings.push('it has no pivot: until the last step has worked, everything may be undone; readers may see what is then taken back')
  if (steps.find(({ place }) => place === 'pivot')?.kind === 'remote')
    warnings.push(`pivot "${pivot}" is in another system: after a lost answer it can only go forward, and a refusal then needs a person`)
  const empty = steps.filter(({ place, undoable, noUndo }) => place === 'before' && !undoable && !noUndo?.trim())
  for (const { name } of empty) warnings.push(`step "${name}" has nothing to undo and does not say why`)
  for (const { name, withinMs } of steps.filter(({ kind }) => kind === 'wait' || kind === 'approve')) {
    if (deadlineMs !== undefined && withinMs !== undefined && withinMs >= deadlineMs)
      warnings.push(`step "${name}" waits ${withinMs} ms, and the saga's deadline is ${deadlineMs} ms: the deadline comes first`)
  }
  return [...warnings, ...isolationWarnings(steps)]
}
