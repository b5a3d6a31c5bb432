import { RESERVED_NAMES } from './context.ts'
import type { AnySaga, SagaStep } from './definition.ts'
import { checkTouches, type Touches } from './isolation.ts'
import { checkName, checkWhole, LONGEST_MS, TIMER_LIMIT_MS } from './options.ts'
import type { StepKind, StepShape } from './shape.ts'
import type { Nothing, StepRetry } from './steps.ts'

type Body = (...args: never[]) => unknown

/** What the builder is given, whichever of the typed steps it was. */
export interface LooseStep {
  kind?: StepKind
  place?: StepShape['place']
  group?: string
  each?: boolean
  do?: Body
  local?: Body
  undo?: Nothing | Body
  withinMs?: number
  retry?: StepRetry
  undoRetry?: StepRetry
  touches?: Touches
  items?: Body | undefined
  predicate?: Body | undefined
  duration?: number | Body | undefined
  for?: { name: string } | undefined
  event?: { name: string } | undefined
  where?: Body
  otherwise?: 'undo' | 'continue'
  saga?: AnySaga
  input?: Body
}

/** A definition that is being written. */
export interface Collected extends Omit<AnySaga, 'outputOf'> {
  /** The `when`s that are open. */
  readonly inside: readonly string[]
  /** In a `when` that stands past the pivot. */
  readonly pastPivot?: boolean
}

/** The steps of a saga with one more. @throws {TypeError} {RangeError} naming the step */
export function addStep(saga: Collected, name: string, step: LooseStep): readonly SagaStep[] {
  const action = `define saga "${saga.name}", step "${name}"`
  checkStep(saga, action, name, step)
  const { kind = 'remote', place = 'before', undo, retry = {}, undoRetry = {}, group, each, otherwise, event, saga: child, touches } = step
  const of = event?.name ?? child?.name
  const shape: StepShape = {
    ...{ name, kind, place },
    undoable: typeof undo === 'function',
    noUndo: typeof undo === 'object' ? undo.nothing : undefined,
    withinMs: withinMsOf(action, kind, step),
    retry: retryOf(action, 'retry', retry, { attempts: 8, baseMs: 100, capMs: place === 'before' ? 5_000 : 10_000 }),
    undoRetry: retryOf(action, 'undoRetry', undoRetry, { attempts: 30, baseMs: 100, capMs: 10_000 }),
    ...(group !== undefined && { group }),
    ...(saga.inside.length > 0 && { inside: saga.inside }),
    ...(each && { each }),
    ...(otherwise && { otherwise }),
    ...(of !== undefined && { of }),
    ...(touches && { touches }),
  }
  return [...saga.steps, { ...shape, ...bodyOf(kind, step) } as SagaStep]
}

function checkStep(saga: Collected, action: string, name: string, step: LooseStep): void {
  checkName(action, 'its name', name)
  const fail = (what: string) => new TypeError(`cannot ${action}: ${what}`)
  if (RESERVED_NAMES.includes(name)) throw fail('the context has something of this name')
  if (name.includes('[') || name.includes(']')) throw fail('brackets are for the items of an "each"')
  if (saga.steps.some((other) => other.name === name)) throw fail('another step has this name')
  const { kind, place, undo } = step
  if ((kind === 'remote' || kind === 'local') && !step.do) throw fail('"do" is missing')
  if (place === 'before' && undo === undefined) throw fail(`"undo" is missing; a step without effect has undo: nothing('why')`)
  if (place !== 'before' && undo !== undefined) throw fail('it stands at or past the pivot and is never undone')
  checkWaits(fail, step)
  if (typeof step.duration === 'number') checkDuration(action, step.duration)
  checkTouches(fail, step.touches)
}

function checkWaits(fail: (what: string) => TypeError, { kind, place, otherwise, event, where, saga, input }: LooseStep): void {
  if (kind === 'wait' && (!event || !where)) throw fail('"for" and "where" are needed')
  if (kind === 'child' && (!saga || !input)) throw fail('a saga and "input" are needed')
  if (kind !== 'wait' && kind !== 'approve') return
  if (otherwise !== 'undo' && otherwise !== 'continue')
    throw fail(`"otherwise" is ${JSON.stringify(otherwise)}, wanted "undo" or "continue"`)
  if (place === 'after' && kind === 'approve') throw fail('it stands past the pivot: nobody can say no there')
  if (place === 'after' && otherwise === 'undo') throw fail(`it stands past the pivot and is never undone: wanted otherwise: 'continue'`)
}

/** As the decision to sleep does, which is given what a function said. */
function checkDuration(action: string, duration: number): void {
  if (duration >= 0 && duration <= LONGEST_MS) return
  throw new RangeError(`cannot ${action}: it sleeps ${duration} ms, wanted a number from 0 to ${LONGEST_MS}`)
}

function withinMsOf(action: string, kind: StepKind, { withinMs }: LooseStep): number | undefined {
  if (kind === 'remote' || kind === 'local') {
    const limit = withinMs ?? 30_000
    checkWhole(action, 'withinMs', limit, 1, TIMER_LIMIT_MS)
    return limit
  }
  if (kind === 'wait' || kind === 'approve') checkWhole(action, 'withinMs', withinMs ?? Number.NaN, 1, LONGEST_MS)
  return withinMs
}

function bodyOf(kind: StepKind, step: LooseStep): object {
  const undo = typeof step.undo === 'function' ? step.undo : undefined
  switch (kind) {
    case 'wait':
      return { event: step.event, where: step.where }
    case 'sleep': {
      const { duration } = step
      return { durationMs: typeof duration === 'function' ? duration : () => duration }
    }
    case 'when':
      return { predicate: step.predicate }
    case 'child':
      return { saga: step.saga, input: step.input, undo }
    case 'approve':
      return {}
    default:
      // The typed methods saw to it that the functions fit the kind of step.
      return { do: step.do, undo, ...(step.items && { items: step.items }) }
  }
}

function retryOf(action: string, option: string, retry: StepRetry, defaults: Required<StepRetry>): Required<StepRetry> {
  const { attempts = defaults.attempts, baseMs = defaults.baseMs } = retry
  const { capMs = Math.max(baseMs, defaults.capMs) } = retry
  checkWhole(action, `${option}.attempts`, attempts, 1)
  checkWhole(action, `${option}.baseMs`, baseMs, 1, LONGEST_MS)
  checkWhole(action, `${option}.capMs`, capMs, baseMs, LONGEST_MS)
  return { attempts, baseMs, capMs }
}
