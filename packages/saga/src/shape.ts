import type { StepRetry } from './steps.ts'

/** What the engine must know of a definition: plain data. */
export interface SagaShape {
  readonly name: string
  readonly version: number
  /** In the order they run. */
  readonly steps: readonly StepShape[]
}

export interface StepShape {
  readonly name: string
  /** `local`: in the service's own database, in the transaction that records it. `remote`: anywhere else. */
  readonly kind: 'local' | 'remote'
  readonly place: 'before' | 'pivot' | 'after'
  /** Whether it has an `undo` that does something. */
  readonly undoable: boolean
  /** Why there is nothing to undo, as its author said. */
  readonly noUndo: string | undefined
  readonly withinMs: number
  readonly retry: Required<StepRetry>
  readonly undoRetry: Required<StepRetry>
}

/** The plain data of a definition, for storing. */
export function shapeOf({ name, version, steps }: SagaShape): SagaShape {
  return {
    name,
    version,
    steps: steps.map(({ name, kind, place, undoable, noUndo, withinMs, retry, undoRetry }) => ({
      ...{ name, kind, place, undoable, noUndo, withinMs, retry, undoRetry },
    })),
  }
}
