import type { Transaction } from '@banyan/core'
import { withResult } from './attempt.ts'
import { stepChannel } from './channels.ts'
import { reportEnd } from './child-end.ts'
import type { AnySaga, SagaCodec } from './definition.ts'
import { SagaError, type SagaErrorCode } from './errors.ts'
import { stepKey } from './first-names.ts'
import { endedLane, laneOf } from './forward.ts'
import { toJson } from './json.ts'
import { checkName } from './options.ts'
import { seal, signalBody, unseal } from './payload.ts'
import { type SagaShape, stepNamed } from './shape.ts'
import { standingOf, stateOf } from './standing.ts'
import { type SagaState, type Stuck, stepOfState } from './state.ts'
import { type SagaChange, type SagaDecision, type SagaRecord, sagaArchivePort, sagaSignalsPort } from './store.ts'
import { after, type SagaEvent, triedAnew } from './transition.ts'
import type { Answer } from './wait-step.ts'

/** Who decides, and why: kept for good. */
export interface Decided {
  readonly by: string
  readonly reason: string
}

/** What somebody wants of a saga. */
export interface Request {
  readonly id: string
  readonly action: SagaDecision['action']
  readonly decided: Decided
  readonly value?: unknown
}

/** A request, and what is known of its saga. */
interface Case extends Request {
  readonly record: SagaRecord
  readonly state: SagaState
  readonly shape: SagaShape
  readonly codec: SagaCodec | undefined
  /** Whether texts can be read and written. */
  readonly readable: boolean
  readonly now: number
}

/** What becomes of the saga, and what the audit keeps beside. */
interface Outcome {
  readonly change: Partial<SagaChange>
  readonly state: SagaState
  readonly detail?: string
}

/** Decides about a saga, in the transaction that read it. Gives how it is then. */
export async function decideIn(
  tx: Transaction,
  record: SagaRecord,
  stored: SagaShape | undefined,
  definition: AnySaga | undefined,
  request: Request,
): Promise<SagaRecord> {
  const { id, action, decided } = request
  checkName(`${action} saga "${id}"`, '"by"', decided.by)
  checkName(`${action} saga "${id}"`, '"reason"', decided.reason)
  const shape = stored ?? definition
  const { world } = tx.store(sagaArchivePort)
  if (!shape)
    throw refusal(request, `no worker has ever run version ${record.version} of "${record.name}"; start one, so that its steps are known`)
  const readable = definition !== undefined || !shape.encoded
  const one: Case = { ...request, record, state: stateOf(record), shape, codec: definition?.codec, readable, now: world.now() }
  return action === 'approve' || action === 'reject' ? answer(tx, one) : store(tx, one, outcomeOf(one))
}

function outcomeOf(one: Case): Outcome {
  if (one.action === 'cancel') return cancelled(one)
  const { state } = one
  if (state.status !== 'stuck') throw refusal(one, `it is ${one.record.status}, wanted stuck`)
  switch (one.action) {
    case 'edit':
      return edited(one, state)
    case 'override':
      return overridden(one, state)
    case 'undo':
      return { change: {}, state: moved(one, state, { kind: 'undo', why: whyOf(one, 'ERR_UNDONE_BY_HAND') }) }
    case 'skip':
      return { change: {}, state: done(one, state) }
    default:
      return { change: {}, state: triedAnew(state.resume) }
  }
}

function moved(one: Case, stuck: Stuck, event: SagaEvent): SagaState {
  const { state } = after(one.shape, stuck, event, one.now)
  if (state !== stuck) return state
  throw refusal(one, `it is stuck at step "${stepOfState(stuck)}" on its way ${stuck.resume.status === 'running' ? 'forward' : 'back'}`)
}

/** Past a step that counts as done. At its end a worker stores it, who has the function of its output and its codec. */
function done(one: Case, stuck: Stuck): SagaState {
  const state = moved(one, stuck, { kind: 'skip' })
  const { resume } = stuck
  if (state.status !== 'completed' || resume.status !== 'running') return state
  return { ...resume, lanes: resume.lanes.map(endedLane) }
}

function edited(one: Case, { resume }: Stuck): Outcome {
  const json = jsonOf(one, 'the input')
  return { change: { input: seal(one.codec, json) }, state: triedAnew(resume), detail: one.record.input }
}

function overridden(one: Case, stuck: Stuck): Outcome {
  const { resume } = stuck
  const lane = resume.status === 'running' ? laneOf(resume, undefined) : undefined
  if (!lane) throw refusal(one, `it is stuck at undoing step "${stepOfState(stuck)}", which has no result`)
  const json = jsonOf(one, `the result of step "${lane.at}"`)
  const before = one.record.results === '{}' ? '{}' : unseal(one.codec, one.record.results, 'the results')
  const results = seal(one.codec, withResult(before, lane.at, json))
  return { change: { results }, state: done(one, stuck), detail: seal(one.codec, json) }
}

function cancelled(one: Case): Outcome {
  const { record, state, shape, now } = one
  const next = after(shape, state, { kind: 'cancel', why: whyOf(one, 'ERR_SAGA_CANCELLED') }, now).state
  // Its worker keeps it, and hears of this when its attempt or its pause has ended: from here nobody can tell that a pause is not over.
  const keepOwner = record.owner !== undefined && state.status !== 'stuck'
  if (next !== state && next.status !== 'stuck') return { change: { keepOwner }, state: next }
  if (state.status === 'undoing' || state.status === 'compensated' || (state.status === 'stuck' && state.resume.status === 'undoing'))
    throw refusal(one, 'it is on its way back, or there, already')
  throw refusal(one, `it is ${record.status} at or past its point of no return`, 'ERR_SAGA_PAST_PIVOT')
}

/** The saga stands still, so its row is written: who answered, when and why is kept. Then its signal lets it go on. */
async function answer(tx: Transaction, one: Case): Promise<SagaRecord> {
  const { record, shape, action, decided, now } = one
  const step = stepNamed(shape, record.step)
  if (record.status !== 'waiting' || step?.kind !== 'approve')
    throw refusal(
      one,
      `it is ${record.status}${record.step === undefined ? '' : ` at step "${record.step}"`}, wanted one that waits for a person`,
    )
  if (!record.parked) throw refusal(one, 'a worker looks at it: it has been answered, or its time is over')
  const value = one.value === undefined ? undefined : JSON.parse(jsonOf(one, 'the value'))
  const said: Answer = { yes: action === 'approve', ...decided, ...(value !== undefined && { value }) }
  const body = signalBody(one.codec, JSON.stringify(said))
  const { parked, wakeAt, channel } = record
  const stored = await store(tx, one, { change: { parked, wakeAt, channel }, state: one.state })
  const key = stepKey(record.id, one.state, step.name)
  const isFirst = await tx.store(sagaSignalsPort).send(tx, {
    id: `answer:${key}`,
    channel: stepChannel(key),
    ...{ body, at: now },
  })
  if (!isFirst) throw refusal(one, 'it has been answered before')
  return stored
}

async function store(tx: Transaction, one: Case, { change, state, detail }: Outcome): Promise<SagaRecord> {
  const { id, action, decided, record, now } = one
  const step = stepOfState(one.state) ?? ''
  const whole: SagaChange = { ...standingOf(state), id, revision: record.revision, keepOwner: false, ...change }
  const decision: SagaDecision = { saga: id, action, step, by: decided.by, why: decided.reason, detail, at: now }
  if (!(await tx.store(sagaArchivePort).decide(tx, whole, decision))) throw refusal(one, 'it has moved meanwhile; look again')
  await tell(tx, one, whole)
  const { keepOwner, ...standing } = whole
  return { ...record, ...standing, owner: keepOwner ? record.owner : undefined, revision: record.revision + 1, updatedAt: now }
}

/** A decision may be the end of it, for which another saga waits. */
async function tell(tx: Transaction, one: Case, { status, state }: SagaChange): Promise<void> {
  const { record, readable, codec } = one
  if (record.report === undefined || (status !== 'completed' && status !== 'compensated')) return
  if (!readable) throw encoded(one)
  await reportEnd(tx, codec, record, { status, state, output: record.output })
}

function jsonOf(one: Case, what: string): string {
  if (!one.readable) throw encoded(one)
  return toJson(one.value, what, 'ERR_INPUT_NOT_JSON') ?? 'null'
}

function encoded(one: Case): SagaError {
  return refusal(one, 'it is stored by its codec: give its definition, as in sagas(database, { definitions: [it] })', 'ERR_SAGA_ENCODED')
}

function whyOf({ decided }: Case, code: SagaErrorCode | 'ERR_UNDONE_BY_HAND') {
  return { code, message: `${decided.by}: ${decided.reason}` }
}

function refusal({ action, id }: Request, what: string, code: SagaErrorCode = 'ERR_SAGA_STATE'): SagaError {
  return new SagaError(code, `cannot ${action} saga "${id}": ${what}`, { status: 409 })
}
