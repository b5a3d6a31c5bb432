import { codeOf, type Database, isRefusal, messageOf, type Refusal, type Transaction, type World } from '@banyan/core'
import { causedBy } from '@banyan/messaging'
import { isFailure } from '@banyan/resilience'
import type { SagaCall, UndoCause } from './context.ts'
import type { SagaStep } from './define.ts'
import { SagaError } from './errors.ts'
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
  /** By step name. */
  readonly results: Readonly<Record<string, unknown>>
  /** When undoing. */
  readonly cause: UndoCause | undefined
  /** Aborts when the worker loses the saga. */
  readonly signal: AbortSignal
}

/**
 * Makes one attempt of a step in another system. Never rejects.
 *
 * The time limit ends the waiting, not the call: what it does later is met by the receiver's guard.
 */
export async function attemptRemote(world: World, attempt: Attempt): Promise<AttemptEnd> {
  const { step, action } = attempt
  const abort = new AbortController()
  const onLost = () => abort.abort(attempt.signal.reason)
  attempt.signal.addEventListener('abort', onLost, { once: true })
  if (attempt.signal.aborted) onLost()
  const late = new SagaError(
    'ERR_STEP_TIMEOUT',
    `step "${step.name}" took longer than ${step.withinMs} ms to ${action}; its outcome is unknown`,
  )
  const timer = world.after(step.withinMs, () => abort.abort(late))
  try {
    const body = bodyOf(step, action, undefined)
    const value = await Promise.race([body(contextOf(world, attempt, abort.signal)), rejected(abort.signal)])
    return endOf(world, attempt, value)
  } catch (error) {
    return failed(world, error)
  } finally {
    timer.cancel()
    attempt.signal.removeEventListener('abort', onLost)
  }
}

/**
 * Makes one attempt of a step in the service's own database: what it writes, what it publishes and what `advance` writes commit
 * together. Never rejects: a failed or refused attempt has left nothing.
 */
export async function attemptLocal(
  world: World,
  database: Database,
  attempt: Attempt,
  advance: (tx: Transaction, end: AttemptEnd) => Promise<void>,
): Promise<AttemptEnd> {
  try {
    return await database.transaction(async (tx) => {
      causedBy(tx, { correlationId: attempt.sagaKey, causationId: attempt.call.key })
      const body = bodyOf(attempt.step, attempt.action, tx)
      const end = endOf(world, attempt, await body(contextOf(world, attempt, attempt.signal)))
      // Also what a refused `do` has written so far goes: a refusal says that nothing was done.
      if (end.event.kind !== 'done') throw new RolledBack(end)
      await advance(tx, end)
      return end
    })
  } catch (error) {
    return error instanceof RolledBack ? error.end : failed(world, error)
  }
}

class RolledBack extends Error {
  readonly end: AttemptEnd

  constructor(end: AttemptEnd) {
    super('the step was refused')
    this.end = end
  }
}

/** The typed builder saw to it that the bodies fit their contexts; here contexts are made of stored JSON. */
function bodyOf(step: SagaStep, action: 'do' | 'undo', tx: Transaction | undefined): (c: object) => unknown {
  if (step.kind === 'remote') {
    const body = step[action] as ((c: object) => unknown) | undefined
    return async (c) => body?.(c)
  }
  const body = step[action] as ((tx: Transaction, c: object) => unknown) | undefined
  return async (c) => tx && body?.(tx, c)
}

function contextOf(world: World, { step, call, results, cause }: Attempt, signal: AbortSignal): object {
  const endsAt = world.monotonic() + step.withinMs
  const context = { ...results, ...call, signal, ...(cause && { reason: cause.code, cause }) }
  return Object.defineProperty(context, 'remainingMs', { enumerable: true, get: () => Math.max(0, endsAt - world.monotonic()) })
}

function endOf(world: World, { step, action }: Attempt, value: unknown): AttemptEnd {
  if (isRefusal(value)) return { event: { kind: 'refused', refusal: refusalOf(value) }, result: undefined }
  if (action === 'undo') return { event: { kind: 'done' }, result: undefined }
  try {
    return { event: { kind: 'done' }, result: toJson(value, `the result of step "${step.name}"`, 'ERR_RESULT_NOT_JSON') }
  } catch (error) {
    return failed(world, error, true)
  }
}

function failed(world: World, error: unknown, hopeless: boolean = !isFailure({ ok: false, error })): AttemptEnd {
  if (isRefusal(error)) return { event: { kind: 'refused', refusal: refusalOf(error) }, result: undefined }
  const failure = { code: codeOf(error) ?? (error instanceof Error ? error.name : 'ERR_UNKNOWN'), message: messageOf(error) }
  return {
    event: { kind: 'failed', failure, hopeless, retryAfterMs: retryAfterOf(error), random: world.random() },
    result: undefined,
  }
}

function refusalOf({ refused, detail }: Refusal): { code: string; message: string } {
  return { code: refused, message: detail ?? refused }
}

function retryAfterOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('retryAfterMs' in error)) return undefined
  const { retryAfterMs } = error
  return typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) && retryAfterMs >= 0 ? retryAfterMs : undefined
}

function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
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
