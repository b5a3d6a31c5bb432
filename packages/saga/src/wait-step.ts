import type { Database, Transaction, World } from '@banyan/core'
import { type Attempt, type AttemptEnd, contextOf, inOneTransaction, RolledBack } from './attempt.ts'
import { eventChannel, stepChannel } from './channels.ts'
import { type ChildEnd, endOfChild } from './child-end.ts'
import type { AnySaga, SagaCodec, SagaStep } from './definition.ts'
import { failureFrom } from './failure.ts'
import { toJson } from './json.ts'
import { checkName } from './options.ts'
import { openSignal } from './payload.ts'
import { newSaga } from './start.ts'
import type { Lane } from './state.ts'
import { sagaArchivePort, sagaSignalsPort, sagaStorePort } from './store.ts'

export type WaitStep = Extract<SagaStep, { kind: 'wait' | 'approve' | 'child' }>

/** Whether a step waits for a signal. */
export function waitsForSignal(step: SagaStep): step is WaitStep {
  return step.kind === 'wait' || step.kind === 'approve' || step.kind === 'child'
}

export interface WaitAttempt {
  readonly world: World
  readonly database: Database
  readonly definition: AnySaga
  readonly attempt: Attempt
  readonly lane: Lane
  /** Stores what came of it, in the transaction that took the signal. */
  readonly advance: (tx: Transaction, end: AttemptEnd, channel: string) => Promise<void>
}

/**
 * Looks for what a step waits for. What it takes commits with the saga's advance; when there is nothing, the saga is parked in the
 * same transaction, which holds the channel: what comes later finds it there. Never rejects.
 */
export function attemptWait(wait: WaitAttempt): Promise<AttemptEnd> {
  const { world, database, attempt } = wait
  return inOneTransaction(world, database, async (tx) => {
    const channel = channelOf(wait)
    const signal = await tx.store(sagaSignalsPort).take(tx, channel, attempt.call.id)
    const body = signal?.body ?? (attempt.step.kind === 'child' ? await startChild(tx, wait, channel) : undefined)
    const end = body === undefined ? nothingYet(wait) : readSignal(wait, body)
    // Not taken then: it is there when somebody has mended what keeps it from being read.
    if (end.event.kind === 'unreadable') throw new RolledBack(end)
    await wait.advance(tx, end, channel)
    return end
  })
}

function channelOf({ world, definition, attempt }: WaitAttempt): string {
  const { step, call } = attempt
  if (step.kind !== 'wait') return stepChannel(call.key)
  // The builder typed the function by the steps whose results these are.
  const key = step.where(contextOf(world, attempt, { signal: () => attempt.signal }) as never)
  // Under another one nobody can send: it would wait in vain, or take what is meant for others that gave nothing.
  checkName(`wait at step "${step.name}"`, 'what its "where" gives', key)
  return eventChannel(definition.name, step.event.name, key)
}

/** Gives the end of the child, when there is one whose end was taken before, or forgotten. */
async function startChild(tx: Transaction, { world, attempt }: WaitAttempt, channel: string): Promise<string | undefined> {
  const { step, call } = attempt
  if (step.kind !== 'child') return undefined
  const input = step.input(contextOf(world, attempt, { signal: () => attempt.signal }) as never) as never
  const store = tx.store(sagaStorePort)
  const { record, begin, dismiss } = newSaga(store, step.saga, input, { key: call.key, report: channel })
  const id = await store.insert(tx, record)
  if (id !== record.id) {
    dismiss()
    return endOfChild(step.saga.codec, await tx.store(sagaArchivePort).find(tx, id))
  }
  tx.afterCommit(begin)
  return undefined
}

function nothingYet({ world, attempt, lane }: WaitAttempt): AttemptEnd {
  const { withinMs } = attempt.step
  const until = lane.until ?? (withinMs === undefined ? undefined : world.now() + withinMs)
  const over = until !== undefined && until <= world.now()
  return { event: over ? { kind: 'expired' } : { kind: 'waits', until }, result: undefined }
}

function readSignal({ definition, attempt }: WaitAttempt, body: string): AttemptEnd {
  const { step } = attempt
  const codec: SagaCodec | undefined = step.kind === 'child' ? step.saga.codec : definition.codec
  try {
    const said = openSignal(codec, body)
    const result = (value: unknown) => toJson(value, `what step "${step.name}" waited for`, 'ERR_RESULT_NOT_JSON')
    if (step.kind === 'wait') return { event: { kind: 'done' }, result: result(said) }
    return step.kind === 'child' ? childEnd(said as ChildEnd, result) : answered(said as Answer, result)
  } catch (error) {
    return { event: { kind: 'unreadable', failure: failureFrom(error, 'ERR_SAGA_UNREADABLE') }, result: undefined }
  }
}

/** What a person says to an `approve`, as its signal. */
export interface Answer {
  readonly yes: boolean
  readonly by: string
  readonly reason: string
  readonly value?: unknown
}

function answered({ yes, by, reason, value }: Answer, result: (value: unknown) => string | undefined): AttemptEnd {
  if (yes) return { event: { kind: 'done' }, result: result({ by, reason, value }) }
  return { event: { kind: 'refused', refusal: { code: 'rejected', message: `${by}: ${reason}` } }, result: undefined }
}

function childEnd({ state, output }: ChildEnd, result: (value: unknown) => string | undefined): AttemptEnd {
  if (state.status === 'completed') return { event: { kind: 'done' }, result: result(output) }
  const { code, message } = state.cause
  return { event: { kind: 'refused', refusal: { code, message } }, result: undefined }
}
