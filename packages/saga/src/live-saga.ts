import type { Timer, World } from '@banyan/core'
import type { AttemptEnd } from './attempt.ts'
import { readResults, withResult } from './attempt.ts'
import type { AnySaga } from './define.ts'
import { fromJson, toJson } from './json.ts'
import type { SagaState } from './state.ts'
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
  const { state } = after(definition, record.state, { kind: record.claims > 1 ? 'resumed' : 'due' }, world.now())
  const input = fromJson(record.input)
  return { definition, owner, record, state, input, results: readResults(record.results), lost: new AbortController(), timer: undefined }
}

/** What is stored when an attempt has ended. @throws what the definition's `done` throws */
export function advanceOf(
  saga: LiveSaga,
  turn: Turn,
  end: AttemptEnd,
  entry: Pick<SagaHistoryEntry, 'action' | 'attempt' | 'step'> & { startedAt: number },
  now: number,
): SagaAdvance {
  const { record, owner } = saga
  const results = end.result === undefined ? undefined : withResult(record.results, entry.step, end.result)
  const output = turn.state.status === 'completed' ? outputOf(saga, results ?? record.results) : undefined
  const failure = end.event.kind === 'failed' ? end.event.failure : end.event.kind === 'refused' ? end.event.refusal : undefined
  return {
    id: record.id,
    owner,
    revision: record.revision,
    state: turn.state,
    ...(results !== undefined && { results }),
    ...(output !== undefined && { output }),
    entry: {
      ...entry,
      outcome: end.event.kind === 'done' || end.event.kind === 'refused' ? end.event.kind : 'failed',
      code: failure?.code,
      message: failure?.message,
      status: turn.state.status,
      worker: owner.worker,
      at: now,
    },
  }
}

/** The saga after its advance is committed. */
export function moveOn(saga: LiveSaga, advance: SagaAdvance): void {
  const { state, results = saga.record.results, output } = advance
  if (results !== saga.record.results) saga.results = readResults(results)
  saga.record = { ...saga.record, state, results, output, revision: saga.record.revision + 1 }
  saga.state = state
}

function outputOf({ definition, record, input }: LiveSaga, results: string): string | undefined {
  const context = { ...readResults(results), input, id: record.id, key: record.key }
  // The builder typed the function by the steps whose results these are.
  return toJson(definition.outputOf(context as never), `the output of saga "${definition.name}"`, 'ERR_RESULT_NOT_JSON')
}
