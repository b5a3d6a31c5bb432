import type { AnySaga, SagaCodec } from './definition.ts'
import { open } from './payload.ts'
import { stateOf } from './standing.ts'
import { type Failure, pausesOf, type SagaState } from './state.ts'
import type { SagaDecision, SagaHistoryEntry, SagaRecord, SagaStatus } from './store.ts'
import { failureOfState } from './transition.ts'

/** A saga in one line. */
export interface SagaSummary {
  readonly id: string
  readonly name: string
  readonly version: number
  readonly key: string
  readonly status: SagaStatus
  /** The step it is about; `undefined` at the end. */
  readonly step: string | undefined
  /** Failed attempts of that step, so far. */
  readonly failures: number
  /** Why it waits, is stuck, or was undone. */
  readonly failure: Failure | undefined
  /** When it goes on, milliseconds since 1970; of a waiting one. */
  readonly wakeAt: number | undefined
  /** The worker that has it. */
  readonly worker: string | undefined
  readonly createdAt: number
  readonly updatedAt: number
}

/** Everything about a saga. */
export interface SagaDetails extends SagaSummary {
  /** False: some of what it stores, left out here, is read by its definition's codec alone, which was not given or cannot. */
  readonly readable: boolean
  readonly input: unknown
  /** By step name. */
  readonly results: Readonly<Record<string, unknown>>
  readonly output: unknown
  readonly state: SagaState
  readonly traceparent: string | undefined
  /** In the order it was written. */
  readonly history: readonly SagaHistoryEntry[]
  /** Newest first. */
  readonly decisions: readonly SagaDecision[]
}

export function summaryOf(record: SagaRecord): SagaSummary {
  const { id, name, version, key, status, step, owner, createdAt, updatedAt } = record
  const state = stateOf(record)
  const wakes = pausesOf(state).flatMap(({ wakeAt }) => (wakeAt === undefined ? [] : [wakeAt]))
  return {
    ...{ id, name, version, key, status, step, createdAt, updatedAt },
    failures: failuresOf(state),
    failure: failureOfState(state),
    wakeAt: wakes.length === 0 ? undefined : Math.min(...wakes),
    worker: owner?.worker,
  }
}

function failuresOf(state: SagaState): number {
  if (state.status === 'stuck') return failuresOf(state.resume)
  if (state.status === 'undoing') return state.failures
  return state.status === 'running' ? Math.max(...state.lanes.map(({ failures }) => failures)) : 0
}

/** `definition`: `undefined` when it is not known, and `encoded` says whether its codec is needed. */
export function detailsOf(
  record: SagaRecord,
  about: { history: SagaHistoryEntry[]; decisions: SagaDecision[]; codec: SagaCodec | undefined; readable: boolean },
): SagaDetails {
  const { history, decisions, codec } = about
  let { readable } = about
  const read = (text: string | undefined, what: string) => {
    if (text === undefined || !about.readable) return undefined
    try {
      return open(codec, text, what)
    } catch {
      // It may be what the saga is stuck at, which people must be able to see.
      readable = false
      return undefined
    }
  }
  const input = read(record.input, 'the input')
  const results = record.results === '{}' ? {} : ((read(record.results, 'the results') ?? {}) as Record<string, unknown>)
  const output = read(record.output, 'the output')
  const state = stateOf(record)
  return { ...summaryOf(record), readable, input, results, output, state, traceparent: record.traceparent, history, decisions }
}

/** The definition of a saga among some; one of another version has the same codec. */
export function definitionOf(
  definitions: readonly AnySaga[],
  { name, version }: Pick<SagaRecord, 'name' | 'version'>,
): AnySaga | undefined {
  const named = definitions.filter((one) => one.name === name)
  return named.find((one) => one.version === version) ?? named[0]
}
