import type { SagaShape, StepShape } from '../shape.ts'
import type { SagaState } from '../state.ts'
import { actionsOf, after, initialState, type SagaEvent, type Turn } from '../transition.ts'

/** A step of a shape: `b!` is the pivot, what follows it comes after; `(b)` is local; `b-` has nothing to undo. */
export function shape(...texts: string[]): SagaShape {
  const pivot = texts.findIndex((text) => text.includes('!'))
  const steps = texts.map((text, index): StepShape => {
    const place = pivot < 0 || index < pivot ? 'before' : index === pivot ? 'pivot' : 'after'
    return {
      name: text.replace(/[^a-z]/g, ''),
      kind: text.includes('(') ? 'local' : 'remote',
      place,
      undoable: place === 'before' && !text.includes('-'),
      noUndo: text.includes('-') ? 'it only reads' : undefined,
      withinMs: 1_000,
      retry: { attempts: 3, baseMs: 100, capMs: 1_000 },
      undoRetry: { attempts: 2, baseMs: 100, capMs: 1_000 },
    }
  })
  return { name: 'test', version: 1, steps }
}

export const done: SagaEvent = { kind: 'done' }
export const due: SagaEvent = { kind: 'due' }
export const resumed: SagaEvent = { kind: 'resumed' }
export const refused: SagaEvent = { kind: 'refused', refusal: { code: 'no', message: 'they said no' } }

export function failed(more: Partial<Extract<SagaEvent, { kind: 'failed' }>> = {}): SagaEvent {
  const failure = { code: 'ERR_X', message: 'it broke' }
  return { kind: 'failed', failure, hopeless: false, retryAfterMs: undefined, random: 0.5, ...more }
}

/** What becomes of a saga after these events, one after another. */
export function play(saga: SagaShape, events: readonly SagaEvent[], from: SagaState = initialState(saga)): Turn {
  let turn: Turn = { state: from, actions: actionsOf(from), alert: false }
  for (const event of events) turn = after(saga, turn.state, event, 1_000)
  return turn
}

/** The undos still to come, in order. */
export function leftOf(state: SagaState): readonly string[] {
  if (state.status === 'undoing') return state.left
  return state.status === 'stuck' ? leftOf(state.resume) : []
}
