import { hash } from 'node:crypto'
import type { SagaState } from '@banyan/saga/internal'
import type { Letter } from './explore-operation.ts'
import type { Answer } from './explore-run.ts'

/** Everything there is at one moment of a schedule, as plain data: the saga, its worker, the services, what is under way. */
export interface Moment {
  /** As the worker has it in memory; what is stored differs from it by pauses and doubts alone. */
  readonly state: SagaState
  /** Results by step, JSON. */
  readonly results: string
  /** Attempts that have begun and are not stored. */
  readonly attempts: readonly Begun[]
  /** Calls that nobody waits for any more: late ones and copies. */
  readonly wire: readonly Sent[]
  /** What each service keeps, JSON. */
  readonly books: Readonly<Record<string, string>>
  /** What the saga's own database keeps, JSON. */
  readonly local: string
  /** Effects in force. */
  readonly effects: readonly Effect[]
  /** The steps that were done, in one order: of those that leave no result nothing else tells. */
  readonly done: readonly string[]
  /** What has happened beside the saga, of what may happen once. */
  readonly happened: readonly string[]
  /** Whether the pivot is behind it. */
  readonly passed: boolean
  /** Undos that fail for good by the schedule's will: a saga that is stuck at one of them ends as it should. */
  readonly excused: boolean
  /** What has gone wrong on the way here; nothing goes on from such a moment. */
  readonly wrong: string | undefined
  /** Which life of the worker has the saga, from 1. */
  readonly life: number
  /** How many faults it took to get here. */
  readonly faults: number
}

/** What is to be done with a step. */
export interface StepAction {
  readonly kind: 'do' | 'undo'
  readonly step: string
}

/** An attempt in the middle: what its calls were answered, and the one that is being answered. */
export interface Begun extends StepAction {
  readonly answers: readonly Answer[]
  /** The call that a service is in the middle of answering. */
  readonly calling: Letter | undefined
  /** Whether a fault of the schedule's is among the answers. */
  readonly hit: boolean
}

/** A call that still travels, and the step it came from. */
export interface Sent extends StepAction {
  readonly letter: Letter
}

/** Something in force outside: made by a step, under a key. */
export interface Effect {
  readonly step: string
  /** The service and the operation's key there. */
  readonly at: string
  /** 1; anything else is wrong. */
  readonly count: number
}

/** Equal for moments from which the same can happen. How they were reached, and by how many faults, does not count. */
export function momentKey(moment: Moment): string {
  const { state, results, attempts, wire, books, local, effects, done, happened, passed, excused, wrong } = moment
  const all = [state, results, attempts, wire, books, local, effects, done, happened, passed, excused, wrong]
  return hash('md5', JSON.stringify(all), 'base64url')
}

/** Whether two actions are the same. */
export function sameAction(one: StepAction, other: StepAction): boolean {
  return one.kind === other.kind && one.step === other.step
}

/** The attempt of an action that is under way. */
export function begunOf(moment: Moment, action: StepAction): Begun | undefined {
  return moment.attempts.find((begun) => sameAction(begun, action))
}

/** The moment with an attempt in the place of an earlier one of the same action. */
export function withAttempt(moment: Moment, begun: Begun): Moment {
  const attempts = [...moment.attempts.filter((other) => !sameAction(other, begun)), begun]
  // In one order, whichever lane came first: equal moments must look equal.
  if (attempts.length > 1) attempts.sort((a, b) => (`${a.kind} ${a.step}` < `${b.kind} ${b.step}` ? -1 : 1))
  return { ...moment, attempts }
}

/** The moment without the attempt of an action. */
export function withoutAttempt(moment: Moment, action: StepAction): Moment {
  return { ...moment, attempts: moment.attempts.filter((other) => !sameAction(other, action)) }
}

/** The moment with the effects that a call made, or took back. */
export function withEffects(moment: Moment, step: string, letter: Letter, count: number): Moment {
  if (count === 0) return moment
  const at = placeOf(step, letter)
  const before = moment.effects.find((effect) => effect.at === at)
  const rest = moment.effects.filter((effect) => effect !== before)
  const now = (before?.count ?? 0) + count
  const effects = now === 0 ? rest : [...rest, { step: before?.step ?? step, at, count: now }]
  effects.sort((a, b) => (a.at < b.at ? -1 : 1))
  return { ...moment, effects }
}

/** The effect of another step under the key of a call. */
export function effectOfOther({ effects }: Moment, step: string, letter: Letter): Effect | undefined {
  return effects.find((effect) => effect.at === placeOf(step, letter) && effect.step !== step)
}

/** What has no key is told apart by its step alone: two of one service are no repetition. */
function placeOf(step: string, { service, key }: Letter): string {
  return key === '' ? `${service}, without a key, by ${step}` : `${service} ${key}`
}
