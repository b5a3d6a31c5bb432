import type { Touches } from './isolation.ts'
import type { StepRetry } from './steps.ts'

/** What the engine must know of a definition: plain data. */
export interface SagaShape {
  readonly name: string
  readonly version: number
  /** In the order they run. */
  readonly steps: readonly StepShape[]
  /** How long all of it may take, milliseconds. */
  readonly deadlineMs?: number | undefined
  /** Whether what it stores can be read with its codec alone. */
  readonly encoded?: boolean
}

/**
 * `local`: in the service's own database, in the transaction that records it. `remote`: anywhere else. The others call nobody:
 * `wait` for an event, `approve` for a person, `child` for another saga, `sleep` for a time; `when` decides about the steps in it.
 */
export type StepKind = 'local' | 'remote' | 'wait' | 'approve' | 'child' | 'sleep' | 'when'

export interface StepShape {
  readonly name: string
  readonly kind: StepKind
  readonly place: 'before' | 'pivot' | 'after'
  /** Whether it has an `undo` that does something. */
  readonly undoable: boolean
  /** Why there is nothing to undo, as its author said. */
  readonly noUndo: string | undefined
  /** How long one attempt may take, or how long is waited at most, milliseconds. `undefined`: for ever. */
  readonly withinMs: number | undefined
  readonly retry: Required<StepRetry>
  readonly undoRetry: Required<StepRetry>
  /** The shared entities it touches, and how. */
  readonly touches?: Touches
  /** The `all` it is part of, by the name of its first step: these start together. */
  readonly group?: string
  /** The `when`s it stands in, outermost first. */
  readonly inside?: readonly string[]
  /** It runs once for each of some items, one after another: `name[0]`, `name[1]`. */
  readonly each?: boolean
  /** What becomes of the saga when nothing came in time. */
  readonly otherwise?: 'undo' | 'continue'
  /** The event that a `wait` is for, or the saga that a `child` starts. */
  readonly of?: string
}

/** The plain data of a definition, for storing. */
export function shapeOf({ name, version, steps, deadlineMs, encoded }: SagaShape): SagaShape {
  return {
    ...{ name, version, deadlineMs },
    ...(encoded && { encoded }),
    steps: steps.map(
      ({ name, kind, place, undoable, noUndo, withinMs, retry, undoRetry, group, inside, each, otherwise, of, touches }) => ({
        ...{ name, kind, place, undoable, noUndo, withinMs, retry, undoRetry },
        ...(group && { group }),
        ...(inside && { inside }),
        ...(each && { each }),
        ...(otherwise && { otherwise }),
        ...(of && { of }),
        ...(touches && { touches }),
      }),
    ),
  }
}

/** The step of a shape that a state names: `seats` for `seats[2]`, too. */
export function stepNamed({ steps }: SagaShape, name: string | undefined): StepShape | undefined {
  if (name === undefined) return undefined
  const known = byName.get(steps) ?? new Map(steps.map((step) => [step.name, step]))
  byName.set(steps, known)
  return known.get(name) ?? known.get(baseName(name))
}

/** Asked for each step of a state at each of its moves. */
const byName = new WeakMap<readonly StepShape[], ReadonlyMap<string, StepShape>>()

/** `seats` of `seats[2]`. */
export function baseName(name: string): string {
  const bracket = name.endsWith(']') ? name.lastIndexOf('[') : -1
  return bracket < 0 ? name : name.slice(0, bracket)
}

/** 2 of `seats[2]`; `undefined` of a step that has no items. */
export function itemIndex(name: string): number | undefined {
  const base = baseName(name)
  return base === name ? undefined : Number(name.slice(base.length + 1, -1))
}
