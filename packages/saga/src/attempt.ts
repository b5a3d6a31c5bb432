import { type Database, isRefusal, type Timer, type Transaction, type World } from '@banyan/core'
import { causedBy } from '@banyan/messaging'
import { isFailure } from '@banyan/resilience'
import type { SagaCall, UndoCause } from './context.ts'
import type { SagaStep } from './definition.ts'
import { SagaError } from './errors.ts'
import { failureFrom, failureOfRefusal } from './failure.ts'
import { fromJson, toJson } from './json.ts'
import type { SagaEvent } from './transition.ts'

/** How an attempt ended: the event for the transition, and what a `do` gave back, as JSON. */
export interface AttemptEnd {
  readonly event: SagaEvent
  readonly result: string | undefined
}

export interface Attempt {
  readonly step: SagaStep
  readonly action: 'do' | 'undo'
  /** Of the saga, for the correlation of what is published. */
  readonly sagaKey: string
  readonly call: Omit<SagaCall<unknown>, 'signal' | 'remainingMs'>
  /** By step name; see `resultsFor`. */
  readonly results: Readonly<Record<string, unknown>>
  /** When undoing. */
  readonly cause: UndoCause | undefined
  /** Aborts when the worker loses the saga. */
  readonly signal: AbortSignal
  /** How long it may take, milliseconds. Default: the step's. */
  readonly withinMs?: number
  /** Of a step that runs for each of some items. */
  readonly item?: { readonly value: unknown; readonly index: number }
}

/** How long a step without a limit of its own may take, milliseconds: an `undo` of a child. */
const WITHIN_MS = 30_000

/**
 * Makes one attempt of a step in another system. Never rejects.
 *
 * The time limit ends the waiting, not the call: what it does later is met by the receiver's guard.
 */
export async function attemptRemote(world: World, attempt: Attempt): Promise<AttemptEnd> {
  const limit = timeLimit(world, attempt)
  try {
    const value = bodyOf(attempt, undefined)(contextOf(world, attempt, limit))
    return endOf(world, attempt, isThenable(value) ? await limit.race(value) : value)
  } catch (error) {
    return failed(world, error)
  } finally {
    limit.end()
  }
}

/**
 * Makes one attempt of a step in the service's own database: what it writes, what it publishes and what `advance` writes commit
 * together. Never rejects: a failed or refused attempt has left nothing.
 *
 * The time limit ends the transaction, and takes back what was written: what the step does with it later is refused by the database.
 */
export async function attemptLocal(
  world: World,
  database: Database,
  attempt: Attempt,
  advance: (tx: Transaction, end: AttemptEnd) => Promise<void>,
): Promise<AttemptEnd> {
  const limit = timeLimit(world, attempt)
  try {
    return await inOneTransaction(world, database, async (tx) => {
      // It stood in line for the database, maybe for long.
      attempt.signal.throwIfAborted()
      causedBy(tx, { correlationId: attempt.sagaKey, causationId: attempt.call.key })
      const value = bodyOf(attempt, tx)(contextOf(world, attempt, limit))
      const end = endOf(world, attempt, isThenable(value) ? await limit.race(value) : value)
      // Also what a refused `do` has written so far goes: a refusal says that nothing was done.
      if (end.event.kind !== 'done') throw new RolledBack(end)
      await advance(tx, end)
      return end
    })
  } finally {
    limit.end()
  }
}

/** Runs `body` in a transaction. A {@link RolledBack} takes back what was written, and is the end; an error is a failure. */
export async function inOneTransaction(
  world: World,
  database: Database,
  body: (tx: Transaction) => Promise<AttemptEnd>,
): Promise<AttemptEnd> {
  try {
    return await database.transaction(body)
  } catch (error) {
    return RolledBack.is(error) ? error.end : failed(world, error)
  }
}

/** Ends a transaction without its writes, and not as a failure. */
export class RolledBack extends Error {
  readonly end: AttemptEnd
  readonly #mark = true

  constructor(end: AttemptEnd) {
    super('nothing of this is to be stored')
    this.end = end
  }

  /** `instanceof` runs code of what was thrown, which may throw. */
  static is(error: unknown): error is RolledBack {
    return typeof error === 'object' && error !== null && #mark in error
  }
}

/** What the functions of a step are given. `limit` is asked for its signal only if they want it. */
export function contextOf(world: World, attempt: Attempt, limit: { signal: () => AbortSignal }): object {
  const { step, call, results, cause, withinMs = step.withinMs ?? WITHIN_MS } = attempt
  const endsAt = world.monotonic() + withinMs
  return {
    ...results,
    ...call,
    ...(cause && { reason: cause.code, cause }),
    get signal() {
      return limit.signal()
    },
    get remainingMs() {
      return Math.max(0, endsAt - world.monotonic())
    },
  }
}

/** An attempt that went wrong by an error. `hopeless`: trying again cannot help; asked of the error when left out. Never throws. */
export function failed(world: World, error: unknown, hopeless?: boolean): AttemptEnd {
  try {
    return endOfError(world, error, hopeless)
  } catch {
    // A proxy, or a getter, that throws when it is looked at: the texts are all that can be had of it.
    return failure(world, error, { hopeless: hopeless ?? false, retryAfterMs: undefined })
  }
}

function endOfError(world: World, error: unknown, hopeless: boolean | undefined): AttemptEnd {
  if (isRefusal(error)) return { event: { kind: 'refused', refusal: failureOfRefusal(error) }, result: undefined }
  const retryAfterMs = retryAfterOf(error)
  // Who says when to ask again says that it may help, whatever its status: a lock that another saga holds is a 409.
  const isHopeless = hopeless ?? (retryAfterMs === undefined && !isFailure({ ok: false, error }))
  return failure(world, error, { hopeless: isHopeless, retryAfterMs })
}

function failure(world: World, error: unknown, how: { hopeless: boolean; retryAfterMs: number | undefined }): AttemptEnd {
  return { event: { kind: 'failed', failure: failureFrom(error), ...how, random: world.random() }, result: undefined }
}

interface TimeLimit {
  signal(): AbortSignal
  /** The value, or the rejection of whatever ends the time first. */
  race(value: PromiseLike<unknown>): Promise<unknown>
  end(): void
}

/** Costs nothing before somebody waits, and a signal only when somebody asks for one: most steps do not. */
function timeLimit(world: World, { step, action, signal, withinMs = step.withinMs ?? WITHIN_MS }: Attempt): TimeLimit {
  let timer: Timer | undefined
  let abort: AbortController | undefined
  let stop: ((reason: unknown) => void) | undefined
  let over: { readonly reason: unknown } | undefined
  const endWith = (reason: unknown) => {
    over ??= { reason }
    abort?.abort(over.reason)
    stop?.(over.reason)
  }
  const onLost = () => endWith(signal.reason)
  const watch = () => {
    if (timer) return
    timer = world.after(withinMs, () => {
      const left = step.kind === 'local' ? 'nothing of it is stored' : 'its outcome is unknown'
      endWith(new SagaError('ERR_STEP_TIMEOUT', `step "${step.name}" took longer than ${withinMs} ms to ${action}; ${left}`))
    })
    signal.addEventListener('abort', onLost, { once: true })
    if (signal.aborted) onLost()
  }
  return {
    signal() {
      watch()
      abort ??= new AbortController()
      if (over) abort.abort(over.reason)
      return abort.signal
    },
    race: (value) =>
      new Promise((resolve, reject) => {
        watch()
        stop = reject
        if (over) reject(over.reason)
        value.then(resolve, reject)
      }),
    end() {
      timer?.cancel()
      if (timer) signal.removeEventListener('abort', onLost)
    },
  }
}

/** The typed builder saw to it that the bodies fit their contexts; here contexts are made of stored JSON. */
function bodyOf({ step, action, item }: Attempt, tx: Transaction | undefined): (c: object) => unknown {
  const body = action in step ? (step as { do?: unknown; undo?: unknown })[action] : undefined
  if (typeof body !== 'function') return () => undefined
  if (step.kind === 'local') return (c) => body(tx, c)
  return (c) => (item ? body(c, item.value, item.index) : body(c))
}

function endOf(world: World, { step, action }: Attempt, value: unknown): AttemptEnd {
  if (isRefusal(value)) return { event: { kind: 'refused', refusal: failureOfRefusal(value) }, result: undefined }
  if (action === 'undo') return { event: { kind: 'done' }, result: undefined }
  try {
    return { event: { kind: 'done' }, result: toJson(value, `the result of step "${step.name}"`, 'ERR_RESULT_NOT_JSON') }
  } catch (error) {
    return failed(world, error, true)
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** The longest pause that another system may ask for, milliseconds: a year. A wrong unit must not become a time that no column holds. */
const LONGEST_RETRY_AFTER_MS = 365 * 24 * 60 * 60 * 1_000

function retryAfterOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('retryAfterMs' in error)) return undefined
  const { retryAfterMs } = error
  if (typeof retryAfterMs !== 'number' || !Number.isFinite(retryAfterMs) || retryAfterMs < 0) return undefined
  return Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS)
}

/** The results of a saga, with one more. */
export function withResult(results: string, step: string, result: string | undefined): string {
  if (result === undefined) return results
  const entry = `${JSON.stringify(step)}:${result}`
  return results === '{}' ? `{${entry}}` : `${results.slice(0, -1)},${entry}}`
}

/** The results by step name. */
export function readResults(results: string): Record<string, unknown> {
  return fromJson(results) as Record<string, unknown>
}
