import { baseName } from './shape.ts'
import type { FirstNames, Running, SagaState, Undoing } from './state.ts'

/**
 * What a step of a saga is known by outside of it, for the saga's life: the idempotency key of its `do` and its `undo`, its child's key,
 * the root of its channel. `seats[2]`, too.
 */
export function stepKey(id: string, state: SagaState, step: string): string {
  const base = baseName(step)
  return `${id}:${firstName(firstNamesOf(state), base)}${step.slice(base.length)}`
}

/** The record of names in a state. */
export function firstNamesOf(state: SagaState): FirstNames | undefined {
  if (state.status === 'stuck') return state.resume.firstNames
  return state.status === 'running' || state.status === 'undoing' ? state.firstNames : undefined
}

/** A state with this record of names. The same one, if it has it; at its end a saga needs none. */
export function withFirstNames(state: SagaState, names: FirstNames | undefined): SagaState {
  const kept = names && Object.keys(names).length > 0 ? names : undefined
  if (state.status === 'running' || state.status === 'undoing') return named(state, kept)
  if (state.status !== 'stuck') return state
  const resume = named(state.resume, kept)
  return resume === state.resume ? state : { ...state, resume }
}

function named(way: Running | Undoing, names: FirstNames | undefined): Running | Undoing {
  if (way.firstNames === names) return way
  const { firstNames: _others, ...rest } = way
  return names ? { ...rest, firstNames: names } : rest
}

/**
 * The record of names after a renaming. `used`: the names that the saga has to do with. Where several old names lead to one new name,
 * as a renaming may be written for several older versions, the used one was the step's.
 */
export function renamedFirst(
  before: FirstNames | undefined,
  renaming: Readonly<Record<string, string>>,
  used: Iterable<string>,
): FirstNames {
  const names = [...Object.keys(before ?? {}), ...Object.keys(renaming), ...used]
  const first = new Map(names.map((name) => [newName(renaming, name), firstName(before, name)]))
  return Object.fromEntries([...first].filter(([now, began]) => now !== began))
}

/** The name of a step after a renaming. */
export function newName(renaming: Readonly<Record<string, string>>, step: string): string {
  const base = baseName(step)
  return (own(renaming, base) ?? base) + step.slice(base.length)
}

function firstName(names: FirstNames | undefined, step: string): string {
  return own(names, step) ?? step
}

/** A step may be called as something that every object has. */
function own(names: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return names && Object.hasOwn(names, name) ? names[name] : undefined
}
