import type { World } from '@banyan/core'
import { type Attempt, type AttemptEnd, contextOf, failed } from './attempt.ts'
import { SagaError } from './errors.ts'
import { toJson } from './json.ts'
import { given, LONGEST_MS } from './options.ts'
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
    if (step.kind === 'when') return chosen(step.name, step.predicate(c))
    if (step.kind === 'sleep') return slept(lane, world.now(), () => wholeMs(step.name, step.durationMs(c)))
    if (step.kind === 'remote' && step.items) return spread(step.name, step.items(c))
    return { event: { kind: 'done' }, result: undefined }
  } catch (error) {
    // The same function of the same values will not say otherwise.
    return failed(world, error, true)
  }
}

// What the functions give is checked: programs in JavaScript, and those that cast, may give a promise, which would pass for a no.

function chosen(step: string, yes: unknown): AttemptEnd {
  if (typeof yes !== 'boolean') throw invalid(`the predicate of step "${step}" gives ${given(yes)}, wanted true or false`)
  return { event: { kind: 'chosen', yes }, result: yes ? 'true' : 'false' }
}

function slept({ until }: Lane, now: number, durationMs: () => number): AttemptEnd {
  const over = until ?? now + durationMs()
  return { event: over <= now ? { kind: 'done' } : { kind: 'waits', until: over }, result: undefined }
}

function wholeMs(step: string, duration: unknown): number {
  if (typeof duration === 'number' && duration >= 0 && duration <= LONGEST_MS) return Math.ceil(duration)
  throw invalid(`the duration of step "${step}" is ${given(duration)}, wanted a number of milliseconds from 0 to ${LONGEST_MS}`)
}

function spread(step: string, items: unknown): AttemptEnd {
  if (!Array.isArray(items)) throw invalid(`the items of step "${step}" are ${given(items)}, wanted an array`)
  const result = toJson(Array.from(items), `the items of step "${step}"`, 'ERR_RESULT_NOT_JSON')
  return { event: { kind: 'spread', items: items.length }, result }
}

function invalid(what: string): SagaError {
  return new SagaError('ERR_DECISION_INVALID', what)
}
