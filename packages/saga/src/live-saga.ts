import { codeOf, messageOf, type Timer, type World } from '@banyan/core'
import type { AttemptEnd } from './attempt.ts'
import { readResults, withResult } from './attempt.ts'
import type { AnySaga } from './define.ts'
import { fromJson, toJson } from './json.ts'
import { standingOf, stateOf } from './standing.ts'
import type { Failure, SagaState } from './state.ts'
import type { SagaAdvance, SagaHistoryEntry, SagaOwner, SagaRecord } from './store.ts'
import { after, type Turn } from './transition.ts'

/** A saga in a worker's memory: what the database has, and where it stands. */
export interface LiveSaga {
  readonly definition: AnySaga
  readonly owner: SagaOwner
  record: SagaRecord
  state: SagaState
  input: unknown
  results: Record<string, unknown>
  /** Aborts when it is this worker's no more. */
  readonly lost: AbortController
  timer: Timer | undefined
}

/** A saga as a worker takes it up. One that another life has run may have been in the middle of an attempt. */
export function liveSaga(definition: AnySaga, owner: SagaOwner, record: SagaRecord, world: World): LiveSaga {
  const { state } = after(definition, stateOf(record), { kind: record.claims > 1 ? 'resumed' : 'due' }, world.now())
  const input = fromJson(record.input)
  return { definition, owner, record, state, input, results: readResults(record.results), lost: new AbortController(), timer: undefined }
}

/** An attempt, as the history has it before its end. */
export type BegunEntry = Pick<SagaHistoryEntry, 'action' | 'attempt' | 'step' | 'startedAt'>

/** What is stored when an attempt has ended. */
export function advanceOf(saga: LiveSaga, { state }: Turn, { event, result }: AttemptEnd, begun: BegunEntry, now: number): SagaAdvance {
  const { record, owner } = saga
  const results = result === undefined ? undefined : withResult(record.results, begun.step, result)
  const output = state.status === 'completed' ? outputOf(saga, results ?? record.results) : {}
  const failure = event.kind === 'failed' ? event.failure : event.kind === 'refused' ? event.refusal : output.failure
  return {
    id: record.id,
    owner,
    revision: record.revision,
    ...standingOf(state),
    ...(results !== undefined && { results }),
    ...(output.json !== undefined && { output: output.json }),
    entry: {
      ...begun,
      outcome: event.kind === 'done' || event.kind === 'refused' ? event.kind : 'failed',
      code: failure?.code,
      message: failure?.message,
      status: state.status,
      worker: owner.worker,
      at: now,
    },
  }
}

/** The saga after its advance is committed. */
export function moveOn(saga: LiveSaga, advance: SagaAdvance, state: SagaState): void {
  const { status, results = saga.record.results, output } = advance
  if (results !== saga.record.results) saga.results = readResults(results)
  saga.record = { ...saga.record, status, state: advance.state, results, output, revision: saga.record.revision + 1 }
  saga.state = state
}

/** An output that cannot be had does not keep the saga from its end, as all its effects are there: the history says why it is missing. */
function outputOf({ definition, record, input }: LiveSaga, results: string): { json?: string | undefined; failure?: Failure } {
  const context = { ...readResults(results), input, id: record.id, key: record.key }
  try {
    // The builder typed the function by the steps whose results these are.
    return { json: toJson(definition.outputOf(context as never), `the output of saga "${definition.name}"`, 'ERR_RESULT_NOT_JSON') }
  } catch (error) {
    return { failure: { code: codeOf(error) ?? 'ERR_OUTPUT', message: `"done" threw: ${messageOf(error)}` } }
  }
}
