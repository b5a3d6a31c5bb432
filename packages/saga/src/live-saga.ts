import type { Timer, World } from '@banyan/core'
import { type AttemptEnd, readResults, withResult } from './attempt.ts'
import type { AnySaga } from './definition.ts'
import { SagaError } from './errors.ts'
import { failureFrom } from './failure.ts'
import { pastEnded } from './forward.ts'
import { toJson } from './json.ts'
import { migrated } from './migrate.ts'
import { open, seal, unseal } from './payload.ts'
import { itemsName, resultsFor } from './results.ts'
import { stepNamed } from './shape.ts'
import { type Parking, standingOf, stateOf } from './standing.ts'
import type { Failure, SagaState } from './state.ts'
import type { SagaAdvance, SagaHistoryEntry, SagaOwner, SagaRecord } from './store.ts'
import { after } from './transition.ts'

/** A saga in a worker's memory: what the database has, and where it stands. */
export interface LiveSaga {
  readonly definition: AnySaga
  readonly owner: SagaOwner
  record: SagaRecord
  state: SagaState
  input: unknown
  /** By step name, as they are stored: one by one for the items of a step. */
  readonly results: Record<string, unknown>
  /** The same as JSON, before the codec. */
  resultsJson: string
  /** When its time is over, milliseconds since 1970. */
  readonly deadline: number | undefined
  /** Whether somebody was told that the time is over. */
  deadlineTold: boolean
  /** What has to be stored before anything else: how it was taken up. `do`: a person has said that its last step counts as done. */
  arrival: 'do' | 'park' | 'migrate' | undefined
  /** Why its input and its results are not here, although it goes on. */
  readonly unread: Failure | undefined
  /** Aborts when it is this worker's no more. */
  readonly lost: AbortController
  /** What is on: attempts that run or stand in line, by step. */
  readonly begun: Set<string>
  /** How many of them run. */
  flying: number
  readonly timers: Map<string, Timer>
  /** Ends are settled one after another. */
  tail: Promise<unknown>
  /** An end that is being stored: what it makes of the state is fixed, so nothing else moves that meanwhile. */
  storing: Promise<unknown> | undefined
  /** The row has moved without us: nothing more is stored. */
  stale: boolean
  /** The same saga as it was taken up later, while this one was not yet forgotten. */
  successor: { readonly record: SagaRecord; readonly owner: SagaOwner } | undefined
}

/** A saga as a worker takes it up. One that another life has run may have been in the middle of an attempt. */
export function liveSaga(definition: AnySaga, owner: SagaOwner, record: SagaRecord, world: World): LiveSaga {
  const deadline = definition.deadlineMs === undefined ? undefined : record.createdAt + definition.deadlineMs
  const bare: LiveSaga = {
    ...{ definition, owner, record, deadline, deadlineTold: false, arrival: undefined, stale: false, flying: 0, successor: undefined },
    ...{ state: stateOf(record), input: undefined, results: {}, resultsJson: '{}', unread: undefined },
    ...{
      lost: new AbortController(),
      begun: new Set<string>(),
      timers: new Map<string, Timer>(),
      tail: Promise.resolve(),
      storing: undefined,
    },
  }
  try {
    return takenUp(record.version === definition.version ? withPayload(bare) : migratedSaga(bare), world)
  } catch (error) {
    const failure = failureFrom(error, 'ERR_SAGA_UNREADABLE')
    return endedUnread(bare, failure) ?? parkedFor(cutOff(bare, world), failure)
  }
}

function withPayload(saga: LiveSaga): LiveSaga {
  const { record, definition } = saga
  const resultsJson = record.results === '{}' ? '{}' : unseal(definition.codec, record.results, `the results of saga "${record.id}"`)
  return {
    ...saga,
    input: open(definition.codec, record.input, `the input of saga "${record.id}"`),
    results: readResults(resultsJson),
    resultsJson,
  }
}

function migratedSaga(saga: LiveSaga): LiveSaga {
  const old = withPayload(saga)
  const { id, key, version } = old.record
  const { state, input, results } = migrated(old.definition, { id, key, version, state: old.state, input: old.input, results: old.results })
  const resultsJson = toJson(results, `the results of saga "${id}"`, 'ERR_SAGA_MIGRATION') ?? '{}'
  // An input that cannot be stored stops the saga here, and not each of the attempts to store it.
  toJson(input, `the input of saga "${id}"`, 'ERR_SAGA_MIGRATION')
  return { ...old, state, input, results: { ...results }, resultsJson, arrival: 'migrate' }
}

function takenUp(saga: LiveSaga, world: World): LiveSaga {
  const { definition, record } = saga
  let { state } = after(definition, saga.state, { kind: record.claims > 1 ? 'resumed' : 'due', step: '' }, world.now())
  // What it waits for may have come, or its time.
  for (const step of dueSteps(saga, state, world.now())) state = after(definition, state, { kind: 'due', step }, world.now()).state
  if (state.status === 'stuck' && saga.state.status !== 'stuck') return { ...saga, state, arrival: 'park' }
  // A person said that its last step counts as done: its end, with its output, is stored here.
  const past = pastEnded(definition, state)
  return { ...saga, state: past, arrival: saga.arrival ?? (past === state ? undefined : 'do') }
}

/** A person has said that the last step counts as done: that it cannot be read keeps nobody from ending it. */
function endedUnread(saga: LiveSaga, unread: Failure): LiveSaga | undefined {
  const { definition, record } = saga
  if (record.version !== definition.version) return undefined
  const state = pastEnded(definition, saga.state)
  return state.status === 'completed' && state !== saga.state ? { ...saga, state, unread, arrival: 'do' } : undefined
}

/** What another life may have been in the middle of is in doubt, also where it cannot be read now: whoever decides about it has to know. */
function cutOff(saga: LiveSaga, world: World): LiveSaga {
  if (saga.record.claims <= 1) return saga
  const { state } = after(saga.definition, saga.state, { kind: 'resumed' }, world.now())
  const known = state.status === 'stuck' && saga.state.status !== 'stuck' ? state.resume : state
  return known.status === 'running' || known.status === 'undoing' ? { ...saga, state: known } : saga
}

function dueSteps({ definition }: LiveSaga, state: SagaState, now: number): string[] {
  if (state.status === 'undoing') return state.pause && (state.pause.wakeAt ?? 0) <= now ? [state.left[0] ?? ''] : []
  if (state.status !== 'running') return []
  const isDue = ({ at, pause }: (typeof state.lanes)[number]) => {
    const kind = stepNamed(definition, at)?.kind
    if (!pause) return false
    return (pause.wakeAt ?? 0) <= now || (!pause.failure && (kind === 'wait' || kind === 'approve' || kind === 'child'))
  }
  return state.lanes.filter(isDue).map(({ at }) => at)
}

function parkedFor(saga: LiveSaga, failure: Failure): LiveSaga {
  const { state } = saga
  return state.status === 'running' || state.status === 'undoing'
    ? { ...saga, state: { status: 'stuck', resume: state, failure }, arrival: 'park' }
    : saga
}

/** The results as contexts show them. */
export function contextResults({ definition, results }: LiveSaga): Readonly<Record<string, unknown>> {
  return resultsFor(definition.steps, results)
}

/** An attempt, as the history has it before its end. */
export type BegunEntry = Pick<SagaHistoryEntry, 'action' | 'attempt' | 'step' | 'startedAt'>

/** What is stored when an attempt has ended, and what is in memory once that is stored. */
export interface Advance {
  readonly step: SagaAdvance
  readonly state: SagaState
  readonly resultsJson: string | undefined
  readonly alert: boolean
  /** The name and the value of a new result. */
  readonly result: { readonly name: string; readonly json: string } | undefined
}

export function advanceOf(
  saga: LiveSaga,
  turn: Pick<Advance, 'state' | 'alert'>,
  end: AttemptEnd,
  begun: BegunEntry,
  parking: Parking,
): Advance {
  const { record, owner, definition } = saga
  const { state, alert } = turn
  const { codec } = definition
  const name = end.event.kind === 'spread' ? itemsName(begun.step) : begun.step
  const result = end.result === undefined ? undefined : { name, json: end.result }
  const resultsJson = result && withResult(saga.resultsJson, name, result.json)
  const output = state.status === 'completed' ? outputOf(saga, result) : {}
  const failure = failureOf(end) ?? output.failure
  const migrating = saga.arrival === 'migrate'
  const input = migrating ? (toJson(saga.input, `the input of saga "${record.id}"`, 'ERR_SAGA_MIGRATION') ?? 'null') : undefined
  const stored = resultsJson ?? (migrating ? saga.resultsJson : undefined)
  const standing = standingOf(state, parking)
  return {
    ...{ state, alert, resultsJson, result },
    step: {
      ...standing,
      ...{ id: record.id, owner, revision: record.revision },
      ...(stored !== undefined && { results: seal(codec, stored) }),
      ...(output.json !== undefined && { output: seal(codec, output.json) }),
      ...(input !== undefined && { input: seal(codec, input), version: definition.version }),
      entry: {
        ...begun,
        outcome: outcomeOf(end),
        code: failure?.code,
        message: failure?.message,
        status: standing.status,
        worker: owner.worker,
        at: parking.now,
      },
    },
  }
}

function outcomeOf({ event }: AttemptEnd): SagaHistoryEntry['outcome'] {
  switch (event.kind) {
    case 'refused':
    case 'waits':
      return event.kind
    case 'failed':
    case 'expired':
    case 'cancel':
    case 'unreadable':
      return 'failed'
    default:
      return 'done'
  }
}

function failureOf({ event }: AttemptEnd): Failure | undefined {
  switch (event.kind) {
    case 'failed':
    case 'unreadable':
      return event.failure
    case 'refused':
      return event.refusal
    case 'cancel':
      return event.why
    case 'expired':
      return { code: 'ERR_WAIT_EXPIRED', message: 'nothing came in time' }
    default:
      return undefined
  }
}

/** The saga after its advance is committed. */
export function moveOn(saga: LiveSaga, { step, state, resultsJson, result }: Advance): void {
  const { status, parked, results = saga.record.results, output, version = saga.record.version, input = saga.record.input } = step
  // Parsed anew: a step reads the same value now as after a crash.
  if (result) saga.results[result.name] = JSON.parse(result.json)
  if (resultsJson !== undefined) saga.resultsJson = resultsJson
  const revision = saga.record.revision + 1
  saga.record = { ...saga.record, status, parked, state: step.state, results, output, version, input, revision }
  saga.state = state
  saga.arrival = undefined
}

/** An output that cannot be had does not keep the saga from its end, as all its effects are there: the history says why it is missing. */
function outputOf(saga: LiveSaga, result: Advance['result']): { json?: string | undefined; failure?: Failure } {
  const { definition, record, input, unread } = saga
  if (unread) return { failure: unread }
  const results = result ? { ...saga.results, [result.name]: JSON.parse(result.json) } : saga.results
  const context = { ...resultsFor(definition.steps, results), input, id: record.id, key: record.key }
  try {
    // The builder typed the function by the steps whose results these are.
    return { json: toJson(definition.outputOf(context as never), `the output of saga "${definition.name}"`, 'ERR_RESULT_NOT_JSON') }
  } catch (error) {
    const { code, message } = failureFrom(error, 'ERR_OUTPUT')
    return { failure: { code, message: `"done" threw: ${message}` } }
  }
}

/** Forgets a saga: whatever it does from now on is nobody's business. */
export function loseSaga(saga: LiveSaga): void {
  for (const timer of saga.timers.values()) timer.cancel()
  saga.lost.abort(new SagaError('ERR_WORKER_STOPPED', 'this worker does not run the saga any more'))
}
