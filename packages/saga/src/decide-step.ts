import type { World } from '@banyan/core'
import { type Attempt, type AttemptEnd, contextOf, failed } from './attempt.ts'
import { toJson } from './json.ts'
import type { Lane } from './state.ts'

/** Whether a step is decided here and now, by a function of what is stored: a `when`, a `sleep`, the items of an `each`. */
export function decides({ kind, each }: Attempt['step'], isUnspread: boolean): boolean {
  return kind === 'when' || kind === 'sleep' || (each === true && isUnspread)
}

/** Asks the function of such a step. Never throws. */
export function decideStep(world: World, attempt: Attempt, lane: Lane): AttemptEnd {
  const { step } = attempt
  // The builder typed the functions by the steps whose results these are.
  const c = contextOf(world, attempt, { signal: () => attempt.signal }) as never
  try {
    if (step.kind === 'when') return chosen(step.predicate(c))
    if (step.kind === 'sleep') return slept(lane, world.now(), () => step.durationMs(c))
    if (step.kind === 'remote' && step.items) return spread(step.name, step.items(c))
    return { event: { kind: 'done' }, result: undefined }
  } catch (error) {
    // The same function of the same values will not say otherwise.
    return failed(world, error, true)
  }
}

function chosen(yes: boolean): AttemptEnd {
  return { event: { kind: 'chosen', yes: yes === true }, result: yes === true ? 'true' : 'false' }
}

function slept({ until }: Lane, now: number, duration: () => number): AttemptEnd {
  const over = until ?? now + wholeMs(duration())
  return { event: over <= now ? { kind: 'done' } : { kind: 'waits', until: over }, result: undefined }
}

function wholeMs(duration: number): number {
  if (Number.isFinite(duration) && duration >= 0) return Math.ceil(duration)
  throw new RangeError(`a sleep takes ${duration} ms, wanted a number from 0`)
}

function spread(step: string, items: readonly unknown[]): AttemptEnd {
  const result = toJson(Array.from(items), `the items of step "${step}"`, 'ERR_RESULT_NOT_JSON')
  return { event: { kind: 'spread', items: items.length }, result }
}
