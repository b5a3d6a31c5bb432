import type { Database, Transaction } from '@banyan/core'
import { readResults } from './attempt.ts'
import { SagaError } from './errors.ts'
import { fromJson } from './json.ts'
import { checkName, checkWhole } from './options.ts'
import type { SagaShape } from './shape.ts'
import { standingOf, stateOf } from './standing.ts'
import { type Failure, type SagaState, type Stuck, stepOfState } from './state.ts'
import {
  type SagaArchive,
  type SagaDecision,
  type SagaFilter,
  type SagaHistoryEntry,
  type SagaRecord,
  sagaArchivePort,
  sagaWorkersPort,
} from './store.ts'
import { after, type SagaEvent } from './transition.ts'

/** Who decides, and why: kept for good. */
export interface Decided {
  readonly by: string
  readonly reason: string
}

/** A saga in one line. */
export interface SagaSummary {
  readonly id: string
  readonly name: string
  readonly version: number
  readonly key: string
  readonly status: SagaState['status']
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
  readonly input: unknown
  /** By step name. */
  readonly results: Readonly<Record<string, unknown>>
  readonly output: unknown
  readonly state: SagaState
  readonly traceparent: string | undefined
  readonly history: readonly SagaHistoryEntry[]
  readonly decisions: readonly SagaDecision[]
}

export interface ListOptions extends SagaFilter {
  /** 1 to 1,000. Default 50. */
  readonly limit?: number
}

/** What people do with sagas. Decisions are taken up by the service's workers within their poll. */
export interface Sagas {
  /** Newest first. The last id as `before` gives the next page. */
  list(options?: ListOptions): Promise<SagaSummary[]>
  /** @throws {SagaError} `ERR_SAGA_UNKNOWN` */
  show(id: string): Promise<SagaDetails>
  /** Lets a stuck saga try again. @throws {SagaError} `ERR_SAGA_UNKNOWN`, `ERR_SAGA_STATE` when it is not stuck */
  retry(id: string, decided: Decided): Promise<SagaSummary>
  /**
   * Goes on as if the step a saga is stuck at had worked; somebody has seen to it by hand. A skipped `do` has no result.
   *
   * @throws {SagaError} `ERR_SAGA_UNKNOWN`, `ERR_SAGA_STATE` when it is not stuck, or stuck at a step nobody knows the place of
   */
  skip(id: string, decided: Decided): Promise<SagaSummary>
  /**
   * Undoes a saga that is stuck on its way forward: the pivot in doubt did not happen.
   *
   * @throws {SagaError} `ERR_SAGA_UNKNOWN`, `ERR_SAGA_STATE` when it is not stuck, or past its pivot, or on its way back already
   */
  undo(id: string, decided: Decided): Promise<SagaSummary>
  /** The latest decisions, of one saga or of all. Default: 100. */
  decisions(id?: string, limit?: number): Promise<SagaDecision[]>
}

/** The sagas of a service's database, for people. Needs no definition: workers leave the shape of theirs in the database. */
export function sagas(database: Database): Sagas {
  const archive = database.store(sagaArchivePort)
  const decide = (request: Request) => database.transaction((tx) => decideIn(tx, archive, request))

  return {
    async list({ limit = 50, ...filter } = {}) {
      checkWhole('list sagas', 'limit', limit, 1, 1_000)
      return (await database.read((tx) => archive.list(tx, filter, limit))).map(summaryOf)
    },
    show: (id) =>
      database.read(async (tx) => {
        const record = known(await archive.find(tx, id), id)
        return detailsOf(record, await archive.history(tx, id), await archive.decisions(tx, id, 1_000))
      }),
    retry: (id, decided) => decide({ id, action: 'retry', decided }),
    skip: (id, decided) => decide({ id, action: 'skip', decided }),
    undo: (id, decided) => decide({ id, action: 'undo', decided }),
    decisions: (id, limit = 100) => database.read((tx) => archive.decisions(tx, id, limit)),
  }
}

interface Request {
  readonly id: string
  readonly action: 'retry' | 'skip' | 'undo'
  readonly decided: Decided
}

async function decideIn(tx: Transaction, archive: SagaArchive, request: Request): Promise<SagaSummary> {
  const { id, action, decided } = request
  checkName(`${action} saga "${id}"`, '"by"', decided.by)
  checkName(`${action} saga "${id}"`, '"reason"', decided.reason)
  const record = known(await archive.find(tx, id), id)
  const fail = (what: string) => new SagaError('ERR_SAGA_STATE', `cannot ${action} saga "${id}": ${what}`, { status: 409 })
  const stuck = stateOf(record)
  if (stuck.status !== 'stuck') throw fail(`it is ${stuck.status}, wanted stuck`)
  const shape = await tx.store(sagaWorkersPort).shape(tx, record)
  if (!shape) throw fail(`no worker has ever run version ${record.version} of "${record.name}"; start one, so that its steps are known`)
  const now = archive.world.now()
  const state = stateAfter(shape, stuck, eventOf(request), now)
  if (!state) throw fail(`it is stuck at step "${stepOfState(stuck)}" on its way ${stuck.resume.status === 'running' ? 'forward' : 'back'}`)
  const decision = { saga: id, action, step: stepOfState(stuck) ?? '', by: decided.by, why: decided.reason, detail: undefined, at: now }
  const change = { id, revision: record.revision, keepOwner: false, ...standingOf(state) }
  if (!(await archive.decide(tx, change, decision))) throw fail('it is stuck no more')
  return summaryOf({ ...record, ...standingOf(state), owner: undefined, updatedAt: now })
}

function eventOf({ action, decided }: Request): SagaEvent {
  if (action !== 'undo') return { kind: action }
  return { kind: 'undo', why: { code: 'ERR_UNDONE_BY_HAND', message: `${decided.by}: ${decided.reason}` } }
}

/** `undefined`: the decision does not fit. */
function stateAfter(shape: SagaShape, stuck: Stuck, event: SagaEvent, now: number): SagaState | undefined {
  const { state } = after(shape, stuck, event, now)
  if (state === stuck) return undefined
  // A step the last worker did not know: one with a newer definition may, so it is tried, and parked again if not.
  return event.kind === 'retry' && state.status === 'stuck' ? { ...stuck.resume, failures: 0 } : state
}

function known(record: SagaRecord | undefined, id: string): SagaRecord {
  if (record) return record
  throw new SagaError('ERR_SAGA_UNKNOWN', `there is no saga "${id}" in this database`, { status: 404 })
}

function summaryOf(record: SagaRecord): SagaSummary {
  const { id, name, version, key, owner, createdAt, updatedAt } = record
  const state = stateOf(record)
  const current = state.status === 'waiting' || state.status === 'stuck' ? state.resume : state
  return {
    ...{ id, name, version, key, createdAt, updatedAt },
    status: state.status,
    step: stepOfState(state),
    failures: 'failures' in current ? current.failures : 0,
    failure: failureOf(state),
    wakeAt: state.status === 'waiting' ? state.wakeAt : undefined,
    worker: owner?.worker,
  }
}

function failureOf(state: SagaState): Failure | undefined {
  if ('failure' in state) return state.failure
  return 'cause' in state ? { code: state.cause.code, message: state.cause.message } : undefined
}

function detailsOf(record: SagaRecord, history: SagaHistoryEntry[], decisions: SagaDecision[]): SagaDetails {
  return {
    ...summaryOf(record),
    input: fromJson(record.input),
    results: readResults(record.results),
    output: fromJson(record.output),
    state: stateOf(record),
    traceparent: record.traceparent,
    history,
    decisions,
  }
}
